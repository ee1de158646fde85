/** Findings about a table that rows come from. */
import { quoteLiteral, quoteQualified } from "../../base/sql-quoting.ts";
import type { BackendConnection } from "../../proxy/backend/backend-connection.ts";
import { isCopied, tableName } from "../move.ts";
import type { PlannedTable } from "../move.ts";
import { finding } from "./findings.ts";
import type { Finding, FindingId } from "./findings.ts";

export interface TableReport {
  readonly findings: readonly Finding[];
  /** By the server's own estimate, indexes included. */
  readonly bytes: number;
  readonly rows: number;
  /** Of the types and functions that its columns and indexes need. */
  readonly extensions: readonly string[];
}

export interface MovedTogether {
  /** Tables of the same schema that move with it. */
  readonly tables: ReadonlySet<string>;
  readonly referenceTables: ReadonlySet<string>;
}

export async function sourceTableReport(
  connection: BackendConnection,
  table: PlannedTable,
  together: MovedTogether,
): Promise<TableReport> {
  const found: Finding[] = [];
  const add: Add = (id, object, message) => {
    found.push(finding(id, connection.database, object, message));
  };
  const name = tableName(table);
  const { rows } = await connection.query(tableFacts(table));
  const [facts] = rows;
  if (facts === undefined) {
    add("table_missing", name, "does not exist");
    return { findings: found, bytes: 0, rows: 0, extensions: [] };
  }
  const [oid = "", kind, ...rest] = facts.map((fact) => fact ?? "");
  if (kind !== "r" && kind !== "p")
    add("not_a_table", name, "is a view, or something else without rows of its own");
  else await findInTable(connection, table, { oid, kind, rest, together, add });
  const [bytes, count, extensions] = rest.slice(8);
  return {
    findings: found,
    bytes: Number(bytes),
    rows: Number(count),
    extensions: (extensions ?? "").split(" ").filter((extension) => extension !== ""),
  };
}

type Add = (id: FindingId, object: string, message: string) => void;

interface Facts {
  readonly oid: string;
  readonly kind: string;
  readonly rest: readonly string[];
  readonly together: MovedTogether;
  readonly add: Add;
}

async function findInTable(
  connection: BackendConnection,
  table: PlannedTable,
  { oid, rest, together, add }: Facts,
): Promise<void> {
  const name = tableName(table);
  const [
    persistence,
    identity,
    identityColumns = "",
    hasChildren,
    isHidden,
    isOwner,
    frozenAge,
    freezeMax,
  ] = rest;
  if (persistence === "u") add("unlogged", name, "is not logged");
  if (identity === "n") add("identity_nothing", name, "has REPLICA IDENTITY NOTHING");
  else if (identity === "f") add("identity_full", name, "has REPLICA IDENTITY FULL");
  else if (identityColumns === "") add("no_identity", name, "has no primary key");
  else missingKeyColumns(table, identityColumns, add);
  if (hasChildren === "t")
    add("inherited", name, "has children by inheritance, whose rows are seen through it");
  if (isHidden === "t")
    add("row_security", name, "has row-level security, which hides rows from the role");
  if (isOwner !== "t")
    add("not_owner", name, "is owned by a role whose rights the role does not have");
  if (Number(frozenAge) > 0.9 * Number(freezeMax))
    add("wraparound_near", name, `was frozen ${frozenAge} transactions ago`);
  for (const question of QUESTIONS) {
    const { rows } = await connection.query(question.sql(oid));
    for (const row of rows)
      question.tell(
        row.map((value) => value ?? ""),
        { table, together, add },
      );
  }
}

/** The stream then tells of a deleted row whose shard it cannot tell (failure 3). */
function missingKeyColumns(table: PlannedTable, identity: string, add: Add): void {
  if (table.destination.kind !== "sharded") return;
  const columns = JSON.parse(identity) as readonly string[];
  const missing = table.destination.key.filter(({ column }) => !columns.includes(column));
  if (missing.length > 0)
    add(
      "identity_without_key",
      tableName(table),
      `is told apart by (${columns.join(", ")}), without its shard key (${missing.map(({ column }) => column).join(", ")})`,
    );
}

interface Question {
  readonly sql: (oid: string) => string;
  readonly tell: (
    row: readonly string[],
    about: { readonly table: PlannedTable; readonly together: MovedTogether; readonly add: Add },
  ) => void;
}

