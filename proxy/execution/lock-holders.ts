/**
 * Who in this process holds backends of several servers at once: only they can close a
 * circle of waits that no single server sees. A session that holds one backend is not in
 * here, so the usual statement pays for a comparison.
 */
import type { SqlError } from "../../base/sql-error.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import { PoolWaits } from "./pool-waits.ts";

export interface LockHolder {
  /**
   * Of the time from its first backend until it holds none: never the same twice, larger for younger
   * ones. Those of several proxies compare as well as their clocks do: it is about the microsecond.
   */
  readonly holdNumber: number;
  readonly held: Iterable<BackendConnection>;
  /** Stops what runs, and has it fail with this error. */
  breakDeadlock(error: SqlError): void;
}

export class LockHolders {
  /** Those who wait for a pool, holding connections. */
  readonly poolWaits = new PoolWaits();
  readonly #holders = new Set<LockHolder>();
  #lastNumber = 0;

  get values(): ReadonlySet<LockHolder> {
    return this.#holders;
  }

  nextHoldNumber(): number {
    this.#lastNumber = Math.max(this.#lastNumber + 1, Date.now() * 1_000);
    return this.#lastNumber;
  }

  add(holder: LockHolder): void {
    this.#holders.add(holder);
  }

  delete(holder: LockHolder): void {
    this.#holders.delete(holder);
  }
}
