/**
 * What the source's catalog says of the tables of a move: their columns, their identity, and
 * how keys are ordered. Refuses a table whose rows cannot be told apart in the stream.
 */
import { quoteLiteral } from "../base/sql-quoting.ts";
import { SqlError } from "../base/sql-error.ts";
import type { BackendConnection } from "../proxy/backend/backend-connection.ts";
import {
  tableName,
  type KeyOrder,
  type Move,
  type MovedColumn,
  type MovedTable,
  type PlannedMove,
  type PlannedTable,
} from "./move.ts";

/** The move with what its tables are, as of now. Throws `migration_table_unsupported`. */
export async function describeMove(source: BackendConnection, planned: PlannedMove): Promise<Move> {
  const tables: MovedTable[] = [];
  for (const table of planned.tables) tables.push(await describeTable(source, table));
  return { ...planned, tables };
}

async function describeTable(
  source: BackendConnection,
  planned: PlannedTable,
): Promise<MovedTable> {
  const refuse = (why: string, hint: string): never => {
    throw new SqlError(
      "migration_table_unsupported",
      `table "${tableName(planned)}" cannot be moved: ${why}`,
      { hint },
    );
  };
  const [facts] = (await source.query(tableFacts(planned))).rows;
  if (facts === undefined) return refuse("it does not exist", "Correct the shard map.");
  const [oid = "", kind, persistence, replicaIdentity, identityIndex] = facts.map(
    (fact) => fact ?? "",
  );
  if (kind !== "r" && kind !== "p")
    return refuse("it is not a table", "Views and foreign tables have no rows of their own.");
  if (persistence !== "p")
    return refuse("it is not logged", "ALTER TABLE ... SET LOGGED, or copy it by hand.");
  if (replicaIdentity === "n")
    return refuse("its replica identity is NOTHING", "ALTER TABLE ... REPLICA IDENTITY DEFAULT.");
  const columns = (await source.query(columnFacts(oid))).rows.map(columnOf);
  if (identityIndex === "")
    return refuse(
      "it has no primary key",
      "Add one, or name a unique index as its replica identity.",
    );
  const numbers = (await source.query(indexColumns(identityIndex ?? ""))).rows.map(
    ([name]) => name,
  );
  const identity = numbers.map((name) => columns.findIndex((column) => column.name === name));
  if (identity.includes(-1))
    return refuse(
      "its identity has a generated column",
      "Name another unique index as its replica identity.",
    );
  const table: MovedTable = {
    ...planned,
    columns,
    identity,
    oldRows: replicaIdentity === "f" ? "full" : "identity",
    isPartitioned: kind === "p",
  };
  const blind = shardKeyOutsideIdentity(table);
  if (blind !== undefined)
    return refuse(
      `its shard key column "${blind}" is not in its replica identity`,
      "Add the column to the primary key, or ALTER TABLE ... REPLICA IDENTITY FULL.",
    );
  return table;
}

/** A change of such a column would not say where the row was. */
function shardKeyOutsideIdentity(table: MovedTable): string | undefined {
  const { destination, identity, columns, oldRows } = table;
  if (destination.kind !== "sharded" || oldRows === "full") return undefined;
  const named = new Set(identity.map((index) => columns[index]?.name));
  return destination.key.find(({ column }) => !named.has(column))?.column;
}

/** The identity's index: of REPLICA IDENTITY USING INDEX, else the primary key, else under FULL a whole unique one. */
function tableFacts({ schema, name }: PlannedTable): string {
  return `
SELECT c.oid, c.relkind, c.relpersistence, c.relreplident, (
  SELECT i.indexrelid FROM pg_index i
  WHERE i.indrelid = c.oid AND i.indisvalid AND i.indisunique AND i.indimmediate
    AND i.indpred IS NULL AND i.indexprs IS NULL
    AND CASE c.relreplident WHEN 'i' THEN i.indisreplident WHEN 'd' THEN i.indisprimary ELSE
      i.indisprimary OR NOT EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid
        AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]) AND NOT a.attnotnull) END
  ORDER BY i.indisprimary DESC, i.indexrelid LIMIT 1)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ${quoteLiteral(schema)} AND c.relname = ${quoteLiteral(name)}`;
}

/** Types of initdb have the same OIDs everywhere; others are numbered by each database. */
const FIRST_USER_OID = 16384;

function columnFacts(oid: string): string {
  return `
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.atttypid, a.atttypmod, a.attnotnull,
  a.attidentity = 'a',
  CASE
    WHEN b.oid IN (20, 21, 23) THEN 'integer'
    WHEN b.oid IN (17, 2950) THEN 'hexBytes'
    WHEN b.oid IN (25, 1043) AND (l.collprovider = 'b' OR l.collcollate IN ('C', 'POSIX')
      OR l.oid = 100 AND (d.datlocprovider = 'b'
        OR d.datlocprovider = 'c' AND d.datcollate IN ('C', 'POSIX'))) THEN 'textBytes'
  END,
  -- Arrays and composites hold their parts' OIDs, regclass and its like are OIDs.
  t.typsend <> 0 AND b.typname NOT LIKE 'reg%' AND CASE
    WHEN b.typtype IN ('b', 'e') AND b.typcategory <> 'A' THEN true
    ELSE b.typtype IN ('b', 'r', 'm') AND b.oid < ${FIRST_USER_OID} END
FROM pg_attribute a
JOIN pg_type t ON t.oid = a.atttypid
JOIN pg_type b ON b.oid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END
LEFT JOIN pg_collation l ON l.oid = a.attcollation
CROSS JOIN (SELECT * FROM pg_database WHERE datname = current_database()) d
WHERE a.attrelid = ${oid} AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attnum`;
}

function columnOf(facts: readonly (string | null)[]): MovedColumn {
  const [name, type, oid, typmod, notNull, always, order, portable] = facts;
  return {
    name: name ?? "",
    type: type ?? "",
    typeOid: Number(oid),
    typmod: Number(typmod),
    notNull: notNull === "t",
    isAlwaysIdentity: always === "t",
    order: (order ?? undefined) as KeyOrder | undefined,
    isBinaryPortable: portable === "t",
  };
}

function indexColumns(oid: string): string {
  return `
SELECT a.attname FROM pg_index i
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, position)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indexrelid = ${oid} AND k.position <= i.indnkeyatts ORDER BY k.position`;
}
