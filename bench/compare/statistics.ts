/** What many measurements of one thing say: the middle, and how far the middle half of them lies apart. */

export interface Summary {
  readonly median: number;
  /** The quartiles. */
  readonly low: number;
  readonly high: number;
  readonly count: number;
}

/** Undefined of nothing. Between two values it interpolates, as `percentile_cont` does. */
export function summarize(values: readonly number[]): Summary | undefined {
  if (values.length === 0) return undefined;
  const sorted = values.toSorted((a, b) => a - b);
  return {
    median: quantileOf(sorted, 0.5),
    low: quantileOf(sorted, 0.25),
    high: quantileOf(sorted, 0.75),
    count: sorted.length,
  };
}

function quantileOf(sorted: readonly number[], part: number): number {
  const at = part * (sorted.length - 1);
  const below = sorted[Math.floor(at)] ?? Number.NaN;
  const above = sorted[Math.ceil(at)] ?? Number.NaN;
  return below + (above - below) * (at - Math.floor(at));
}

export function formatSummary({ median, low, high }: Summary, digits: number): string {
  return `${median.toFixed(digits)} (${low.toFixed(digits)} to ${high.toFixed(digits)})`;
}
