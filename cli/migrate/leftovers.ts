/**
 * What migrations leave in a database, and how each kind of it is taken away. Whether a migration
 * that is under way needs it is told by its name, or by that of one of its moves.
 */
import { quoteIdentifier, quoteLiteral } from "../../base/sql-quoting.ts";
import { FENCE_LOCK_TIMEOUT_MS } from "../../base/limits.ts";
import { hasEngineTable } from "../../migration/engine-schema.ts";
import { grantReads } from "../../migration/fence.ts";
import { RETIRED_SCHEMA } from "../../migration/orchestrator/clean-up.ts";
import { BackendError } from "../../proxy/backend/backend-connection.ts";
import type { BackendConnection } from "../../proxy/backend/backend-connection.ts";

export type LeftKind =
  | "slot"
  | "publication"
  | "origin"
  /** Refuses writes to a table, or did and is disabled. */
  | "fence"
  /** Rights to read that a fence has taken away. */
  | "revoked rights"
  /** Refuses that tables are altered. */
  | "guard"
  | "event trigger"
  /** How far a stream was, and what it was of. */
  | "progress";

export interface Leftover {
  readonly database: string;
  readonly kind: LeftKind;
  readonly name: string;
  readonly outcome: Outcome;
}

export type Outcome =
  | { readonly kind: "found" | "removed" }
  | { readonly kind: "stays"; readonly because: string };

/** Of the migrations that are under way. */
export interface Needed {
  readonly migrations: ReadonlySet<string>;
  /** There and back. */
  readonly moves: ReadonlySet<string>;
}

interface Found {
  readonly kind: LeftKind;
  readonly name: string;
  readonly remove: string | (() => Promise<void>);
}

/** `clean`: takes it away; what a server refuses stays, with its words. */
export async function leftoversIn(
  connection: BackendConnection,
  needed: Needed,
  clean: boolean,
): Promise<readonly Leftover[]> {
  const { database } = connection;
  const found = [
    ...(await streamsLeft(connection, needed)),
    ...(await fencesLeft(connection, needed)),
    ...(await guardsLeft(connection, needed)),
    ...(await progressLeft(connection, needed)),
  ];
  const left: Leftover[] = [];
  for (const { kind, name, remove } of found) {
    const outcome = clean ? await removed(connection, remove) : { kind: "found" as const };
    left.push({ database, kind, name, outcome });
  }
  return left;
}

async function removed(connection: BackendConnection, remove: Found["remove"]): Promise<Outcome> {
  try {
    if (typeof remove === "string") await connection.query(remove);
    else await remove();
    return { kind: "removed" };
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    return { kind: "stays", because: error.fields.M ?? "the server refuses" };
  }
}

/** Every name of ours begins so: see streamNames and originName. */
const PREFIX = "colonnade_";
const OURS = quoteLiteral(PREFIX.replace("_", "\\_") + "%");

async function streamsLeft(
  connection: BackendConnection,
  { moves }: Needed,
): Promise<readonly Found[]> {
  // Origins are of the whole server: each is of the database that its name ends with.
  const { rows } = await connection.query(
    `SELECT 'slot', slot_name, slot_name FROM pg_catalog.pg_replication_slots WHERE slot_name LIKE ${OURS} AND database = pg_catalog.current_database()
UNION ALL SELECT 'publication', pubname, pubname FROM pg_catalog.pg_publication WHERE pubname LIKE ${OURS}
UNION ALL SELECT 'origin', roname, pg_catalog.split_part(roname, '@', 1) FROM pg_catalog.pg_replication_origin
  WHERE roname LIKE ${OURS} AND pg_catalog.split_part(roname, '@', 2) = ${quoteLiteral(connection.database)} ORDER BY 1 DESC, 2`,
  );
  const removal: Readonly<Record<string, (name: string) => string>> = {
    slot: (name) => `SELECT pg_catalog.pg_drop_replication_slot(${quoteLiteral(name)})`,
    publication: (name) => `DROP PUBLICATION ${quoteIdentifier(name)}`,
    origin: (name) => `SELECT pg_catalog.pg_replication_origin_drop(${quoteLiteral(name)})`,
  };
  return rows.flatMap(([kind, name = "", stream]) =>
    moves.has((stream ?? "").slice(PREFIX.length))
      ? []
      : [
          {
            kind: kind as LeftKind,
            name: name ?? "",
            remove: removal[kind ?? ""]?.(name ?? "") ?? "",
          },
        ],
  );
}

