/** What a map that takes tables out of the one before, or unlisted ones away from it, leaves in the databases. */
import { BACKEND_CONNECT_TIMEOUT_MS } from "../base/limits.ts";
import type { DatabaseName } from "../base/ids.ts";
import { quoteLiteral } from "../base/sql-quoting.ts";
import { homesOf } from "../planner/ddl/table-homes.ts";
import type { BackendConnection } from "../proxy/backend/backend-connection.ts";
import type { Catalog, CatalogRelation } from "../shardmap/catalog.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";
import { CommandFailure, reasonAndRemedy } from "./failure.ts";
import { askDatabases } from "./live-databases.ts";

interface TableName {
  readonly schema: string;
  readonly name: string;
}

export interface LeftTables {
  /** Those that stand in a database that had their rows: by name, as `users0.public`. */
  readonly homes: ReadonlyMap<string, string>;
  /** Sentences: of databases that cannot be asked. */
  readonly unread: readonly string[];
}

/**
 * Which of the tables that `next` lists no more are there still. The catalog database alone does not
 * tell: a table that was dropped there, past the proxies, has its rows where it lives.
 */
export async function leftTables(before: ShardMap, next: ShardMap): Promise<LeftTables> {
  const wanted = new Map<DatabaseName, TableName[]>();
  for (const [name, table] of before.tables) {
    if (next.tables.has(name)) continue;
    for (const { database, schema } of homesOf(table, before)) {
      const ofDatabase = wanted.get(database) ?? [];
      ofDatabase.push({ schema, name });
      wanted.set(database, ofDatabase);
    }
  }
  const homes = new Map<string, string>();
  const unread: string[] = [];
  await Promise.all(
    [...wanted].map(async ([database, tables]) => {
      try {
        const [present] = await askDatabases(before, [tables], () => database, presentIn);
        for (const [schema, name] of present ?? []) homes.set(name, `${database}.${schema}`);
      } catch (error) {
        const names = tables.map(({ name }) => name).join(", ");
        const reason = reasonAndRemedy(error);
        unread.push(
          `whether ${names} still stands in database ${database} cannot be told: ${reason}`,
        );
      }
    }),
  );
  return { homes, unread };
}

/** Of the tables that one of the maps alone lists: whether there is one, wherever it has its rows. Throws CommandFailure. */
export async function tableExistence(
  before: ShardMap,
  next: ShardMap,
): Promise<(table: string) => boolean> {
  const names = [...new Set([...before.tables.keys(), ...next.tables.keys()])].filter(
    (name) => before.tables.has(name) !== next.tables.has(name),
  );
  if (names.length === 0) return () => false;
  const schema = before.canonicalSchema;
  const asked = names.map((name) => ({ schema, name }));
  const [canonical] = await askDatabases(before, [asked], () => before.catalog, presentIn);
  const { homes, unread } = await leftTables(before, next);
  if (unread.length > 0) throw new CommandFailure(unread.join("; "));
  const present = new Set([...(canonical ?? []).map(([, name]) => name), ...homes.keys()]);
  return (table) => present.has(table);
}

async function presentIn(
  connection: BackendConnection,
  tables: readonly TableName[],
): Promise<readonly (readonly [schema: string, name: string])[]> {
  const pairs = tables.map(
    ({ schema, name }) => `(${quoteLiteral(schema)}, ${quoteLiteral(name)})`,
  );
  const { rows } = await connection.query(
    `SELECT n.nspname, c.relname FROM pg_catalog.pg_class c
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE (n.nspname, c.relname) IN (${pairs.join(", ")})`,
    AbortSignal.timeout(BACKEND_CONNECT_TIMEOUT_MS),
  );
  return rows.map(([schema, name]) => [schema ?? "", name ?? ""]);
}

/** Tables that every statement would be refused for from now on. */
export interface NewlyRefused {
  /** A sentence of those whose rows nobody could reach any more. */
  readonly problem?: string;
  /** A sentence of the others. */
  readonly warning?: string;
}

export async function newlyRefused(
  before: ShardMap,
  next: ShardMap,
  { relations }: Catalog,
): Promise<NewlyRefused> {
  if (before.unlistedTables !== "catalog" || next.unlistedTables !== "error") return {};
  const refused = [...(relations.get(next.canonicalSchema)?.values() ?? [])].filter(
    ({ name, kind }) => HAS_ROWS.has(kind) && !next.tables.has(name),
  );
  const [filled = new Set()] = await askDatabases(
    next,
    [refused.map(({ oid }) => oid)],
    () => next.catalog,
    withData,
  );
  const namesOf = (isFilled: boolean): string =>
    refused
      .filter(({ oid }) => filled.has(String(oid)) === isFilled)
      .map(({ name }) => name)
      .join(", ");
  const [full, empty] = [namesOf(true), namesOf(false)];
  return {
    ...(full !== "" && {
      problem: `${next.catalog}: unlisted_tables: error would refuse every statement on tables that have rows, and that no map lists: ${full}. List them in a group (in this database, they stay where they are), or keep unlisted_tables: catalog`,
    }),
    ...(empty !== "" && {
      warning: `${next.catalog}: unlisted_tables is error from now on, and these are there: ${empty}. Statements that name them are refused until they are listed`,
    }),
  };
}

const HAS_ROWS: ReadonlySet<CatalogRelation["kind"]> = new Set<CatalogRelation["kind"]>([
  "table",
  "partitioned table",
  "foreign table",
]);

/** Those of the relations, or of their partitions, that are not empty: by their files, which everybody may ask for. */
async function withData(
  connection: BackendConnection,
  oids: readonly number[],
): Promise<ReadonlySet<string | null>> {
  if (oids.length === 0) return new Set();
  const { rows } = await connection.query(
    `SELECT c.oid FROM pg_catalog.pg_class c WHERE c.oid IN (${oids.join(", ")})
       AND (c.relkind = 'f' OR pg_catalog.pg_relation_size(c.oid) > 0 OR EXISTS (
         SELECT FROM pg_catalog.pg_partition_tree(c.oid) t WHERE pg_catalog.pg_relation_size(t.relid) > 0))`,
    AbortSignal.timeout(BACKEND_CONNECT_TIMEOUT_MS),
  );
  return new Set(rows.map(([oid]) => oid ?? null));
}