const QUESTIONS: readonly Question[] = [
  {
    sql: (oid) =>
      `SELECT a.attname, t.typname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = ${oid} AND a.attnum > 0 AND NOT a.attisdropped AND (t.typname = 'lo' OR t.oid = 'oid'::regtype AND EXISTS (SELECT FROM pg_largeobject_metadata))`,
    tell: ([column = "", type], { table, add }) =>
      add(
        "large_objects",
        `${tableName(table)}.${column}`,
        `is of type ${type}, and may refer to large objects`,
      ),
  },
  {
    sql: (oid) =>
      `SELECT tgname FROM pg_trigger WHERE tgrelid = ${oid} AND NOT tgisinternal AND tgenabled IN ('A', 'R')`,
    tell: ([trigger], { table, add }) =>
      add(
        "trigger_in_replica",
        tableName(table),
        `has trigger "${trigger}", which fires for replicated rows`,
      ),
  },
  {
    sql: (oid) => `SELECT conname FROM pg_constraint WHERE conrelid = ${oid} AND contype = 'x'`,
    tell: ([constraint], { table, add }) => {
      if (table.destination.kind === "sharded")
        add(
          "exclusion_constraint",
          tableName(table),
          `has the exclusion constraint "${constraint}"`,
        );
    },
  },
  {
    sql: (oid) =>
      `SELECT c.conname, n.nspname, f.relname, 'refers to' FROM pg_constraint c JOIN pg_class f ON f.oid = c.confrelid JOIN pg_namespace n ON n.oid = f.relnamespace WHERE c.conrelid = ${oid} AND c.contype = 'f' AND c.conparentid = 0
UNION ALL
SELECT c.conname, n.nspname, f.relname, 'is referred to by' FROM pg_constraint c JOIN pg_class f ON f.oid = c.conrelid JOIN pg_namespace n ON n.oid = f.relnamespace WHERE c.confrelid = ${oid} AND c.contype = 'f' AND c.conparentid = 0`,
    tell: ([constraint, schema, other = "", verb], { table, together, add }) => {
      const movesToo = schema === table.schema && together.tables.has(other);
      const isEverywhere = verb === "refers to" && together.referenceTables.has(other);
      // A table that is copied stays as well, with whoever refers to it.
      if (verb === "is referred to by" && isCopied(table)) return;
      if (!movesToo && !isEverywhere)
        add(
          "foreign_key_cut",
          tableName(table),
          `${verb} ${schema}.${other}, which does not move with it, by "${constraint}"`,
        );
    },
  },
  {
    sql: (oid) =>
      `SELECT DISTINCT s.srsubid FROM pg_subscription_rel s WHERE s.srrelid IN (SELECT relid FROM pg_partition_tree(${oid}) UNION SELECT ${oid}::oid::regclass)`,
    tell: ([subscription], { table, add }) =>
      add("subscribed", tableName(table), `is written to by subscription ${subscription}`),
  },
];

function tableFacts({ schema, name }: PlannedTable): string {
  const table = quoteLiteral(quoteQualified(schema, name));
  return `
SELECT c.oid, c.relkind, c.relpersistence, c.relreplident,
  (SELECT json_agg(a.attname ORDER BY a.attnum) FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) WHERE i.indrelid = c.oid AND ${IDENTITY}),
  NOT c.relispartition AND c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid),
  row_security_active(c.oid),
  pg_has_role(c.relowner, 'USAGE'),
  (SELECT max(age(p.relfrozenxid)) FROM ${TREE} t JOIN pg_class p ON p.oid = t.relid WHERE p.relfrozenxid <> '0'),
  current_setting('autovacuum_freeze_max_age'),
  (SELECT coalesce(sum(pg_total_relation_size(t.relid)), 0) FROM ${TREE} t),
  (SELECT coalesce(sum(greatest(p.reltuples, 0)), 0)::int8 FROM ${TREE} t JOIN pg_class p ON p.oid = t.relid WHERE p.relkind = 'r'),
  (SELECT string_agg(DISTINCT e.extname, ' ') FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid IN (y.oid, y.typelem, y.typbasetype) AND d.deptype = 'e' JOIN pg_extension e ON e.oid = d.refobjid WHERE a.attrelid = c.oid AND NOT a.attisdropped)
FROM pg_class c WHERE c.oid = to_regclass(${table})`;
}

/** The table with its partitions; pg_partition_tree knows only those. */
const TREE = "(SELECT c.oid AS relid UNION SELECT relid FROM pg_partition_tree(c.oid))";

/** The index by which the stream tells rows apart: `relreplident` says which. */
const IDENTITY =
  "CASE c.relreplident WHEN 'i' THEN i.indisreplident WHEN 'd' THEN i.indisprimary ELSE false END";
