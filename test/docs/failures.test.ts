/** docs/failures.md says what the tests of test/failures show, row by row. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { COMMIT_STEPS } from "../failures/commit-steps.ts";
import { LOSSES } from "../failures/outcomes.ts";
import { ROOT } from "../tidy/sources.ts";

const text = readFileSync(join(ROOT, "docs/failures.md"), "utf8");

/** The cells of the table under a heading, without its head. */
function tableUnder(heading: string): readonly (readonly string[])[] {
  const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  return section
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .slice(2)
    .map((line) =>
      line
        .slice(1, -1)
        .split("|")
        .map((cell) => cell.trim()),
    );
}

test.each(LOSSES)("$lost", ({ lost, cases }) => {
  const rows = cases.map(({ when, told, outcome }) => [when, told, outcome]);
  expect(tableUnder(`${lost} is lost`)).toEqual(rows);
});

test("the steps of a commit", () => {
  const rows = COMMIT_STEPS.map(({ when, outcome }) => [when, outcome]);
  expect(tableUnder("The proxy is killed during a COMMIT of several databases")).toEqual(rows);
});

test("no table is without its tests", () => {
  const tables = text.split("\n").filter((line) => /^\| -+ \|/.test(line));
  expect(tables).toHaveLength(LOSSES.length + 1);
});
