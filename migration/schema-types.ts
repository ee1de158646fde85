/**
 * User-defined types of moved tables: made in the target, in the schema of the same name, where
 * they are missing. A type is not moved with its tables, for tables of many placements share it.
 * Types of extensions come with their extension, which the target has to have.
 */
import { quoteIdentifier, quoteLiteral, quoteQualified } from "../base/sql-quoting.ts";
import type { BackendConnection } from "../proxy/backend/backend-connection.ts";
import { tableName, type MovedTable } from "./move.ts";

interface UserType {
  readonly oid: string;
  readonly schema: string;
  readonly name: string;
  /** pg_type.typtype: `e`num, `d`omain, `c`omposite or `r`ange. */
  readonly kind: string;
}

/** In an order in which each is made after those it consists of. Run it again: what exists stays. */
export async function copyTypes(
  source: BackendConnection,
  target: BackendConnection,
  tables: readonly MovedTable[],
): Promise<void> {
  if (tables.length === 0) return;
  for (const type of await typesOf(source, tables)) {
    const name = quoteLiteral(type.name);
    const { rows } = await target.query(
      `SELECT FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = ${quoteLiteral(type.schema)} AND t.typname = ${name}`,
    );
    if (rows.length > 0) continue;
    await target.query(`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(type.schema)}`);
    for (const statement of await definitionOf(source, type)) await target.query(statement);
  }
}

/** Columns' types, their elements, bases and attributes, the deepest first. */
async function typesOf(
  source: BackendConnection,
  tables: readonly MovedTable[],
): Promise<readonly UserType[]> {
  const names = tables.map((table) => quoteLiteral(tableName(table))).join(", ");
  const { rows } = await source.query(`
WITH RECURSIVE used (oid, depth) AS (
  SELECT a.atttypid, 0 FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname || '.' || c.relname IN (${names}) AND a.attnum > 0 AND NOT a.attisdropped
  UNION
  SELECT parts.oid, used.depth + 1 FROM used JOIN pg_type t ON t.oid = used.oid
  CROSS JOIN LATERAL (
    SELECT t.typelem WHERE t.typelem <> 0
    UNION ALL SELECT t.typbasetype WHERE t.typbasetype <> 0
    UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)
    UNION ALL SELECT r.rngtypid FROM pg_range r WHERE t.oid = r.rngmultitypid
    UNION ALL SELECT a.atttypid FROM pg_attribute a
      WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
  ) parts (oid)
  WHERE used.depth < 32
)
SELECT t.oid, n.nspname, t.typname, t.typtype
FROM (SELECT oid, max(depth) AS depth FROM used GROUP BY oid) u
JOIN pg_type t ON t.oid = u.oid JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype IN ('e', 'd', 'c', 'r') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
ORDER BY u.depth DESC, t.oid`);
  return rows.map(([oid, schema, name, kind]) => ({
    oid: oid ?? "",
    schema: schema ?? "",
    name: name ?? "",
    kind: kind ?? "",
  }));
}

async function definitionOf(source: BackendConnection, type: UserType): Promise<readonly string[]> {
  const name = quoteQualified(type.schema, type.name);
  const { rows } = await source.query(DEFINITIONS[type.kind]?.(type.oid) ?? "");
  const parts = rows.map(([part]) => part ?? "");
  switch (type.kind) {
    case "e":
      return [`CREATE TYPE ${name} AS ENUM (${parts.map(quoteLiteral).join(", ")})`];
    case "c":
      return [`CREATE TYPE ${name} AS (${parts.join(", ")})`];
    case "r":
      return [`CREATE TYPE ${name} AS RANGE (${parts.join(", ")})`];
    default:
      return [`CREATE DOMAIN ${name} AS ${parts.join(" ")}`];
  }
}

const DEFINITIONS: Readonly<Record<string, (oid: string) => string>> = {
  e: (oid) => `SELECT enumlabel FROM pg_enum WHERE enumtypid = ${oid} ORDER BY enumsortorder`,
  c: (oid) => `
SELECT format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod))
  || CASE WHEN a.attcollation <> t.typcollation THEN ' COLLATE ' || a.attcollation::regcollation ELSE '' END
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = (SELECT typrelid FROM pg_type WHERE oid = ${oid}) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum`,
  r: (oid) => `
SELECT format('SUBTYPE = %s', format_type(rngsubtype, NULL)) FROM pg_range WHERE rngtypid = ${oid}
UNION ALL SELECT format('MULTIRANGE_TYPE_NAME = %s', format_type(rngmultitypid, NULL)) FROM pg_range WHERE rngtypid = ${oid}
UNION ALL SELECT format('COLLATION = %s', rngcollation::regcollation) FROM pg_range WHERE rngtypid = ${oid} AND rngcollation <> 0`,
  d: (oid) => `
SELECT format_type(typbasetype, typtypmod) FROM pg_type WHERE oid = ${oid}
UNION ALL SELECT 'COLLATE ' || t.typcollation::regcollation FROM pg_type t JOIN pg_type b ON b.oid = t.typbasetype
  WHERE t.oid = ${oid} AND t.typcollation <> b.typcollation
UNION ALL SELECT 'DEFAULT ' || typdefault FROM pg_type WHERE oid = ${oid} AND typdefault IS NOT NULL
UNION ALL SELECT 'NOT NULL' FROM pg_type WHERE oid = ${oid} AND typnotnull
UNION ALL SELECT format('CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)) FROM pg_constraint
  WHERE contypid = ${oid} AND contype = 'c'`,
};
