/** One measured number. */
export interface Measurement {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The value must not be above it. */
  readonly bound?: number;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
