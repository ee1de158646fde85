/**
 * What proxies tell each other of transactions that wait for a lock: no server knows which of its
 * processes work for one transaction, and each proxy knows its own alone.
 *
 * They tell it in a table of the catalog database, when one of their transactions over several
 * servers has waited for DEADLOCK_CHECK_AFTER_MS, and again with each look; no other statement
 * pays for it. Only those that wait are told: others are in no circle.
 *
 * What another has told may be over. It is believed of a transaction that waits by the very
 * statement that was told (a server process, and when its statement began): while that lasts, the
 * transaction has not ended, and keeps all its processes.
 */
import { SHARED_HOLDERS_FRESH_MS } from "../../base/limits.ts";
import { databaseName } from "../../base/ids.ts";
import { quoteLiteral } from "../../base/sql-quoting.ts";
import { BackendError } from "../backend/backend-connection.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import { CREATE_RECORDS_SCHEMA } from "./commit-record.ts";
import type { LockWait, Party, ServerProcess } from "./wait-graph.ts";

/** A statement that waits for a lock. */
interface WaitingStatement {
  readonly process: ServerProcess;
  readonly statementStart: string;
}

export interface WaitingParty extends Party {
  readonly waiting: readonly WaitingStatement[];
}

/** Those of the parties that wait, with what they wait in. */
export function waitingOf(
  parties: readonly Party[],
  waits: readonly LockWait[],
): readonly WaitingParty[] {
  const statements = new Map(
    waits.map(({ waiter, statementStart }) => [
      processKey(waiter),
      { process: waiter, statementStart },
    ]),
  );
  return parties.flatMap(({ proxy, number, processes }) => {
    const waiting = processes.flatMap((process) => statements.get(processKey(process)) ?? []);
    return waiting.length === 0 ? [] : [{ proxy, number, processes, waiting }];
  });
}

/** Of the parties that were told, those that still wait as they were told to. */
export function stillWaiting(
  told: readonly WaitingParty[],
  waits: readonly LockWait[],
): readonly WaitingParty[] {
  const now = new Set(
    waits.map(({ waiter, statementStart }) => `${processKey(waiter)} ${statementStart}`),
  );
  return told.filter(({ waiting }) =>
    waiting.every(({ process, statementStart }) =>
      now.has(`${processKey(process)} ${statementStart}`),
    ),
  );
}

function processKey({ server, processId }: ServerProcess): string {
  return `${processId}@${server}`;
}

/** Tells what waits here, and gives what other proxies have told of late. The connection is of the catalog database. */
export async function exchangeWaiting(
  connection: BackendConnection,
  proxy: string,
  own: readonly WaitingParty[],
  signal: AbortSignal,
): Promise<readonly WaitingParty[]> {
  const sql = exchange(proxy, own);
  let rows: readonly (readonly (string | null)[])[];
  try {
    ({ rows } = await connection.query(sql, signal));
  } catch (error) {
    if (!(error instanceof BackendError) || !MISSING.has(error.fields.C ?? "")) throw error;
    await connection.query(CREATE_LOCK_HOLDER, signal);
    ({ rows } = await connection.query(sql, signal));
  }
  return rows.flatMap(([told]) => readParties(told ?? ""));
}

/** undefined_table, invalid_schema_name */
const MISSING: ReadonlySet<string> = new Set(["42P01", "3F000"]);

/** Safe when several proxies run it at once: the lock, that of the commit record's table, makes them wait for each other. */
const CREATE_LOCK_HOLDER = `
BEGIN READ WRITE;
SELECT pg_catalog.pg_advisory_xact_lock(7523913460157215327);
${CREATE_RECORDS_SCHEMA};
CREATE UNLOGGED TABLE IF NOT EXISTS colonnade.lock_holder (
  proxy pg_catalog.text PRIMARY KEY,
  told_at pg_catalog.timestamptz NOT NULL,
  parties pg_catalog.text NOT NULL
);
COMMIT`;

const IS_FRESH = `told_at > pg_catalog.clock_timestamp() - interval '${SHARED_HOLDERS_FRESH_MS} ms'`;

/** Two that each delete what the other is about to renew do not wait for each other. */
function exchange(proxy: string, own: readonly WaitingParty[]): string {
  const told = quoteLiteral(JSON.stringify(own));
  return `
INSERT INTO colonnade.lock_holder VALUES (${quoteLiteral(proxy)}, pg_catalog.clock_timestamp(), ${told})
  ON CONFLICT (proxy) DO UPDATE SET told_at = excluded.told_at, parties = excluded.parties;
DELETE FROM colonnade.lock_holder WHERE proxy IN
  (SELECT proxy FROM colonnade.lock_holder WHERE NOT ${IS_FRESH} FOR UPDATE SKIP LOCKED);
SELECT parties FROM colonnade.lock_holder WHERE proxy <> ${quoteLiteral(proxy)} AND ${IS_FRESH}`;
}

/** Written by a proxy of the fleet, which may be of another version: what is not understood is not told. */
function readParties(text: string): readonly WaitingParty[] {
  try {
    return (JSON.parse(text) as readonly unknown[]).flatMap((party) => readParty(party) ?? []);
  } catch {
    return [];
  }
}

function readParty(value: unknown): WaitingParty | undefined {
  const { proxy, number, processes, waiting } = value as Partial<WaitingParty>;
  if (typeof proxy !== "string" || typeof number !== "number") return undefined;
  if (!Array.isArray(processes) || !Array.isArray(waiting) || waiting.length === 0)
    return undefined;
  return {
    proxy,
    number,
    processes: processes.map(readProcess),
    waiting: (waiting as readonly WaitingStatement[]).map(({ process, statementStart }) => ({
      process: readProcess(process),
      statementStart,
    })),
  };
}

function readProcess({ server, database, processId }: ServerProcess): ServerProcess {
  return { server, database: databaseName(database), processId };
}