async function fencesLeft(
  connection: BackendConnection,
  { migrations }: Needed,
): Promise<readonly Found[]> {
  // Its argument, which ends with a zero byte, is the migration's name. Retired tables are to stay as they are.
  const { rows } = await connection.query(
    `SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), pg_catalog.regexp_replace(pg_catalog.encode(t.tgargs, 'escape'), '\\\\000$', '')
FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE t.tgname = 'colonnade_fence' AND n.nspname <> ${quoteLiteral(RETIRED_SCHEMA)} ORDER BY 1`,
  );
  const found: Found[] = rows.flatMap(([table, migration]) =>
    migrations.has(migration ?? "")
      ? []
      : [
          {
            kind: "fence",
            name: `on ${table}`,
            remove: `SET lock_timeout = ${FENCE_LOCK_TIMEOUT_MS}; DROP TRIGGER colonnade_fence ON ${table}`,
          },
        ],
  );
  if (!(await hasEngineTable(connection, "move_revoked_read"))) return found;
  const revoked = await connection.query(
    "SELECT DISTINCT migration, side FROM colonnade.move_revoked_read ORDER BY 1, 2",
  );
  for (const [migration = "", side] of revoked.rows)
    if (!migrations.has(migration ?? ""))
      found.push({
        kind: "revoked rights",
        name: `of ${migration}`,
        remove: async () => {
          const fence = {
            migration: migration ?? "",
            side: side === "targets" ? "targets" : "sources",
          } as const;
          await grantReads(connection, fence);
        },
      });
  return found;
}

async function guardsLeft(
  connection: BackendConnection,
  { migrations }: Needed,
): Promise<readonly Found[]> {
  const guarded = (await hasEngineTable(connection, "guarded_table"))
    ? (await connection.query("SELECT DISTINCT migration FROM colonnade.guarded_table ORDER BY 1"))
        .rows
    : [];
  const names = guarded.map(([name]) => name ?? "");
  const found: Found[] = names
    .filter((name) => !migrations.has(name))
    .map((name) => ({
      kind: "guard",
      name: `of ${name}`,
      remove: `DELETE FROM colonnade.guarded_table WHERE migration = ${quoteLiteral(name)}`,
    }));
  if (names.some((name) => migrations.has(name))) return found;
  // They are there for as long as anybody has a guarded table.
  const triggers = await connection.query(
    "SELECT evtname FROM pg_catalog.pg_event_trigger WHERE evtname IN ('colonnade_guard_ddl', 'colonnade_guard_drop') ORDER BY 1",
  );
  return [
    ...found,
    ...triggers.rows.map(([name]): Found => ({
      kind: "event trigger",
      name: name ?? "",
      remove: `DROP EVENT TRIGGER ${quoteIdentifier(name ?? "")}`,
    })),
  ];
}

async function progressLeft(
  connection: BackendConnection,
  { moves }: Needed,
): Promise<readonly Found[]> {
  const found: Found[] = [];
  for (const table of ["move_progress", "move_chunk", "move_table"] as const) {
    if (!(await hasEngineTable(connection, table))) continue;
    const { rows } = await connection.query(
      `SELECT DISTINCT move FROM colonnade.${table} ORDER BY 1`,
    );
    for (const [move = ""] of rows)
      if (!moves.has(move ?? ""))
        found.push({
          kind: "progress",
          name: `of ${move} in ${table}`,
          remove: `DELETE FROM colonnade.${table} WHERE move = ${quoteLiteral(move ?? "")}`,
        });
  }
  return found;
}
