/** What a move leaves on the source while it lasts: a publication and a slot. Each step may be run again. */
import {
  MOVE_NAME_LENGTH_MAX,
  MOVE_SLOT_BUSY_MS,
  MOVE_SLOT_LOCK_TIMEOUT_MS,
  MOVE_SLOT_TRIES,
} from "../base/limits.ts";
import { invariant } from "../base/invariant.ts";
import { parseLsn, type Lsn } from "../base/lsn.ts";
import { quoteIdentifier, quoteLiteral, quoteQualified } from "../base/sql-quoting.ts";
import { SqlError } from "../base/sql-error.ts";
import { BackendError, type BackendConnection } from "../proxy/backend/backend-connection.ts";
import type { Move } from "./move.ts";

export interface StreamNames {
  readonly slot: string;
  readonly publication: string;
}

export function streamNames({ name }: { readonly name: string }): StreamNames {
  invariant(
    /^[a-z0-9_]+$/.test(name) && name.length <= MOVE_NAME_LENGTH_MAX,
    "a move's name fits into those of slots",
  );
  return { slot: `colonnade_${name}`, publication: `colonnade_${name}` };
}

/** Before the slot, and never changed after it: a move of other tables has another name. */
export async function createPublication(source: BackendConnection, move: Move): Promise<void> {
  const { publication } = streamNames(move);
  const name = quoteLiteral(publication);
  const { rows } = await source.query(`SELECT FROM pg_publication WHERE pubname = ${name}`);
  if (rows.length > 0) return;
  const tables = move.tables.map((table) => quoteQualified(table.schema, table.name));
  // Rows of partitions come under the name that was asked for.
  const options = move.tables.some(({ isPartitioned }) => isPartitioned)
    ? " WITH (publish_via_partition_root = true)"
    : "";
  await source.query(
    `CREATE PUBLICATION ${quoteIdentifier(publication)} FOR TABLE ${tables.join(", ")}${options}`,
  );
}

const LOCK_NOT_AVAILABLE = "55P03";

/** The first PostgreSQL whose slots can follow a failover to a standby. */
const FAILOVER_SLOTS = 170000;

/**
 * Creation waits for every transaction that is writing to end, so what began before the
 * publication is over and seen by every later snapshot. Throws `migration_slot_blocked` with
 * those that do not end. Gives where the stream begins; of a slot that exists, where it goes on.
 */
export async function createSlot(
  source: BackendConnection,
  move: { readonly name: string },
  {
    signal,
    tries = MOVE_SLOT_TRIES,
    lockTimeoutMs = MOVE_SLOT_LOCK_TIMEOUT_MS,
  }: {
    readonly signal?: AbortSignal;
    readonly tries?: number;
    readonly lockTimeoutMs?: number;
  } = {},
): Promise<Lsn> {
  const name = quoteLiteral(streamNames(move).slot);
  const find = `SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = ${name}`;
  const version = Number((await source.query("SHOW server_version_num")).rows[0]?.[0]);
  const more = version >= FAILOVER_SLOTS ? ", failover => true" : "";
  const create = `SELECT lsn FROM pg_create_logical_replication_slot(${name}, 'pgoutput'${more})`;
  await source.query(`SET lock_timeout = ${lockTimeoutMs}`);
  try {
    for (let attempt = 1; ; attempt += 1) {
      signal?.throwIfAborted();
      try {
        const existing = (await source.query(find)).rows[0];
        const made = existing ?? (await source.query(create)).rows[0];
        const position = parseLsn(made?.[0] ?? "");
        invariant(position !== undefined, "a slot has a position");
        return position;
      } catch (error) {
        const isBlocked = error instanceof BackendError && error.fields.C === LOCK_NOT_AVAILABLE;
        if (!isBlocked) throw error;
        if (attempt >= tries) throw await slotBlocked(source, error);
      }
    }
  } finally {
    if (!source.isBroken) await source.query("RESET lock_timeout");
  }
}

async function slotBlocked(source: BackendConnection, cause: unknown): Promise<SqlError> {
  const { rows } = await source.query(`
SELECT format('process %s of %s, open since %s', pid, usename, xact_start) FROM pg_stat_activity
WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() ORDER BY xact_start LIMIT 5`);
  const writers = rows.map(([row]) => row).join("; ");
  return new SqlError(
    "migration_slot_blocked",
    "no replication slot could be made while transactions that write stay open",
    { detail: `The oldest are: ${writers === "" ? "gone by now" : writers}.`, cause },
  );
}

/** Of a process that was killed a moment ago, or is stopped and not dead: it may not read any more. */
export async function endWalsender(source: BackendConnection, slot: string): Promise<void> {
  await source.query(
    `SELECT pg_terminate_backend(active_pid, ${MOVE_SLOT_BUSY_MS}) FROM pg_replication_slots WHERE slot_name = ${quoteLiteral(slot)} AND active_pid IS NOT NULL`,
  );
}

/** Takes both away; what is not there is no error. The slot must not be in use. */
export async function dropStream(
  source: BackendConnection,
  move: { readonly name: string },
): Promise<void> {
  const { slot, publication } = streamNames(move);
  await source.query(
    `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = ${quoteLiteral(slot)}`,
  );
  await source.query(`DROP PUBLICATION IF EXISTS ${quoteIdentifier(publication)}`);
}
