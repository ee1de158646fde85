/** Aims, and whether slices reach them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { AIMS } from "../../../bench/compare/aims.ts";
import type { Aim } from "../../../bench/compare/aims.ts";
import { CASES } from "../../../bench/compare/cases.ts";
import { CONTENDERS } from "../../../bench/compare/contenders.ts";
import { aimText, judge, verdictText } from "../../../bench/compare/judge.ts";
import type { Verdict } from "../../../bench/compare/judge.ts";
import {
  caseText,
  complaints,
  exitCode,
  judgeAims,
  judgedText,
} from "../../../bench/compare/report.ts";
import type { JudgedAim } from "../../../bench/compare/report.ts";
import type { Slice, Values } from "../../../bench/compare/slice.ts";
import { ROOT } from "../../tidy/sources.ts";

const NAME = "select-simple-32";
const RATIO: Aim = {
  case: NAME,
  contender: "colonnade",
  quantity: "perSecond",
  of: { kind: "ratio", against: "pgbouncer" },
  at: "least",
  bound: 0.9,
};
const QUIET = 0.01;
const BUSY = 0.5;

function slicesOf(
  contender: string,
  values: readonly Values[],
  foreign: readonly number[] = [],
): readonly Slice[] {
  return values.map((each, index) => ({
    case: NAME,
    contender,
    turn: index + 1,
    values: each,
    foreignCores: foreign[index] ?? QUIET,
  }));
}

const rates = (...values: readonly number[]): readonly Values[] =>
  values.map((perSecond) => ({ perSecond }));

describe("an aim of a ratio", () => {
  const pgbouncer = slicesOf("pgbouncer", rates(100, 100, 100, 100, 100));

  test.each([
    ["held", rates(95, 95, 95, 95, 95), "held: 0.95 (0.95 to 0.95)"],
    ["held at the bound itself", rates(90, 90, 90, 90, 90), "held: 0.90 (0.90 to 0.90)"],
    ["near, where the spread reaches it", rates(80, 85, 85, 95, 99), "near: 0.85 (0.85 to 0.95)"],
    ["missed beyond the spread", rates(50, 60, 60, 70, 95), "missed: 0.60 (0.60 to 0.70)"],
  ])("is %s", (_, own, expected) => {
    const verdict = judge(RATIO, [...slicesOf("colonnade", own), ...pgbouncer]);
    expect(verdictText(RATIO, verdict)).toBe(expected);
  });

  test("at most is the other way round", () => {
    const aim: Aim = { ...RATIO, at: "most", bound: 0.5 };
    const own = slicesOf("colonnade", rates(60, 60, 45, 60, 60));
    expect(judge(aim, [...own, ...pgbouncer]).kind).toBe("missed");
    const wider = slicesOf("colonnade", rates(60, 45, 45, 60, 60));
    expect(judge(aim, [...wider, ...pgbouncer]).kind).toBe("near");
  });

  test("compares slices of one turn, and leaves out a turn that lacks one", () => {
    const own = slicesOf("colonnade", rates(90, 180, 270));
    const other = slicesOf("pgbouncer", rates(100, 200, 300)).toReversed();
    const verdict = judge(RATIO, [...own, ...other.slice(1)]);
    expect(verdict).toEqual({
      kind: "held",
      summary: { median: 0.9, low: 0.9, high: 0.9, count: 2 },
    });
  });

  test("is not judged by turns beside other work, of either side", () => {
    const own = slicesOf("colonnade", rates(95, 10, 10, 95, 95), [QUIET, BUSY, QUIET]);
    const other = slicesOf("pgbouncer", rates(100, 100, 100, 100, 100), [QUIET, QUIET, BUSY]);
    const verdict = judge(RATIO, [...own, ...other]);
    expect(verdictText(RATIO, verdict)).toBe("held: 0.95 (0.95 to 0.95)");
  });

  test("says so where most turns were beside other work", () => {
    const own = slicesOf("colonnade", rates(95, 95, 95), [BUSY, BUSY, QUIET]);
    const verdict = judge(RATIO, [...own, ...slicesOf("pgbouncer", rates(100, 100, 100))]);
    expect(verdictText(RATIO, verdict)).toBe(
      "not judged: other work took more than 0.1 cores in 2 of 3 turns; in all of them 0.95 (0.95 to 0.95)",
    );
  });

  test.each([
    [[], "not judged: colonnade was not measured"],
    [slicesOf("colonnade", rates(1)), "not judged: pgbouncer was not measured"],
  ])("says who is absent", (slices, expected) => {
    expect(verdictText(RATIO, judge(RATIO, slices))).toBe(expected);
  });
});

test("an aim of a difference is of what one has more", () => {
  const aim: Aim = {
    ...RATIO,
    quantity: "p50Microseconds",
    of: { kind: "difference", against: "pgbouncer" },
    at: "most",
    bound: 30,
  };
  const own = slicesOf("colonnade", [{ p50Microseconds: 130 }, { p50Microseconds: 150 }]);
  const other = slicesOf("pgbouncer", [{ p50Microseconds: 101 }, { p50Microseconds: 121 }]);
  expect(verdictText(aim, judge(aim, [...own, ...other]))).toBe("held: 29 (29 to 29)");
});

test("an aim of memory does not mind other work", () => {
  const aim: Aim = {
    ...RATIO,
    quantity: "residentMegabytes",
    of: { kind: "value" },
    at: "most",
    bound: 100,
  };
  const slices = slicesOf("colonnade", [{ residentMegabytes: 101 }], [BUSY]);
  expect(verdictText(aim, judge(aim, slices))).toBe("missed: 101 (101 to 101)");
});

test("every aim is of a case and of contenders that there are", () => {
  const cases = new Map(CASES.map((each) => [each.name, each]));
  const unknown = AIMS.filter(({ case: name, contender, of }) => {
    const found = cases.get(name);
    if (found === undefined || found.without.includes(contender)) return true;
    const sides = of.kind === "value" ? [] : [contender, of.against];
    return sides.some((side) => CONTENDERS[side]?.[found.world] === undefined);
  });
  expect(unknown.map(aimText)).toEqual([]);
});

test("aims that were not asked for are not judged", () => {
  const cases = CASES.filter(({ name }) => name === NAME);
  const texts = (contenders: readonly string[]): readonly string[] =>
    judgeAims({ cases, contenders }, []).map(judgedText);
  expect(texts(["direct", "colonnade"])).toEqual([]);
  expect(texts(["pgbouncer", "colonnade"])).toEqual([
    "select-simple-32: colonnade by pgbouncer, per s >= 0.9 x: not judged: colonnade was not measured",
    "select-simple-32: colonnade by pgbouncer, us CPU <= 1.3 x: not judged: colonnade was not measured",
  ]);
});

/** Aims as they would be judged, each of a kind. */
function judgedAs(kinds: readonly Verdict["kind"][]): readonly JudgedAim[] {
  const summary = { median: 0.5, low: 0.4, high: 0.6, count: 3 };
  return kinds.map((kind) => ({
    aim: RATIO,
    verdict: kind === "unmeasured" ? { kind, because: "no reason" } : { kind, summary },
  }));
}

