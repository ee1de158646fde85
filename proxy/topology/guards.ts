/**
 * The guards that a map asks for: in each placement, and in each canonical table whose rows all
 * live elsewhere, one CHECK. What is in it is shardmap/guard.ts's; here is where it stands, how
 * it is put there, and whether what stands there is it.
 */
import type { DatabaseName } from "../../base/ids.ts";
import { invariant } from "../../base/invariant.ts";
import { GUARD_LOCK_TIMEOUT_MS } from "../../base/limits.ts";
import { quoteLiteral, quoteQualified } from "../../base/sql-quoting.ts";
import {
  EMPTY_TABLE_GUARD,
  GUARD_CONSTRAINT,
  isCanonicalTableEmpty,
  placementGuard,
} from "../../shardmap/guard.ts";
import type { MapTable, ShardMap } from "../../shardmap/shard-map.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";

export interface Guard {
  readonly database: DatabaseName;
  readonly schema: string;
  readonly table: string;
  /** What stands inside CHECK ( ). */
  readonly condition: string;
}

type ShardedTable = Extract<MapTable, { kind: "sharded" }>;

/** In the map's order; of each table its canonical place last, where that is to be empty. */
export function guardsOf(map: ShardMap): readonly Guard[] {
  return [...map.tables.values()].flatMap((table) => [
    ...(table.kind === "sharded"
      ? table.colocation.placements.map((place) => guardAt(place, table))
      : []),
    ...(isCanonicalTableEmpty(map, table) ? [emptyTableGuard(map, table)] : []),
  ]);
}

/** Of a table whose rows all live elsewhere: a row there would be seen by nobody. */
export function emptyTableGuard(map: ShardMap, { name }: MapTable): Guard {
  return {
    database: map.catalog,
    schema: map.canonicalSchema,
    table: name,
    condition: EMPTY_TABLE_GUARD,
  };
}

/** Of a placement, which is the table's. */
export function guardAt(
  { database, schema }: Pick<Guard, "database" | "schema">,
  { colocation, keyColumns, name }: ShardedTable,
): Guard {
  const placement = colocation.placements.find(
    (each) => each.database === database && each.schema === schema,
  );
  invariant(placement !== undefined, "a guard of rows stands in a placement of their table");
  const condition = placementGuard(colocation, placement, keyColumns);
  return { database, schema, table: name, condition };
}

function target({ schema, table }: Pick<Guard, "schema" | "table">): string {
  return quoteQualified(schema, table);
}

/** Whole, with pg_catalog first in search_path, where it always is unless somebody moved it. */
export function addGuard(guard: Guard): string {
  return `ALTER TABLE ${target(guard)} ADD CONSTRAINT ${GUARD_CONSTRAINT} CHECK (${guard.condition})`;
}

export function dropGuard(guard: Pick<Guard, "schema" | "table">): string {
  return `ALTER TABLE ${target(guard)} DROP CONSTRAINT IF EXISTS ${GUARD_CONSTRAINT}`;
}

/**
 * `unchecked`: it holds for what is written from now on, and nobody has looked at older rows.
 * `different` is also one that says the right thing and does not keep everybody to it: NO INHERIT
 * lets rows into an inheriting table, NOT ENFORCED into this one. Neither can be validated or altered
 * into a guard on every server; it is made anew.
 */
export type GuardState = "right" | "missing" | "different" | "unchecked" | "no table";

function relationOf(guard: Guard): string {
  return `pg_catalog.to_regclass(${quoteLiteral(target(guard))})`;
}

export async function hasTable(connection: BackendConnection, guard: Guard): Promise<boolean> {
  const { rows } = await connection.query(`SELECT ${relationOf(guard)} IS NOT NULL`);
  return rows[0]?.[0] === "t";
}

export async function guardState(connection: BackendConnection, guard: Guard): Promise<GuardState> {
  if (!(await hasTable(connection, guard))) return "no table";
  const relation = relationOf(guard);
  const { rows } = await connection.query(
    // conenforced is a column from PostgreSQL 18 on: before, all are.
    `SELECT pg_catalog.pg_get_expr(conbin, conrelid), convalidated,
            NOT connoinherit AND coalesce(pg_catalog.to_jsonb(pg_constraint) ->> 'conenforced', 'true') = 'true'
       FROM pg_catalog.pg_constraint
      WHERE conrelid = ${relation} AND conname = '${GUARD_CONSTRAINT}' AND contype = 'c'`,
  );
  const [found] = rows;
  if (found === undefined) return "missing";
  const isBinding = found[2] === "t";
  if (!isBinding || found[0] !== (await expectedExpression(connection, guard))) return "different";
  return found[1] === "t" ? "right" : "unchecked";
}

/** As the server prints it once it has read it: of a table like the guarded one, which is never committed. */
async function expectedExpression(
  connection: BackendConnection,
  guard: Guard,
): Promise<string | null | undefined> {
  const copy = "pg_temp.colonnade_guarded";
  const { rows } = await connection.query(`
BEGIN;
CREATE TEMPORARY TABLE ${copy} (LIKE ${target(guard)}) ON COMMIT DROP;
ALTER TABLE ${copy} ADD CONSTRAINT ${GUARD_CONSTRAINT} CHECK (${guard.condition});
SELECT pg_catalog.pg_get_expr(conbin, conrelid) FROM pg_catalog.pg_constraint
 WHERE conrelid = '${copy}'::pg_catalog.regclass AND conname = '${GUARD_CONSTRAINT}';
ROLLBACK`);
  return rows[0]?.[0];
}

/**
 * Puts it in force for new rows at once, under a lock that waits for nobody long, and then looks
 * at the rows that are there, while they are read and written. Throws the server's 23514 where
 * some belong elsewhere: the guard stays in force for new ones.
 */
export async function installGuard(
  connection: BackendConnection,
  guard: Guard,
  state: GuardState,
): Promise<void> {
  if (state !== "unchecked") {
    await connection.query(
      `BEGIN; SET LOCAL lock_timeout = ${GUARD_LOCK_TIMEOUT_MS}; ${dropGuard(guard)}; ${addGuard(guard)} NOT VALID; COMMIT`,
    );
  }
  await connection.query(
    `SET lock_timeout = ${GUARD_LOCK_TIMEOUT_MS}; ALTER TABLE ${target(guard)} VALIDATE CONSTRAINT ${GUARD_CONSTRAINT}; RESET lock_timeout`,
  );
}

/** A partition's, which its parent has given it, goes with its parent's. */
export async function removeGuard(connection: BackendConnection, guard: Guard): Promise<void> {
  const { rows } = await connection.query(
    `SELECT FROM pg_catalog.pg_constraint
      WHERE conrelid = ${relationOf(guard)} AND conname = '${GUARD_CONSTRAINT}' AND contype = 'c' AND coninhcount > 0`,
  );
  if (rows.length > 0) return;
  await connection.query(
    `BEGIN; SET LOCAL lock_timeout = ${GUARD_LOCK_TIMEOUT_MS}; ${dropGuard(guard)}; COMMIT`,
  );
}
