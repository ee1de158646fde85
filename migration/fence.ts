/**
 * The fence: triggers by which a server itself refuses writes to rows that others own, whoever
 * writes them. One transaction puts them on every table of a side and a marker into the log: it
 * waits for every writer inside, so their commits stand before the marker, and whoever comes
 * later meets the trigger. Appliers and copiers are sessions of a replica, whom it lets pass.
 *
 *     colonnade.move_fence   one row a migration and side: the highest ticket seen, and whether it is up
 *
 * What bears a lower ticket than the one seen has no effect. So neither can a fence of an attempt
 * that was given up come late, nor a late retreat take a newer fence away. Rows are never removed.
 */
import { quoteLiteral, quoteQualified } from "../base/sql-quoting.ts";
import type { BackendConnection } from "../proxy/backend/backend-connection.ts";
import { CREATE_ENGINE_SCHEMA } from "./engine-schema.ts";
import type { Side } from "./machine/life.ts";
import type { Marker } from "./target-queue.ts";

/** One server's part of one side. */
export interface Fence {
  readonly migration: string;
  /** `copied`: tables of a source whose rows it keeps, fenced for the moment of a cutover only. */
  readonly side: Side | "copied";
  readonly tables: readonly { readonly schema: string; readonly name: string }[];
}

/** Made where it is missing, by however many at once. */
export const CREATE_FENCE_STATE = `
${CREATE_ENGINE_SCHEMA}
CREATE TABLE IF NOT EXISTS colonnade.move_fence (
  migration text NOT NULL,
  side text NOT NULL,
  ticket int8 NOT NULL,
  is_up bool NOT NULL,
  PRIMARY KEY (migration, side)
);
COMMENT ON TABLE colonnade.move_fence IS 'which migrations refuse writes to their tables here, by tickets that only grow';
CREATE TABLE IF NOT EXISTS colonnade.move_revoked_read (
  migration text NOT NULL,
  side text NOT NULL,
  relid oid NOT NULL,
  column_name text NOT NULL,
  grantee oid NOT NULL,
  is_grantable bool NOT NULL,
  PRIMARY KEY (migration, side, relid, column_name, grantee)
);
COMMENT ON TABLE colonnade.move_revoked_read IS 'rights to read that a fence has taken away, to be given back with it; a column_name of none is the table';
CREATE OR REPLACE FUNCTION colonnade.refuse_write() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  RAISE EXCEPTION 'cannot write to table "%.%": migration "%" has its rows in another place', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_ARGV[0]
    USING ERRCODE = 'read_only_sql_transaction', HINT = 'Write through the proxy, which knows where they are.';
END
$$;
`;

const TRIGGER = "colonnade_fence";

/** A message of the log that the fence's own commit carries. */
const MARKER_PREFIX = "colonnade_fence";

/** For the stream of one move, which stores it when everything before it is durable. */
export function fenceMarker(move: string, ticket: number): Marker {
  return { prefix: MARKER_PREFIX, content: `${move} ${ticket}` };
}

/** The ticket of a marker that `move` has to store; undefined for every other marker. */
export function ticketOfMarker(move: string, { prefix, content }: Marker): number | undefined {
  const [name, ticket] = content.split(" ");
  return prefix === MARKER_PREFIX && name === move ? Number(ticket) : undefined;
}

/**
 * In one transaction, with `markers` in its commit. False where a higher ticket was seen.
 * `lockTimeoutMs`: for each table; whoever writes comes to wait behind it meanwhile. Throws the
 * server's 55P03 where a writer stayed inside for longer.
 */
export async function raiseFence(
  connection: BackendConnection,
  fence: Fence,
  ticket: number,
  more: {
    readonly markers: readonly Marker[];
    readonly lockTimeoutMs: number;
    /** Also reads, of everybody but the tables' owners and superusers. */
    readonly refusesReads?: boolean;
  },
): Promise<boolean> {
  return await withTicket(connection, fence, ticket, true, more.lockTimeoutMs, async () => {
    const tables = await tablesOf(connection, fence);
    const statements = [
      ...tables.map(
        (table) =>
          `CREATE OR REPLACE TRIGGER ${TRIGGER} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ${table} FOR EACH STATEMENT EXECUTE FUNCTION colonnade.refuse_write(${quoteLiteral(fence.migration)})`,
      ),
      ...more.markers.map(
        ({ prefix, content }) =>
          `SELECT pg_logical_emit_message(true, ${quoteLiteral(prefix)}, ${quoteLiteral(content)})`,
      ),
    ];
    if (statements.length > 0) await connection.query(statements.join("; "));
    if (more.refusesReads === true) await revokeReads(connection, fence);
  });
}

