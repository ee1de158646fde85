/** How a pool of connections behaves, each with what holds where nobody says otherwise. */
import {
  BACKEND_CHECK_AFTER_IDLE_MS,
  BACKEND_CONNECT_TIMEOUT_MS,
  BACKEND_IDLE_MS,
  BACKEND_LIFETIME_MS,
  BREAKER_FAILED_PERCENT_DEFAULT,
  BREAKER_FAILURES_MIN_DEFAULT,
  POOL_SIZE_DEFAULT,
  POOL_WAIT_MS_DEFAULT,
  POOL_WAITERS_MAX,
} from "../../base/limits.ts";
import type { AdmissionOptions } from "./admission.ts";

/** `size`: connections open at once; `waitMs`: how long a statement waits for one. */
export interface PoolOptions extends AdmissionOptions {
  /** Statements that wait for one at once. */
  readonly waitersMax: number;
  readonly connectTimeoutMs: number;
  readonly lifetimeMs: number;
  readonly idleMs: number;
  /** An idle connection is asked whether it lives before it is lent after this long. */
  readonly checkAfterIdleMs: number;
  /** Sent with the startup packet of each connection: see session-defaults.ts. */
  readonly settings: ReadonlyMap<string, string>;
}

export const POOL_OPTIONS_DEFAULT: PoolOptions = {
  size: POOL_SIZE_DEFAULT,
  waitMs: POOL_WAIT_MS_DEFAULT,
  waitersMax: POOL_WAITERS_MAX,
  shedsEarly: true,
  adaptive: undefined,
  breaker: {
    failuresMin: BREAKER_FAILURES_MIN_DEFAULT,
    failedShare: BREAKER_FAILED_PERCENT_DEFAULT / 100,
  },
  connectTimeoutMs: BACKEND_CONNECT_TIMEOUT_MS,
  lifetimeMs: BACKEND_LIFETIME_MS,
  idleMs: BACKEND_IDLE_MS,
  checkAfterIdleMs: BACKEND_CHECK_AFTER_IDLE_MS,
  settings: new Map(),
};
