/** docs/migration.md tells of the commands that there are, and of no other. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { STOP_REASONS } from "../../migration/machine/life.ts";
import { runCommand } from "../support/command.ts";
import { ROOT } from "../tidy/sources.ts";

const DOCUMENTS = ["migration.md", "migrations-plan.md"].map((name) =>
  readFileSync(join(ROOT, "docs", name), "utf8"),
);

test("every command of migrate is documented, and every documented one is there", async () => {
  const { stdout } = await runCommand("migrate", "--help");
  const there = [...stdout.matchAll(/^ {2}([a-z]+) \[options\]/gm)].map(([, name]) => name);
  const told = DOCUMENTS.flatMap((text) =>
    [...text.matchAll(/colonnade migrate ([a-z]+)/g)].map(([, name]) => name),
  );
  expect(there.length).toBeGreaterThan(10);
  const unused = there.filter(
    (name) => !told.includes(name) && !DOCUMENTS.some((text) => text.includes(`\`${name}\``)),
  );
  expect(unused).toEqual([]);
  expect([...new Set(told)].filter((name) => !there.includes(name))).toEqual([]);
});

test("what a migration stops with is in the runbook", () => {
  const [document = ""] = DOCUMENTS;
  const untold = STOP_REASONS.filter((reason) => !document.includes(`| \`${reason}\` |`));
  // Nothing raises it: a lost target is waited for.
  expect(untold).toEqual(["target_lost"]);
});

test("every command has --json and --dry-run", async () => {
  const { stdout } = await runCommand("migrate", "--help");
  const commands = [...stdout.matchAll(/^ {2}([a-z]+) \[options\]/gm)].map(([, name]) => name);
  const helps = await Promise.all(
    commands.map(async (name = "") => (await runCommand("migrate", name, "--help")).stdout),
  );
  for (const flag of ["--json", "--dry-run"])
    expect(helps.filter((help) => !help.includes(flag))).toEqual([]);
});
