/**
 * Data-driven tests: a file of cases in the form of cli/plan-cases.ts. `REWRITE=1` writes
 * the outputs anew, and the diff is what is reviewed. Knows nothing of what the commands mean.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { expect, test } from "vitest";
import { CASE_SEPARATOR, readPlanCases, type PlanCase } from "../../cli/plan-cases.ts";

export type DataCase = Pick<PlanCase, "command" | "options" | "input">;

export type RunCase = (data: DataCase) => string;

export function dataDriven(path: string, run: RunCase): void {
  if (process.env["REWRITE"] === "1") rewrite(path, run);
  const { cases } = readPlanCases(readFileSync(path, "utf8"));
  const file = basename(path);
  for (const data of cases) {
    test(`${file}:${data.line} ${data.input.slice(0, 60)}`, () => {
      expect(run(data)).toBe(data.expected);
    });
  }
}

function rewrite(path: string, run: RunCase): void {
  const { cases, tail } = readPlanCases(readFileSync(path, "utf8"));
  const texts = cases.map((data) =>
    [...data.head, CASE_SEPARATOR, rewritten(data, run)].join("\n"),
  );
  writeFileSync(path, `${texts.join("\n\n")}\n${tail}`);
}

/** A case that fails by itself is marked, so that a rewrite never hides it. */
function rewritten(data: DataCase, run: RunCase): string {
  try {
    return run(data);
  } catch (error) {
    return `FAILED ${String(error)}`;
  }
}
