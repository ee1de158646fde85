/** What the metrics say of the direct path: one of these serves all sessions. */
import type { Durations, Tally } from "../../base/tallies.ts";
import type { Metrics } from "../../base/metrics.ts";
import type { DirectPlan } from "./direct-route.ts";

const COUNTS = new WeakMap<Metrics, DirectCounts>();

export class DirectCounts {
  readonly #statements: Readonly<Record<"read" | "write" | "insert", Tally>>;
  readonly #relayed: Tally;
  readonly #transactions: Readonly<Record<"none" | "single", Tally>>;
  readonly #seconds: Durations;

  static of(metrics: Metrics): DirectCounts {
    const known = COUNTS.get(metrics);
    if (known !== undefined) return known;
    const counts = new DirectCounts(metrics);
    COUNTS.set(metrics, counts);
    return counts;
  }

  private constructor(metrics: Metrics) {
    const tally = (kind: "read" | "write" | "insert"): Tally =>
      metrics.tally("colonnade_statements_total", { kind, route: "single" });
    this.#statements = { read: tally("read"), write: tally("write"), insert: tally("insert") };
    this.#relayed = metrics.tally("colonnade_relayed_statements_total", {});
    const ended = (commit: "none" | "single"): Tally =>
      metrics.tally("colonnade_transactions_total", { commit });
    this.#transactions = { none: ended("none"), single: ended("single") };
    this.#seconds = metrics.durations("colonnade_statement_seconds", { route: "single" });
  }

  /** A statement is over; both times are of performance.now(). */
  ended(plan: DirectPlan, startedMs: number, endedMs: number): void {
    this.#statements[plan.kind === "insert" ? "insert" : plan.access].increment();
    this.#relayed.increment();
    this.#seconds.observe((endedMs - startedMs) / 1000);
  }

  /** A transaction was committed by the only database that it was of; `none`: nothing was written. */
  committed(kind: "none" | "single"): void {
    this.#transactions[kind].increment();
  }
}
