/** README.md names, of each race of the protocol, what proves that it is closed: and that is there. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../tidy/sources.ts";
import { CHECKS } from "./checks/check.ts";
import { MUTATIONS } from "./explorer/mutations.ts";

const RACE_COUNT = 38;
const MUTANTS = "migration/explorer/mutations.ts";

/** Its name and its proofs, of each line of the table. */
const races = readFileSync(join(import.meta.dirname, "README.md"), "utf8")
  .split("\n")
  .filter((line) => /^\| R\d+ \|/.test(line))
  .map((line) => line.slice(2, -2).split(" | "));

/** Names that tests are given, by path: a string that a call of `test`, or of what it returned, begins with. */
function testNames(path: string): readonly string[] {
  const text = readFileSync(join(ROOT, "test", path), "utf8");
  const calls = /(?:\btest|\))\(\s*"((?:[^"\\]|\\.)+)",/g;
  return [...text.matchAll(calls)].map(([, name]) => name ?? "");
}

function isThere(proof: string): boolean {
  if (/^(?:In part|Nothing): [^|]+[^.|]$/.test(proof)) return true;
  const check = /^check (\d+)$/.exec(proof)?.[1];
  if (check !== undefined) return Number(check) in CHECKS;
  const [, path = "", name = ""] = /^`([\w/.-]+)`: (.+)$/.exec(proof) ?? [];
  if (path === MUTANTS) return MUTATIONS.some((mutation) => mutation.name === name);
  return path.endsWith(".test.ts") && testNames(path).includes(name);
}

test("every race is in the table, in order, with what it is", () => {
  expect(races.map(([name]) => name)).toEqual(
    Array.from({ length: RACE_COUNT }, (_, index) => `R${index + 1}`),
  );
  for (const cells of races) expect(cells).toHaveLength(3);
});

test.each(races)("what proves %s is there: %s", (_name, _what, proofs = "") => {
  const all = proofs.split("<br>");
  expect(all.filter((proof) => !isThere(proof))).toEqual([]);
  // What is open is told besides what is proven, or alone where nothing is.
  expect(all.findIndex((proof) => proof.startsWith("In part: "))).not.toBe(0);
});

test("a proof that is not there is missed", () => {
  for (const proof of [
    "check 21",
    "somewhere",
    "`migration/races.test.ts`: no such test",
    `\`${MUTANTS}\`: no such mutation`,
  ])
    expect(isThere(proof), proof).toBe(false);
});
