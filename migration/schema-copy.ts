/**
 * Makes the moved tables in a target as they are on the source: `createTables` before the rows,
 * with what rows need (columns, checks, the identity's index); `finishTables` after them, with
 * what is made faster at once than row by row (other indexes, foreign keys) and what must not
 * act while rows are copied (triggers).
 *
 * Every step may be run again: what is there stays. Names that PostgreSQL prints are qualified,
 * for search_path is empty on both sides; those of the table itself become the placement's.
 * Left out: owners and privileges (who makes a table owns it, as with the proxy's own DDL).
 */
import { quoteIdentifier, quoteLiteral, quoteQualified } from "../base/sql-quoting.ts";
import { SqlError } from "../base/sql-error.ts";
import type { BackendConnection } from "../proxy/backend/backend-connection.ts";
import { GUARD_CONSTRAINT } from "../shardmap/guard.ts";
import { targetName } from "./apply-statements.ts";
import { tableName, type Move } from "./move.ts";
import { columnDefinitions, type Sequence, sequencesOf } from "./schema-columns.ts";
import { copyTypes } from "./schema-types.ts";
import { targetGuard } from "./shard-conditions.ts";
import { type TargetTable, TargetTables } from "./target-change.ts";

/** A trigger of this prefix is the migration's own, and stays where it is. */
export const OWN_TRIGGER_PREFIX = "colonnade_";

export async function createTables(
  source: BackendConnection,
  target: BackendConnection,
  move: Move,
): Promise<void> {
  const tables = targetsIn(move, target);
  await copyTypes(source, target, [...new Set(tables.map((table) => table.source))]);
  for (const table of tables) {
    await target.query(`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(table.schema)}`);
    await inTransaction(target, () => createTable(source, target, table));
  }
}

type IsEverywhere = (table: { readonly schema: string; readonly name: string }) => boolean;

/** `isEverywhere`: of tables that each database has under the same name, so that a foreign key to one is kept. */
export async function finishTables(
  source: BackendConnection,
  target: BackendConnection,
  move: Move,
  isEverywhere: IsEverywhere = () => false,
): Promise<void> {
  const tables = targetsIn(move, target);
  for (const table of tables) {
    await createConstraints(source, target, table, ["u", "x"]);
    await createIndexes(source, target, table);
    await target.query(`ANALYZE ${targetName(table)}`);
  }
  // Every table has its keys by now, so a foreign key finds what it names.
  for (const table of tables)
    await createForeignKeys(source, target, table, { move, isEverywhere });
  for (const table of tables) await createTriggers(source, target, table);
}

/** Foreign keys, and what is unique beside the key that rows are found by: `finishTables` makes them again. */
export async function dropKeys(target: BackendConnection, move: Move): Promise<void> {
  const tables = targetsIn(move, target);
  for (const kind of ["f", "u", "x"])
    for (const table of tables) {
      const name = targetName(table);
      const { rows } = await target.query(`
SELECT k.conname FROM pg_constraint k LEFT JOIN pg_index i ON i.indexrelid = k.conindid
WHERE k.conrelid = ${quoteLiteral(name)}::regclass AND k.conparentid = 0 AND k.contype = '${kind}'
  AND (k.contype = 'f' OR NOT i.indisreplident)`);
      for (const [constraint] of rows)
        await target.query(
          `ALTER TABLE ${name} DROP CONSTRAINT ${quoteIdentifier(constraint ?? "")}`,
        );
    }
  for (const table of tables) {
    const { rows } = await target.query(`
SELECT i.indexrelid::regclass FROM pg_index i
WHERE i.indrelid = ${quoteLiteral(targetName(table))}::regclass AND i.indisunique AND NOT i.indisprimary AND NOT i.indisreplident
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)`);
    for (const [index] of rows) await target.query(`DROP INDEX ${index ?? ""}`);
  }
}

function targetsIn(move: Move, target: BackendConnection): readonly TargetTable[] {
  const tables = new TargetTables(move);
  return move.tables.flatMap((table) => tables.in(table, target.database));
}

