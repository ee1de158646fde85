/**
 * What the project means to reach, as data: `--check` judges by it, and README.md prints it.
 * An aim that is missed is said to be; it is not moved.
 */
import { MULTIPLEXED } from "./contenders.ts";
import type { Quantity } from "./slice.ts";

export interface Aim {
  /** Of `cases.ts`. */
  readonly case: string;
  /** Of `contenders.ts`. */
  readonly contender: string;
  readonly quantity: Quantity;
  /** What the bound is of: the contender's value, its ratio to another's, or its difference from it. */
  readonly of:
    | { readonly kind: "value" }
    | { readonly kind: "ratio"; readonly against: string }
    | { readonly kind: "difference"; readonly against: string };
  readonly at: "least" | "most";
  readonly bound: number;
}

const PROTOCOLS = ["simple", "extended", "prepared"] as const;

function ratio(against: string): Aim["of"] {
  return { kind: "ratio", against };
}

const VALUE: Aim["of"] = { kind: "value" };

/** Point selects of 32 clients, multiplexed: the way past a pooler, which makes fewer system calls. */
const MULTIPLEXED_SELECTS: readonly Aim[] = [
  ...["select-simple-32", "select-extended-32"].flatMap((name): Aim[] => [
    aim(name, MULTIPLEXED, "perSecond", ratio("pgbouncer"), "least", 1.25),
    aim(name, MULTIPLEXED, "cpuMicroseconds", ratio("pgbouncer"), "most", 0.95),
  ]),
  aim("select-prepared-32", MULTIPLEXED, "perSecond", ratio("pgbouncer"), "least", 1.4),
];

/** The same, each statement on a server connection of its own, as a pooler does it. */
const EXCLUSIVE_SELECTS: readonly Aim[] = PROTOCOLS.flatMap((protocol) => [
  aim(`select-${protocol}-32`, "colonnade", "perSecond", ratio("pgbouncer"), "least", 0.9),
  aim(`select-${protocol}-32`, "colonnade", "cpuMicroseconds", ratio("pgbouncer"), "most", 1.3),
]);

const BULK: readonly Aim[] = ["result", "copy-in", "copy-out"].flatMap((name) => [
  aim(name, "colonnade", "megabytesPerSecond", ratio("direct"), "least", 0.7),
  aim(name, "colonnade", "peakMegabytes", VALUE, "most", 64),
]);

const SHARDED: readonly Aim[] = ["sharded-read", "sharded-write"].flatMap((name) => [
  aim(name, "colonnade", "perSecond", ratio("postgres_fdw"), "least", 3),
  aim(name, "colonnade", "perSecond", ratio("plproxy"), "least", 1),
]);

export const AIMS: readonly Aim[] = [
  ...MULTIPLEXED_SELECTS,
  ...EXCLUSIVE_SELECTS,
  aim("pipeline-10", "colonnade", "perSecond", ratio("pgbouncer"), "least", 2),
  aim("tpcb-simple-32", "colonnade", "perSecond", ratio("pgbouncer"), "least", 0.95),
  aim("tpcb-prepared-32", "colonnade", "perSecond", ratio("pgbouncer"), "least", 0.95),
  aim(
    "latency-1",
    "colonnade",
    "p50Microseconds",
    { kind: "difference", against: "pgbouncer" },
    "most",
    30,
  ),
  ...BULK,
  ...SHARDED,
  aim("idle", "colonnade", "kilobytesPerClient", VALUE, "most", 6),
  aim("idle", "colonnade", "residentMegabytes", VALUE, "most", 100),
  aim("orm-miss", "planner", "missMicroseconds", VALUE, "most", 60),
  aim("workers", "colonnade", "timesOneWorker", VALUE, "least", 1.8),
];

function aim(
  name: string,
  contender: string,
  quantity: Quantity,
  of: Aim["of"],
  at: Aim["at"],
  bound: number,
): Aim {
  return { case: name, contender, quantity, of, at, bound };
}
