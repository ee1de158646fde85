/** What a rehearsal found out, as one document whose shape is kept: programs read it. */
import type { TrafficReport } from "./traffic.ts";

/** What has to hold: MIGRATIONS, section 6. */
export const INVARIANTS = {
  I1: "what was acknowledged is there, once, as it was acknowledged; what was refused is not",
  I2: "no row was owned by two sides",
  I3: "no read went back in time, or missed what had been acknowledged before it",
  I4: "at the end both sides agreed, sequences are ahead, and nothing is left behind",
  I5: "every change found exactly one row, and verification sees its planted faults",
  I6: "no pause was longer than its budget, and service came back after each",
} as const;

export type InvariantName = keyof typeof INVARIANTS;

export interface Attempt {
  readonly command: "cutover" | "rollback";
  /** The state that it ended in. */
  readonly state: string;
  readonly pausedMs: number | undefined;
  /** What clients waited for a statement at most, meanwhile. */
  readonly clientsWaitedMs: number;
}

export interface FaultReport {
  readonly cell: string;
  readonly outcome: "played" | "not reached";
  /** Until what it struck was whole again. */
  readonly recoveryMs: number | undefined;
}

export interface PassReport {
  readonly name: "complete" | "rollback";
  readonly outcome: "ended" | "refused" | "unfinished";
  /** Why it did not end. */
  readonly because: readonly string[];
  readonly seconds: number;
  readonly migrations: readonly string[];
  readonly plan: unknown;
  readonly preflight: unknown;
  readonly cutovers: readonly Attempt[];
  readonly verified: readonly string[];
  readonly faults: readonly FaultReport[];
  readonly writes: TrafficReport & { readonly bypassBefore: number; readonly bypassAfter: number };
  /** What breaks each, as sentences; empty where it holds. */
  readonly invariants: Readonly<Record<InvariantName, readonly string[]>>;
}

export interface Report {
  readonly schema: 1;
  readonly run: {
    readonly seed: number;
    readonly version: string;
    readonly node: string;
    readonly mapFrom: string;
    readonly mapTo: string;
  };
  readonly outcome: Outcome;
  readonly passes: readonly PassReport[];
}

/** `refused`: the plan or preflight says no. `unfinished`: it did not come to its end. */
export type Outcome = "passed" | "refused" | "broken" | "unfinished";

export function outcomeOf(passes: readonly PassReport[]): Outcome {
  if (passes.some(({ invariants }) => Object.values(invariants).some(({ length }) => length > 0)))
    return "broken";
  if (passes.some(({ outcome }) => outcome === "unfinished")) return "unfinished";
  return passes.some(({ outcome }) => outcome === "refused") ? "refused" : "passed";
}

export const EXIT_CODES: Readonly<Record<Outcome, 0 | 1 | 3 | 4>> = {
  passed: 0,
  refused: 1,
  broken: 3,
  unfinished: 4,
};

export function summaryLines(report: Report): readonly string[] {
  return [...report.passes.flatMap(passLines), `${report.outcome}, seed ${report.run.seed}`];
}

function passLines(pass: PassReport): readonly string[] {
  const { writes } = pass;
  const refused = Object.entries(writes.refused).map(([code, count]) => `${code} ${count} times`);
  return [
    `${pass.name}: ${pass.outcome} after ${pass.seconds.toFixed(1)} s${pass.migrations.length > 0 ? ` (${pass.migrations.join(", ")})` : ""}`,
    ...pass.because.map((why) => `  ${why}`),
    ...pass.cutovers.map(
      ({ command, state, pausedMs, clientsWaitedMs }) =>
        `  ${command}: ${state}, statements held for ${pausedMs === undefined ? "an unknown time" : `${pausedMs} ms`}, clients waited for ${clientsWaitedMs} ms at most`,
    ),
    ...pass.verified.map((line) => `  ${line}`),
    ...pass.faults.map(
      ({ cell, outcome, recoveryMs }) =>
        `  fault: ${cell}: ${outcome}${recoveryMs === undefined ? "" : `, whole again after ${recoveryMs} ms`}`,
    ),
    `  ${writes.acknowledged} writes acknowledged, ${writes.unknown} not answered, ${writes.reads} reads by others, past the proxies ${writes.bypassBefore} before and ${writes.bypassAfter} after`,
    ...(refused.length > 0 ? [`  refused: ${refused.join(", ")}`] : []),
    ...Object.entries(pass.invariants).map(([name, broken]) =>
      broken.length === 0
        ? `  PASS ${name} ${INVARIANTS[name as InvariantName]}`
        : `  FAIL ${name} ${INVARIANTS[name as InvariantName]}: ${broken.slice(0, 5).join("; ")}${broken.length > 5 ? `; and ${broken.length - 5} more` : ""}`,
    ),
  ];
}

/** For people: what is on standard output, as a page. */
export function markdownOf(report: Report): string {
  const { seed, version, mapFrom, mapTo } = report.run;
  return `# Rehearsal: ${report.outcome}\n\nFrom ${mapFrom} to ${mapTo}, seed ${seed}, colonnade ${version}.\n\n${summaryLines(
    report,
  )
    .map((line) => `    ${line}`)
    .join("\n")}\n`;
}
