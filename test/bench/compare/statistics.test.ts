/** The arithmetic of the comparison: medians, quartiles, histograms. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Histogram } from "../../../bench/compare/histogram.ts";
import { formatSummary, summarize } from "../../../bench/compare/statistics.ts";

describe("a summary", () => {
  test.each([
    [[7], { median: 7, low: 7, high: 7, count: 1 }],
    [[1, 2], { median: 1.5, low: 1.25, high: 1.75, count: 2 }],
    [[3, 1, 2], { median: 2, low: 1.5, high: 2.5, count: 3 }],
    [[5, 1, 4, 2, 3], { median: 3, low: 2, high: 4, count: 5 }],
    [[10, 9, 100], { median: 10, low: 9.5, high: 55, count: 3 }],
  ])("of %j", (values, expected) => {
    expect(summarize(values)).toEqual(expected);
  });

  test("of nothing is none", () => {
    expect(summarize([])).toBeUndefined();
  });

  test("as text", () => {
    expect(formatSummary({ median: 1.256, low: 1, high: 2, count: 3 }, 2)).toBe(
      "1.26 (1.00 to 2.00)",
    );
  });
});

describe("a histogram", () => {
  test("knows each quantile to 0.4 %, whatever was recorded", () => {
    const microseconds = fc.double({ min: 0, max: 1e8, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(microseconds, { minLength: 1, maxLength: 200 }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        (values, part) => {
          const histogram = new Histogram();
          for (const value of values) histogram.record(value);
          const sorted = values.toSorted((a, b) => a - b);
          const exact = sorted[Math.ceil(part * sorted.length) - 1] ?? Number.NaN;
          // Tenths are rounded to, and a bucket is as wide as a 256th of what it counts.
          const tolerance = 0.1 + exact / 256;
          expect(Math.abs(histogram.quantile(part) - exact)).toBeLessThanOrEqual(tolerance);
        },
      ),
    );
  });

  test("counts what is beyond it, and what is below nothing", () => {
    const histogram = new Histogram();
    histogram.record(1e12);
    histogram.record(-5);
    expect(histogram.count).toBe(2);
    expect(histogram.quantile(0.5)).toBe(0);
    expect(histogram.quantile(1)).toBeGreaterThan(2e8);
  });

  test("of nothing has no quantile, and none has a part of 0", () => {
    expect(new Histogram().quantile(0.5)).toBeNaN();
    expect(() => new Histogram().quantile(0)).toThrow("a quantile is of a part");
  });
});
