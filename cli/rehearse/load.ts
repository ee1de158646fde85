/** The schema file through a proxy, as any client would run it, then rows for its tables. */
import pg from "pg";
import { createLog } from "../../base/log.ts";
import { Metrics } from "../../base/metrics.ts";
import { DEFAULT_CONFIG } from "../../proxy/config/config.ts";
import { startProxy } from "../../proxy/main.ts";
import { parseShardMap } from "../../shardmap/schema.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import { EMBEDDED_SUPERUSER } from "../dev/embedded-server.ts";
import { loadSql } from "../dev/load-sql.ts";
import type { SourceStatement } from "../dev/load-sql.ts";
import { CommandFailure, reasonOf } from "../failure.ts";
import { readLiveCatalog } from "../live-databases.ts";
import { packageVersion } from "../package-root.ts";
import { readInput } from "../input-files.ts";
import type { Fleet } from "./fleet.ts";
import { connectTo } from "./fleet.ts";
import { recipesOf, REFERENCE_ROWS } from "./recipes.ts";
import type { Family, Recipes, TableRecipe } from "./recipes.ts";
import { insertOf } from "./statements.ts";

const HOST = "127.0.0.1";

const INDEXED_SQL = `SELECT c.relname || '.' || a.attname AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey) WHERE c.relnamespace::regnamespace::text = quote_ident($1)`;

export interface Loaded {
  readonly map: ShardMap;
  readonly recipes: Recipes;
}

/** `fill`: numbers of the families' rows that are there from the beginning. */
export async function loadSchema(
  fleet: Fleet,
  statements: readonly SourceStatement[],
  fill: (family: Family) => readonly number[],
  signal: AbortSignal,
): Promise<Loaded> {
  const path = fleet.mapFile("from", 1);
  const parsed = parseShardMap(readInput(path, "map"), path);
  if (!("map" in parsed)) throw new CommandFailure("the map cannot be used in a rehearsal");
  const { map } = parsed;
  await using closing = new AsyncDisposableStack();
  const proxy = await startProxy({
    map,
    config: { ...DEFAULT_CONFIG, listen: { ...DEFAULT_CONFIG.listen, host: HOST } },
    // Any free ones: the usual are those of whatever else runs on this machine.
    port: 0,
    adminPort: 0,
    version: packageVersion(),
    log: createLog("fatal"),
    metrics: new Metrics(),
  });
  closing.defer(async () => await proxy.close());
  const { port } = proxy;
  const to = { host: HOST, port, user: EMBEDDED_SUPERUSER, database: map.catalog };
  const url = `postgres://${EMBEDDED_SUPERUSER}@${HOST}:${port}/${encodeURIComponent(map.catalog)}`;
  await loadSql({ statements, url, signal });
  const indexed = new Set(
    (await fleet.query(map.catalog, INDEXED_SQL, [map.canonicalSchema])).map((row) =>
      String(row["name"]),
    ),
  );
  const isIndexed = (table: string, column: string): boolean => indexed.has(`${table}.${column}`);
  const recipes = recipesOf(await readLiveCatalog(map), map, isIndexed);
  const client = await connectTo(to);
  closing.defer(async () => await client.end());
  for (const recipe of recipes.reference) await fillReference(client, recipe);
  for (const family of recipes.families) await fillFamily(client, family, fill(family), signal);
  return { map, recipes };
}

async function fillReference(client: pg.Client, recipe: TableRecipe): Promise<void> {
  const table = pg.escapeIdentifier(recipe.table);
  const { rows } = await client.query(`SELECT 1 FROM ${table} LIMIT 1`);
  if (rows.length > 0) return;
  for (let number = 0; number < REFERENCE_ROWS; number += 1) await insert(client, recipe, number);
}

const ROWS_A_TRANSACTION = 200;

async function fillFamily(
  client: pg.Client,
  family: Family,
  numbers: readonly number[],
  signal: AbortSignal,
): Promise<void> {
  for (let from = 0; from < numbers.length; from += ROWS_A_TRANSACTION) {
    signal.throwIfAborted();
    await client.query("BEGIN");
    for (const number of numbers.slice(from, from + ROWS_A_TRANSACTION))
      for (const recipe of family) await insert(client, recipe, number);
    await client.query("COMMIT");
  }
}

async function insert(client: pg.Client, recipe: TableRecipe, number: number): Promise<void> {
  const { text, values } = insertOf(recipe, number, 0);
  try {
    await client.query(text, [...values]);
  } catch (cause) {
    throw new CommandFailure(
      `rows of table ${recipe.table} cannot be made up: ${reasonOf(cause)}. A rehearsal's schema file may leave a CHECK out, or give a column a default`,
      2,
      { cause },
    );
  }
}