test("a check names what was missed, and counts what nobody knows", () => {
  expect(complaints(judgedAs(["held", "near"]))).toEqual([]);
  expect(complaints(judgedAs(["missed", "held", "unmeasured", "unmeasured"]))).toEqual([
    "select-simple-32: colonnade by pgbouncer, per s >= 0.9 x: missed: 0.50 (0.40 to 0.60)",
    "2 of 4 aims could not be judged here and now",
  ]);
});

test("README.md lists the aims as they are", () => {
  const readme = readFileSync(join(ROOT, "bench", "README.md"), "utf8");
  const [, listed] = /```text aims\n([^`]*)```/.exec(readme) ?? [];
  expect(listed?.trimEnd().split("\n")).toEqual(AIMS.map(aimText));
});

test.each([
  [["held", "near"], 0],
  [["held", "missed", "unmeasured"], 1],
  [["held", "unmeasured"], 3],
  [[], 0],
] as const)("%j is exit code %i", (kinds, expected) => {
  expect(exitCode(judgedAs(kinds))).toBe(expected);
});

test("a case's rows mark what was measured beside other work", () => {
  const of = CASES.find(({ name }) => name === NAME);
  if (of === undefined) throw new Error("the case is there");
  const own: Values = { perSecond: 50, cpuMicroseconds: 30, peakMegabytes: 5 };
  const other: Values = { perSecond: 100, cpuMicroseconds: 20, peakMegabytes: 4 };
  const slices = [
    ...slicesOf("pgbouncer", [other, other], [QUIET, BUSY]),
    ...slicesOf("colonnade", [own, own]),
  ];
  expect(caseText(of, slices).split("\n")).toEqual([
    "select-simple-32: point selects of 32 clients, simple protocol",
    "  pgbouncer              100 (100 to 100) per s  20.0 (20.0 to 20.0) us CPU  4 (4 to 4) MB more  ! 1 of 2 beside other work",
    "  colonnade              50 (50 to 50) per s  30.0 (30.0 to 30.0) us CPU  5 (5 to 5) MB more",
    "    by pgbouncer        per s x 0.50 (0.50 to 0.50)  us CPU x 1.50 (1.50 to 1.50)",
    "",
  ]);
});
