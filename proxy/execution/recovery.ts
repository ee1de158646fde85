/**
 * Looks for transactions in doubt on every database, again and again, while the proxy runs, and
 * less often for commit records that are not needed any more. A database that cannot be asked now
 * is asked again in the next pass.
 */
import {
  RECORD_SWEEP_INTERVAL_MS,
  RECOVERY_INTERVAL_MS,
  RECOVERY_PASS_TIMEOUT_MS,
} from "../../base/limits.ts";
import type { DatabaseName } from "../../base/ids.ts";
import type { Log } from "../../base/log.ts";
import type { Metrics } from "../../base/metrics.ts";
import type { InDoubt, InDoubtBackends } from "./in-doubt.ts";
import type { TwoPhaseCommit } from "./two-phase-commit.ts";

export interface RecoveryParts {
  readonly inDoubt: InDoubt;
  readonly twoPhase: TwoPhaseCommit;
  readonly backends: InDoubtBackends;
  readonly databases: () => readonly DatabaseName[];
  readonly log: Log;
  readonly metrics: Metrics;
}

export class Recovery {
  readonly #parts: RecoveryParts;
  readonly #unreachable = new Set<DatabaseName>();
  #timer: NodeJS.Timeout | undefined;
  #pass: Promise<void> = Promise.resolve();
  #isStopped = false;
  #nextSweepMs = 0;

  constructor(parts: RecoveryParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#pass = this.runOnce().finally(() => {
        if (!this.#isStopped) this.start();
      });
    }, RECOVERY_INTERVAL_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#pass;
  }

  /** One pass over all databases. Never rejects. */
  async runOnce(): Promise<void> {
    const isSweep = performance.now() >= this.#nextSweepMs;
    if (isSweep) this.#nextSweepMs = performance.now() + RECORD_SWEEP_INTERVAL_MS;
    const databases = this.#parts.databases();
    await Promise.all(databases.map((database) => this.#recover(database, isSweep)));
  }

  async #recover(database: DatabaseName, isSweep: boolean): Promise<void> {
    const { inDoubt, log, metrics } = this.#parts;
    const signal = AbortSignal.timeout(RECOVERY_PASS_TIMEOUT_MS);
    try {
      for (const { preparedName, outcome } of await inDoubt.recover(database, signal)) {
        log.warn({ database, transaction: preparedName, outcome }, "transaction in doubt");
        if (outcome !== "undecided")
          metrics.increment("colonnade_in_doubt_resolved_total", { outcome });
      }
      await this.#finishOwn(database, signal);
      if (isSweep) await inDoubt.sweepRecords(database, signal);
      this.#unreachable.delete(database);
    } catch (error) {
      if (!this.#unreachable.has(database))
        log.warn({ err: error, database }, "database cannot be asked for transactions in doubt");
      this.#unreachable.add(database);
    }
  }

  async #finishOwn(database: DatabaseName, signal: AbortSignal): Promise<void> {
    const { backends, inDoubt, twoPhase } = this.#parts;
    if (!inDoubt.hasUnfinished(database) && !twoPhase.hasFinished(database)) return;
    const connection = await backends.acquire(database, signal);
    try {
      await inDoubt.finish(database, connection);
      await twoPhase.forgetFinished(database, connection);
    } finally {
      backends.release(connection);
    }
  }
}
