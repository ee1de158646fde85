/** docs/compatibility.md is of the programs that are there, and says of each what came of it. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { checksOf } from "./matrix/compat-program.ts";
import { findPrograms } from "./matrix/find-programs.ts";
import { PAGE, readOutcomes } from "./matrix/outcomes.ts";
import { compatibilityPage } from "./matrix/report.ts";

const programs = await findPrograms();
const outcomes = await readOutcomes();
const page = readFileSync(PAGE, "utf8");

test("every program has an outcome, and every outcome a program", () => {
  expect(Object.keys(outcomes)).toEqual(programs.map(({ folder }) => folder));
});

test("every program has a name of its own, and a row", () => {
  const names = programs.map(({ program }) => program.name);
  expect(new Set(names).size).toBe(names.length);
  for (const { program } of programs)
    expect(page).toContain(`\n| ${program.name} (${program.language}) | `);
});

test.each(programs)("$folder: the checks are those that the program has", ({ folder, program }) => {
  const outcome = outcomes[folder];
  if (outcome?.kind !== "ran") return;
  expect(Object.keys(outcome.checks).toSorted()).toEqual(checksOf(program).toSorted());
  for (const asked of outcome.differing) expect(program.differences).toHaveProperty([asked]);
});

test("the page is what its writer makes of the outcomes", () => {
  const rows = programs.flatMap(({ folder, program }) => {
    const outcome = outcomes[folder];
    return outcome === undefined ? [] : [{ program, outcome }];
  });
  expect(compatibilityPage(rows)).toBe(page);
});

test("a check that failed is told, with its reason", () => {
  const found = programs.find(({ program }) => program.checks === undefined);
  if (found === undefined) throw new Error("some program has all checks");
  const checks = { copy: { outcome: "failed" as const, detail: "lost | rows" } };
  const made = compatibilityPage([
    {
      program: found.program,
      outcome: { kind: "ran", version: "1", checks, differing: [] },
    },
    { program: found.program, outcome: { kind: "skipped", missing: "a compiler" } },
  ]);
  expect(made).toContain("✗ <sup>1</sup>");
  expect(made).toContain(`1. ${found.program.name}: lost \\| rows.`);
  expect(made).toContain("2. Skipped: a compiler.");
});
