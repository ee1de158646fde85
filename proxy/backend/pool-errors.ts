/** What a pool tells those it has no connection for, each with how the pool stands. */
import type { DatabaseName } from "../../base/ids.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { PoolStats } from "./pool-stats.ts";
import type { WaitEnd } from "./wait-queue.ts";

type Standing = Pick<PoolStats, "used" | "sizeMax" | "limit" | "waiting" | "opening">;

export function poolExhausted(
  database: DatabaseName,
  reason: WaitEnd,
  waitMs: number,
  standing: Standing,
): SqlError {
  const message =
    reason === "deadline"
      ? `no connection to database "${database}" came free within ${waitMs} ms`
      : `too many statements wait for a connection to database "${database}"`;
  return new SqlError("pool_exhausted", message, { detail: standingText(standing) });
}

export function poolOverloaded(
  database: DatabaseName,
  { expectedMs, waitMs }: { readonly expectedMs: number; readonly waitMs: number },
  standing: Standing,
): SqlError {
  return new SqlError(
    "pool_overloaded",
    `database "${database}" is overloaded: a connection to it would come free in about ${Math.round(expectedMs)} ms, and statements wait for ${waitMs} ms at most`,
    { detail: standingText(standing) },
  );
}

/** `cause`: the last that failed. */
export function circuitOpen(database: DatabaseName, cause: unknown): SqlError {
  const detail = cause instanceof Error ? { detail: `The last failure: ${cause.message}` } : {};
  return new SqlError(
    "circuit_open",
    `database "${database}" is not asked now, since most of what it was asked came to nothing`,
    detail,
  );
}

export function poolClosed(database: DatabaseName): SqlError {
  return new SqlError("pool_closed", `the connections to database "${database}" are being closed`);
}

function standingText({ used, sizeMax, limit, waiting, opening }: Standing): string {
  const limited =
    limit < sizeMax ? ` New transactions use ${limit} at most, since its answers take long.` : "";
  return `Of at most ${sizeMax} connections, ${used} are in use and ${opening} are being opened; ${waiting} statements wait.${limited}`;
}