/**
 * Writes pass again. The triggers stay, disabled: that needs no lock that readers stand in the
 * way of, as dropping them does. False where a higher ticket was seen.
 */
export async function lowerFence(
  connection: BackendConnection,
  fence: Fence,
  ticket: number,
  lockTimeoutMs: number,
): Promise<boolean> {
  return await withTicket(connection, fence, ticket, false, lockTimeoutMs, async () => {
    const statements = (await fencedTables(connection, fence)).map(
      (table) => `ALTER TABLE ${table} DISABLE TRIGGER ${TRIGGER}`,
    );
    if (statements.length > 0) await connection.query(statements.join("; "));
    await grantReads(connection, fence);
  });
}

/** The triggers are gone; readers are waited for, for as long as `lockTimeoutMs` says. */
export async function dropFence(
  connection: BackendConnection,
  fence: Fence,
  lockTimeoutMs: number,
): Promise<void> {
  await connection.query(`SET lock_timeout = ${lockTimeoutMs}`);
  for (const table of await fencedTables(connection, fence, "any"))
    await connection.query(`DROP TRIGGER IF EXISTS ${TRIGGER} ON ${table}`);
  await connection.query("RESET lock_timeout");
}

/** Every table refuses writes, by this very ticket. */
export async function isFenceUp(
  connection: BackendConnection,
  fence: Fence,
  ticket: number,
): Promise<boolean> {
  const { rows } = await connection.query(
    `SELECT EXISTS (SELECT FROM colonnade.move_fence WHERE ${own(fence)} AND ticket = ${ticket} AND is_up)
AND NOT EXISTS (SELECT FROM (${relations(fence)}) r WHERE oid IS NOT NULL AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = r.oid AND tgname = ${quoteLiteral(TRIGGER)} AND tgenabled <> 'D'))`,
  );
  return rows[0]?.[0] === "t";
}

/** Which migration has the table refuse writes; undefined where none does. */
export async function fencingMigration(
  connection: BackendConnection,
  { schema, name }: Fence["tables"][number],
): Promise<string | undefined> {
  const { rows } = await connection.query(
    `SELECT split_part(encode(tgargs, 'escape'), '\\000', 1) FROM pg_trigger WHERE tgname = ${quoteLiteral(TRIGGER)} AND tgenabled <> 'D' AND tgrelid = to_regclass(${quoteLiteral(quoteQualified(schema, name))})`,
  );
  return rows[0]?.[0] ?? undefined;
}

async function withTicket(
  connection: BackendConnection,
  fence: Fence,
  ticket: number,
  isUp: boolean,
  lockTimeoutMs: number,
  work: () => Promise<void>,
): Promise<boolean> {
  try {
    const { rows } = await connection.query(
      `BEGIN; SET LOCAL lock_timeout = ${lockTimeoutMs}; INSERT INTO colonnade.move_fence AS seen (migration, side, ticket, is_up) VALUES (${quoteLiteral(fence.migration)}, ${quoteLiteral(fence.side)}, ${ticket}, ${isUp}) ON CONFLICT (migration, side) DO UPDATE SET ticket = excluded.ticket, is_up = excluded.is_up WHERE seen.ticket <= excluded.ticket RETURNING true`,
    );
    if (rows.length > 0) await work();
    await connection.query("COMMIT");
    return rows.length > 0;
  } catch (error) {
    if (!connection.isBroken) await connection.query("ROLLBACK");
    throw error;
  }
}