async function createTable(
  source: BackendConnection,
  target: BackendConnection,
  table: TargetTable,
): Promise<void> {
  if (await exists(target, table, table.source.name)) return;
  const [facts] = (await source.query(tableFacts(table))).rows;
  const [partitionKey, options, hasRowSecurity, hasRules] = facts ?? [];
  if (hasRowSecurity === "t" || hasRules === "t")
    throw new SqlError(
      "migration_table_unsupported",
      `table "${tableName(table.source)}" cannot be moved: it has ${hasRules === "t" ? "rules" : "row-level security"}`,
      { hint: "Drop them, and make them again in the target once the migration is complete." },
    );
  const sequences = await sequencesOf(source, table);
  for (const sequence of sequences) await target.query(createSequence(sequence));
  const columns = await columnDefinitions(source, table, sequences);
  const checks = (await source.query(constraints(table, ["c"]))).rows.flatMap(
    ([name, definition]) => {
      const check = name === GUARD_CONSTRAINT ? targetGuard(table) : definition;
      return check === undefined ? [] : [`CONSTRAINT ${quoteIdentifier(name ?? "")} ${check}`];
    },
  );
  const more = [
    partitionKey === null || partitionKey === undefined ? "" : ` PARTITION BY ${partitionKey}`,
    options === null || options === undefined ? "" : ` WITH (${options})`,
  ];
  await target.query(
    `CREATE TABLE ${targetName(table)} (${[...columns, ...checks].join(", ")})${more.join("")}`,
  );
  for (const { name, column } of sequences)
    await target.query(
      `ALTER SEQUENCE ${name} OWNED BY ${targetName(table)}.${quoteIdentifier(column)}`,
    );
  await createPartitions(source, target, table);
  await createConstraints(source, target, table, ["p"]);
  await createIdentity(source, target, table);
}

function createSequence({ name, type, options }: Sequence): string {
  return `CREATE SEQUENCE ${name} AS ${type} ${options}`;
}

function tableFacts({ source }: TargetTable): string {
  return `
SELECT CASE c.relkind WHEN 'p' THEN pg_get_partkeydef(c.oid) END,
  array_to_string(c.reloptions, ', '), c.relrowsecurity, c.relhasrules
FROM pg_class c WHERE c.oid = ${regclass(source)}`;
}

/** Partitions of any depth, parents first. */
async function createPartitions(
  source: BackendConnection,
  target: BackendConnection,
  table: TargetTable,
): Promise<void> {
  if (!table.source.isPartitioned) return;
  const { rows } = await source.query(`
SELECT c.relname, p.relname, pg_get_expr(c.relpartbound, c.oid),
  CASE c.relkind WHEN 'p' THEN ' PARTITION BY ' || pg_get_partkeydef(c.oid) ELSE '' END
FROM pg_partition_tree(${regclass(table.source)}) t
JOIN pg_class c ON c.oid = t.relid JOIN pg_class p ON p.oid = t.parentrelid
ORDER BY t.level, c.relname`);
  const schema = quoteIdentifier(table.schema);
  for (const [name, parent, bound, key] of rows)
    await target.query(
      `CREATE TABLE ${schema}.${quoteIdentifier(name ?? "")} PARTITION OF ${schema}.${quoteIdentifier(parent ?? "")} ${bound ?? ""}${key ?? ""}`,
    );
}

/** Of these kinds of pg_constraint.contype, those that the target has not. */
async function createConstraints(
  source: BackendConnection,
  target: BackendConnection,
  table: TargetTable,
  kinds: readonly string[],
): Promise<void> {
  const { rows } = await source.query(constraints(table, kinds));
  for (const [name = "", definition = ""] of rows) {
    if (await hasConstraint(target, table, name ?? "")) continue;
    await target.query(
      `ALTER TABLE ${targetName(table)} ADD CONSTRAINT ${quoteIdentifier(name ?? "")} ${definition ?? ""}`,
    );
  }
}

function constraints({ source }: TargetTable, kinds: readonly string[]): string {
  return `
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = ${regclass(source)} AND contype IN (${kinds.map(quoteLiteral).join(", ")}) ORDER BY conname`;
}

async function hasConstraint(
  target: BackendConnection,
  table: TargetTable,
  name: string,
): Promise<boolean> {
  const { rows } = await target.query(
    `SELECT FROM pg_constraint WHERE conrelid = ${quoteLiteral(targetName(table))}::regclass AND conname = ${quoteLiteral(name)}`,
  );
  return rows.length > 0;
}

/** An index that is not the primary key's and is the replica identity: rows are found by it. */
async function createIdentity(
  source: BackendConnection,
  target: BackendConnection,
  table: TargetTable,
): Promise<void> {
  const { rows } = await source.query(`
SELECT c.relname, pg_get_indexdef(i.indexrelid), ${printedName(table)} FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = ${regclass(table.source)} AND i.indisreplident`);
  for (const [name, definition, printed] of rows) {
    await target.query(retargeted(definition ?? "", printed ?? "", table));
    await target.query(
      `ALTER TABLE ${targetName(table)} REPLICA IDENTITY USING INDEX ${quoteIdentifier(name ?? "")}`,
    );
  }
  if (table.source.oldRows === "full")
    await target.query(`ALTER TABLE ${targetName(table)} REPLICA IDENTITY FULL`);
}

async function createIndexes(
  source: BackendConnection,
  target: BackendConnection,
  table: TargetTable,
): Promise<void> {
  const { rows } = await source.query(`
SELECT c.relname, pg_get_indexdef(i.indexrelid), ${printedName(table)} FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = ${regclass(table.source)} AND i.indisvalid
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
ORDER BY c.relname`);
  for (const [name, definition, printed] of rows) {
    if (await exists(target, table, name ?? "")) continue;
    await target.query(retargeted(definition ?? "", printed ?? "", table));
  }
}

