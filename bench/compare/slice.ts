/** What is measured: one contender at one case for one short time. */

/** What can be read off a slice, the unit with its name, and whether other work on the machine changes it. */
export const QUANTITIES = {
  perSecond: { unit: "per s", digits: 0, isTimed: true },
  cpuMicroseconds: { unit: "us CPU", digits: 1, isTimed: true },
  p50Microseconds: { unit: "us p50", digits: 0, isTimed: true },
  p99Microseconds: { unit: "us p99", digits: 0, isTimed: true },
  megabytesPerSecond: { unit: "MB/s", digits: 0, isTimed: true },
  /** Resident memory at its highest in the slice, above what it was before. */
  peakMegabytes: { unit: "MB more", digits: 0, isTimed: false },
  residentMegabytes: { unit: "MB", digits: 0, isTimed: false },
  kilobytesPerClient: { unit: "kB a client", digits: 1, isTimed: false },
  missMicroseconds: { unit: "us a miss", digits: 1, isTimed: true },
  timesOneWorker: { unit: "x one worker", digits: 2, isTimed: true },
} as const satisfies Readonly<
  Record<string, { readonly unit: string; readonly digits: number; readonly isTimed: boolean }>
>;

export type Quantity = keyof typeof QUANTITIES;

export type Values = Readonly<Partial<Record<Quantity, number>>>;

export interface Slice {
  readonly case: string;
  readonly contender: string;
  /** From 1; slices of one turn were measured one right after the other. */
  readonly turn: number;
  readonly values: Values;
  /** Cores that were busy with what is none of the benchmark's, in the mean of the slice. */
  readonly foreignCores: number;
}

/**
 * More than that, and a slice measures its neighbours, too: a twentieth of the two cores that the
 * aims are for. Where nothing else runs it is 0 to 0.09, of the kernel's own threads and of ticks.
 */
export const FOREIGN_CORES_MAX = 0.1;

export function isDisturbed({ foreignCores }: Slice): boolean {
  return foreignCores > FOREIGN_CORES_MAX;
}