/** Written down first, in the same transaction. Who reads already goes on to the end of the statement. */
async function revokeReads(connection: BackendConnection, fence: Fence): Promise<void> {
  const { rows } = await connection.query(`
INSERT INTO colonnade.move_revoked_read
SELECT ${quoteLiteral(fence.migration)}, ${quoteLiteral(fence.side)}, g.relid, g.column_name, g.grantee, bool_or(g.is_grantable) FROM (
  SELECT c.oid AS relid, '' AS column_name, a.grantee, a.is_grantable FROM (${relations(fence)}) r JOIN pg_class c ON c.oid = r.oid
  CROSS JOIN aclexplode(c.relacl) a WHERE a.privilege_type = 'SELECT' AND a.grantee <> c.relowner
  UNION ALL
  SELECT c.oid, t.attname, a.grantee, a.is_grantable FROM (${relations(fence)}) r JOIN pg_class c ON c.oid = r.oid
  JOIN pg_attribute t ON t.attrelid = c.oid AND NOT t.attisdropped
  CROSS JOIN aclexplode(t.attacl) a WHERE a.privilege_type = 'SELECT' AND a.grantee <> c.relowner
) g GROUP BY 3, 4, 5 ON CONFLICT DO NOTHING;
SELECT DISTINCT ${GRANTEE} FROM colonnade.move_revoked_read WHERE ${own(fence)}`);
  for (const [table, grantee] of rows)
    await connection.query(`REVOKE SELECT ON ${table} FROM ${grantee} CASCADE`);
}

/** What the fence has taken away, and no more: rights of tables and roles that are gone are forgotten. */
export async function grantReads(
  connection: BackendConnection,
  fence: Pick<Fence, "migration" | "side">,
): Promise<void> {
  const { rows } = await connection.query(`
DELETE FROM colonnade.move_revoked_read WHERE ${own(fence)}
RETURNING ${GRANTEE}, CASE column_name WHEN '' THEN '' ELSE format(' (%I)', column_name) END,
  CASE WHEN is_grantable AND grantee <> 0 THEN ' WITH GRANT OPTION' ELSE '' END,
  EXISTS (SELECT FROM pg_class WHERE oid = relid) AND (grantee = 0 OR EXISTS (SELECT FROM pg_roles WHERE oid = grantee))`);
  for (const [table, grantee, column, option, isThere] of rows)
    if (isThere === "t")
      await connection.query(
        `GRANT SELECT${column ?? ""} ON ${table} TO ${grantee}${option ?? ""}`,
      );
}

const GRANTEE =
  "relid::regclass::text, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END";

function own({ migration, side }: Pick<Fence, "migration" | "side">): string {
  return `migration = ${quoteLiteral(migration)} AND side = ${quoteLiteral(side)}`;
}

/** Parents and leaves alike, for a statement trigger of a parent is not met by who writes to a leaf (R14). */
async function tablesOf(connection: BackendConnection, fence: Fence): Promise<readonly string[]> {
  const { rows } = await connection.query(
    `SELECT DISTINCT oid::regclass::text COLLATE "C" FROM (${relations(fence)}) r WHERE oid IS NOT NULL ORDER BY 1`,
  );
  return rows.map(([table]) => table ?? "");
}

async function fencedTables(
  connection: BackendConnection,
  fence: Fence,
  which: "enabled" | "any" = "enabled",
): Promise<readonly string[]> {
  const enabled = which === "any" ? "" : " AND t.tgenabled <> 'D'";
  const { rows } = await connection.query(
    `SELECT DISTINCT t.tgrelid::regclass::text COLLATE "C" FROM pg_trigger t JOIN (${relations(fence)}) r ON r.oid = t.tgrelid WHERE t.tgname = ${quoteLiteral(TRIGGER)}${enabled} ORDER BY 1`,
  );
  return rows.map(([table]) => table ?? "");
}

function relations({ tables }: Fence): string {
  if (tables.length === 0) return "SELECT NULL::oid AS oid WHERE false";
  const names = tables.map(({ schema, name }) => `(${quoteLiteral(quoteQualified(schema, name))})`);
  return `SELECT unnest(array(SELECT relid::oid FROM pg_partition_tree(t.oid)) || t.oid) AS oid FROM (SELECT to_regclass(name)::oid AS oid FROM (VALUES ${names.join(", ")}) AS named (name)) t`;
}
