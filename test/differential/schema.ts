/**
 * Makes the model's tables: on one plain PostgreSQL, and spread over the map's databases.
 *
 * The databases are set up directly and not through the proxy, so that the two sides
 * differ in nothing but the proxy's answers; DDL through the proxy has its own test.
 */
import {
  CATALOG_DATABASE,
  COLOCATIONS,
  DATABASES,
  GROUP_DATABASE,
  colocationOf,
  columnOf,
  identifier,
} from "./model.ts";
import { TABLES } from "./tables.ts";
import { viewsSql } from "./views.ts";
import type { TableModel } from "./model.ts";
import type { RawClient } from "../support/raw-client.ts";

/** The shard map in YAML; `urls` by the databases' names. */
export function mapYaml(urls: ReadonlyMap<string, string>): string {
  const databases = DATABASES.map(
    (name) => `  ${name}: { primary: ${JSON.stringify(urls.get(name))} }`,
  );
  const colocations = COLOCATIONS.map(({ name, yaml }) => {
    const tables = TABLES.filter(({ home }) => home === name).map((table) => {
      const [only, ...more] = table.shardKey;
      const key = more.length === 0 ? JSON.stringify(only) : `[${table.shardKey.join(", ")}]`;
      return `      ${JSON.stringify(table.name)}: ${key}`;
    });
    return [`  ${name}:`, yaml, "    tables:", ...tables].join("\n");
  });
  const named = (home: string): string =>
    TABLES.filter((table) => table.home === home)
      .map(({ name }) => name)
      .join(", ");
  return [
    "version: 1",
    "catalog: main",
    "databases:",
    ...databases,
    "colocations:",
    ...colocations,
    "groups:",
    `  billing: { database: ${GROUP_DATABASE}, tables: [${named("billing")}] }`,
    `reference_tables: [${named("reference")}]`,
    "unlisted_tables: catalog",
    "",
  ].join("\n");
}

/** All tables, in one database. */
export async function createPlain(client: RawClient): Promise<void> {
  await client.query(
    `${typesSql()}; ${inSchema("public", TABLES)}; ${viewsSql()}; ${shardCheckSql()}`,
  );
}

/** Canonical tables in the catalog database, and each placement's own. `clients` by the databases' names. */
export async function createSharded(clients: ReadonlyMap<string, RawClient>): Promise<void> {
  for (const [index, name] of DATABASES.entries()) {
    const client = clients.get(name) as RawClient;
    await client.query(`${differentOidsSql(index)}; ${typesSql()}`);
    for (const [schema, tables] of schemasOf(name)) {
      if (schema !== "public") await client.query(`CREATE SCHEMA ${schema}`);
      await client.query(inSchema(schema, tables));
    }
    if (name === CATALOG_DATABASE) await client.query(viewsSql());
  }
}

/** Which tables stand in which schema of the database, `public` first. */
function schemasOf(database: string): Map<string, readonly TableModel[]> {
  const reference = TABLES.filter(({ home }) => home === "reference");
  const schemas = new Map<string, readonly TableModel[]>();
  const isHere = (table: TableModel, schema: string): boolean => {
    if (schema === "public" && database === "main") return true;
    if (table.home === "billing") return schema === "public" && database === GROUP_DATABASE;
    const placements = colocationOf(table)?.placements ?? [];
    return placements.some(
      (placement) => placement.database === database && placement.schema === schema,
    );
  };
  for (const schema of ["public", "shard_b"]) {
    const own = TABLES.filter((table) => table.home !== "reference" && isHere(table, schema));
    if (own.length > 0) schemas.set(schema, schema === "public" ? [...reference, ...own] : own);
  }
  return schemas;
}

function inSchema(schema: string, tables: readonly TableModel[]): string {
  const path = schema === "public" ? "public" : `${schema}, public`;
  return [`SET search_path = ${path}`, ...tables.flatMap(tableSql), "RESET search_path"].join(
    ";\n",
  );
}

function tableSql(table: TableModel): string[] {
  const columns = table.columns.map(
    ({ name, type, constraint }) => `${identifier(name)} ${type} ${constraint}`,
  );
  const key = `PRIMARY KEY (${table.primaryKey.map(identifier).join(", ")})`;
  const create = `CREATE TABLE ${identifier(table.name)} (${[...columns, key, ...table.constraints].join(", ")})`;
  const sequence = table.columns.flatMap(
    ({ constraint }) => /nextval\('(\w+)'\)/.exec(constraint)?.[1] ?? [],
  );
  return [...sequence.map((name) => `CREATE SEQUENCE ${name}`), create];
}

function typesSql(): string {
  return [
    "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy', 'Über')",
    "ALTER TYPE mood ADD VALUE 'meh' BEFORE 'ok'",
    "CREATE FUNCTION double_of(integer) RETURNS integer IMMUTABLE LANGUAGE sql RETURN $1 * 2",
  ].join("; ");
}

/** A user-defined type gets another OID in every database, as it does in life. */
function differentOidsSql(count: number): string {
  return [
    "SELECT 1",
    ...Array.from({ length: count }, (_, index) => `CREATE TYPE spare_${index} AS ENUM ('x')`),
  ].join("; ");
}

/** Partitioned parents without partitions: what `satisfies_hash_partition` needs to hash a key. */
function shardCheckSql(): string {
  const parents = COLOCATIONS.map(({ name, keyTypes }) => {
    const columns = keyTypes.map((type, index) => `k${index} ${type}`).join(", ");
    const keys = keyTypes.map((_, index) => `k${index}`).join(", ");
    return `CREATE TABLE shard_check.${name} (${columns}) PARTITION BY HASH (${keys})`;
  });
  return ["CREATE SCHEMA shard_check", ...parents].join("; ");
}

/** SQL over the table's columns: the index of the placement its key belongs to. */
export function placementSql(table: TableModel): string {
  const colocation = colocationOf(table);
  if (colocation === undefined) throw new Error(`${table.name} is not sharded`);
  const keys = table.shardKey.map((name) => `${identifier(name)}::${columnOf(table, name).type}`);
  const rule = colocation.placementOf;
  if (rule.kind === "sql") return rule.sql.replaceAll("$1", keys[0] as string);
  const shard = `(SELECT s FROM generate_series(0, ${rule.logicalShards - 1}) s WHERE satisfies_hash_partition('shard_check.${colocation.name}'::regclass, ${rule.logicalShards}, s, ${keys.join(", ")}))`;
  return `(SELECT count(*) FROM unnest(ARRAY[${rule.last.join(", ")}]) last WHERE ${shard} > last)`;
}