/** `CREATE INDEX i ON public.users USING ...`, for the placement's table. */
function retargeted(definition: string, name: string, table: TargetTable): string {
  for (const on of [` ON ONLY ${name} `, ` ON ${name} `])
    if (definition.includes(on)) return definition.replace(on, () => ` ON ${targetName(table)} `);
  throw new SqlError(
    "migration_table_unsupported",
    `table "${tableName(table.source)}" has an index or a trigger whose definition does not name it`,
    { detail: definition },
  );
}

async function createForeignKeys(
  source: BackendConnection,
  target: BackendConnection,
  table: TargetTable,
  { move, isEverywhere }: { readonly move: Move; readonly isEverywhere: IsEverywhere },
): Promise<void> {
  const { rows } = await source.query(`
SELECT k.conname, pg_get_constraintdef(k.oid), n.nspname, c.relname, format('%I.%I', n.nspname, c.relname)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.confrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.conrelid = ${regclass(table.source)} AND k.contype = 'f' AND k.conparentid = 0 ORDER BY k.conname`);
  for (const [name, definition, schema, referenced, printed] of rows) {
    if (await hasConstraint(target, table, name ?? "")) continue;
    const key = { schema: schema ?? "", name: referenced ?? "" };
    const beside = referencedTable(move, table, key);
    const home = isEverywhere(key) ? printed : beside && targetName(beside);
    if (home === undefined)
      throw new SqlError(
        "migration_table_unsupported",
        `foreign key "${name ?? ""}" of table "${tableName(table.source)}" refers to "${tableName(key)}", which does not move with it`,
        { hint: "Move both tables, make the other one a reference table, or drop the key." },
      );
    const retold = (definition ?? "").replace(
      ` REFERENCES ${printed ?? ""}(`,
      () => ` REFERENCES ${home}(`,
    );
    await target.query(
      `ALTER TABLE ${targetName(table)} ADD CONSTRAINT ${quoteIdentifier(name ?? "")} ${retold}`,
    );
  }
}

/** Beside the table in its placement, or the only one in its database. */
function referencedTable(
  move: Move,
  table: TargetTable,
  key: { readonly schema: string; readonly name: string },
): TargetTable | undefined {
  const tables = new TargetTables(move);
  const candidates = move.tables
    .filter(({ schema, name }) => schema === key.schema && name === key.name)
    .flatMap((source) => tables.in(source, table.database));
  const beside = candidates.find(({ schema }) => schema === table.schema);
  return beside ?? (candidates.length === 1 ? candidates[0] : undefined);
}

async function createTriggers(
  source: BackendConnection,
  target: BackendConnection,
  table: TargetTable,
): Promise<void> {
  const { rows } = await source.query(`
SELECT tgname, pg_get_triggerdef(oid), ${printedName(table)}, tgenabled FROM pg_trigger
WHERE tgrelid = ${regclass(table.source)} AND NOT tgisinternal AND tgparentid = 0
  AND NOT starts_with(tgname, ${quoteLiteral(OWN_TRIGGER_PREFIX)}) ORDER BY tgname`);
  for (const [name, definition, printed, enabled] of rows) {
    const { rows: existing } = await target.query(
      `SELECT FROM pg_trigger WHERE tgrelid = ${quoteLiteral(targetName(table))}::regclass AND tgname = ${quoteLiteral(name ?? "")}`,
    );
    if (existing.length > 0) continue;
    await target.query(retargeted(definition ?? "", printed ?? "", table));
    if (enabled === "D")
      await target.query(
        `ALTER TABLE ${targetName(table)} DISABLE TRIGGER ${quoteIdentifier(name ?? "")}`,
      );
  }
}

/** The source's table as its server prints it inside a definition. */
function printedName({ source }: TargetTable): string {
  return `format('%I.%I', ${quoteLiteral(source.schema)}::text, ${quoteLiteral(source.name)}::text)`;
}

function regclass(source: TargetTable["source"]): string {
  const name = quoteQualified(source.schema, source.name);
  return `${quoteLiteral(name)}::regclass`;
}

/** A table or an index. */
async function exists(
  target: BackendConnection,
  { schema }: TargetTable,
  name: string,
): Promise<boolean> {
  const { rows } = await target.query(
    `SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ${quoteLiteral(schema)} AND c.relname = ${quoteLiteral(name)}`,
  );
  return rows.length > 0;
}

async function inTransaction(
  connection: BackendConnection,
  work: () => Promise<void>,
): Promise<void> {
  await connection.query("BEGIN");
  try {
    await work();
    await connection.query("COMMIT");
  } catch (error) {
    if (!connection.isBroken) await connection.query("ROLLBACK");
    throw error;
  }
}
