/**
 * Guards that stand where a map asks for none: of an older map, or copied with a table past the
 * proxy. They refuse the rows that belong there. Looked for where the
 * map has rows of no colocation; what stands elsewhere is nobody's to serve.
 */
import { unreachable } from "../../base/invariant.ts";
import { GUARD_CONSTRAINT } from "../../shardmap/guard.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import type { Guard } from "./guards.ts";

/** What the map asks of the rows there: nothing. */
const ANY_ROW = "true";

export async function strayGuards(
  connection: BackendConnection,
  map: ShardMap,
): Promise<readonly Guard[]> {
  // A partition's own, and not the one that its parent gives it, and takes away.
  const { rows } = await connection.query(
    `SELECT n.nspname, c.relname
       FROM pg_catalog.pg_constraint k
       JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE k.conname = '${GUARD_CONSTRAINT}' AND k.contype = 'c' AND k.coninhcount = 0
      ORDER BY 1, 2`,
  );
  return rows
    .map(([schema, table]) => ({
      database: connection.database,
      schema: schema ?? "",
      table: table ?? "",
      condition: ANY_ROW,
    }))
    .filter((guard) => hasUnguardedRows(map, guard));
}

/** Whether rows of the table live there that no guard is asked for. */
function hasUnguardedRows(map: ShardMap, { database, schema, table }: Guard): boolean {
  const listed = map.tables.get(table);
  switch (listed?.kind) {
    case undefined:
      return database === map.catalog && schema === map.canonicalSchema;
    case "group":
      return database === listed.group.database && schema === listed.group.schema;
    case "reference":
      return schema === map.canonicalSchema;
    case "sharded":
      return false;
    default:
      return unreachable(listed);
  }
}
