/** What a migration that is over must not leave, asked of every database itself. Sentences. */
import { isDeepStrictEqual } from "node:util";
import { quoteQualified } from "../../base/sql-quoting.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import type { Fleet } from "./fleet.ts";
import { placesOfTable } from "./table-places.ts";

const LEFT_SQL = `
SELECT 'slot ' || slot_name AS left FROM pg_replication_slots WHERE database = current_database()
UNION ALL SELECT 'publication ' || pubname FROM pg_publication
UNION ALL SELECT 'event trigger ' || evtname FROM pg_event_trigger
UNION ALL SELECT 'trigger ' || tgname || ' on ' || tgrelid::regclass FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid
  WHERE tgname LIKE 'colonnade%' AND c.relnamespace::regnamespace::text NOT IN ('colonnade', 'colonnade_retired')
UNION ALL SELECT 'origin ' || roname FROM pg_replication_origin
UNION ALL SELECT 'prepared transaction ' || gid FROM pg_prepared_xacts WHERE database = current_database()`;

const STATE_TABLES = ["move_progress", "move_chunk", "move_table"];

export async function leftovers(fleet: Fleet): Promise<readonly string[]> {
  const found: string[] = [];
  for (const database of fleet.databases) {
    const left = (await fleet.query(database, LEFT_SQL)).map((row) => String(row["left"]));
    for (const table of STATE_TABLES) {
      const [there] = await fleet.query(database, `SELECT to_regclass('colonnade.${table}') AS t`);
      if (there?.["t"] === null) continue;
      const [count] = await fleet.query(
        database,
        `SELECT count(*)::int AS n FROM colonnade.${table}`,
      );
      if (Number(count?.["n"]) > 0) left.push(`${String(count?.["n"])} rows in colonnade.${table}`);
    }
    found.push(...left.map((what) => `${database}: ${what}`));
  }
  const intents = await fleet.askControl(
    "SELECT migration || ' has made ' || kind || ' ' || name || ' in ' || database AS left FROM colonnade.migration_object UNION ALL SELECT migration || ' claims ' || object FROM colonnade.migration_claim UNION ALL SELECT 'hold ' || name FROM colonnade.hold WHERE ended_at IS NULL UNION ALL SELECT 'lease of ' || placement || ' for ' || owner FROM colonnade.leased",
  );
  return [...found, ...intents.map((row) => String(row["left"]))];
}

/** Sequences of the moved tables that would give a number which is taken. */
export async function sequencesBehind(
  fleet: Fleet,
  { before, map }: { readonly before: ShardMap; readonly map: ShardMap },
): Promise<readonly string[]> {
  const found: string[] = [];
  const owned = await fleet.query(
    map.catalog,
    `SELECT c.relname AS name, a.attname AS column, pg_get_serial_sequence(quote_ident(n.nspname) || '.' || quote_ident(c.relname), a.attname) AS sequence
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND pg_get_serial_sequence(quote_ident(n.nspname) || '.' || quote_ident(c.relname), a.attname) IS NOT NULL`,
    [map.canonicalSchema],
  );
  for (const { name, column } of owned as readonly {
    readonly name: string;
    readonly column: string;
  }[]) {
    const entry = map.tables.get(name);
    if (entry === undefined || entry.kind === "reference") continue;
    const places = placesOfTable(map, name);
    if (isDeepStrictEqual(places, placesOfTable(before, name))) continue;
    const maxima = await Promise.all(
      places.map(async ({ database, place }) => {
        const [row] = await fleet.query(
          database,
          `SELECT max("${column}")::text AS max FROM ${place}`,
        );
        return Number(row?.["max"] ?? 0);
      }),
    );
    // A sharded table draws from the canonical one's sequence, a group's table from its own.
    const [home] = entry.kind === "group" ? places : [];
    const database = home?.database ?? map.catalog;
    const table = home?.place ?? quoteQualified(map.canonicalSchema, name);
    const [sequence] = await fleet.query(
      database,
      "SELECT pg_get_serial_sequence($1, $2) AS name",
      [table, column],
    );
    if (typeof sequence?.["name"] !== "string") {
      found.push(`${name}.${column} has no sequence in ${database}`);
      continue;
    }
    const [state] = await fleet.query(
      database,
      `SELECT last_value::text AS last FROM ${sequence["name"]}`,
    );
    const highest = Math.max(...maxima);
    if (Number(state?.["last"]) < highest)
      found.push(
        `${sequence["name"]} in ${database} is at ${String(state?.["last"])}, and ${name}.${column} has ${highest}`,
      );
  }
  return found;
}
