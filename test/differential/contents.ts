/**
 * Compares whole tables: what the plain server holds, what the other side answers, and
 * what stands in each placement, where each row must be the one its key says.
 */
import type { RawClient } from "../support/raw-client.ts";
import { COLOCATIONS, DATABASES, GROUP_DATABASE, colocationOf, identifier } from "./model.ts";
import { TABLES } from "./tables.ts";
import type { TableModel } from "./model.ts";
import type { Environment } from "./environment.ts";
import type { Runner } from "./runner.ts";
import { placementSql } from "./schema.ts";

/** Differences as sentences; none is good. `isSharded`: the other side keeps its rows in the placements. */
export async function compareContents(
  { databases }: Pick<Environment, "databases">,
  { plain, other }: Pick<Runner, "plain" | "other">,
  isSharded: boolean,
): Promise<string[]> {
  const throughClient = await compareThroughClient(plain.client, other.client);
  if (!isSharded) return throughClient;
  return [
    ...throughClient,
    ...(await comparePlacements(plain.client, databases)),
    ...(await checkGeneratedKeys(plain.client, databases)),
  ];
}

/** The visible columns as one text value per row, sorted by its bytes. */
function rowsSql(table: TableModel, schema: string, also = ""): string {
  const columns = table.columns
    .filter(({ isOpaque }) => !isOpaque)
    .map(({ name }) => identifier(name));
  return `SELECT ${columns.map((name) => `${name}::text`).join(", ")}${also} FROM ${schema}.${identifier(table.name)}`;
}

const asLine = (row: readonly (string | null)[]): string => JSON.stringify(row);

/** Differences between the two sides' tables, as sentences; none is good. */
async function compareThroughClient(plain: RawClient, other: RawClient): Promise<string[]> {
  const differences: string[] = [];
  for (const table of TABLES) {
    const sql = rowsSql(table, "public");
    const want = (await plain.query(sql)).map(asLine).toSorted();
    const have = (await other.query(sql)).map(asLine).toSorted();
    const why = setDifference(want, have);
    if (why !== undefined) differences.push(`table ${table.name}: ${why}`);
  }
  return differences;
}

/** The same, read directly from the databases: each row on its placement, nothing elsewhere. */
async function comparePlacements(
  plain: RawClient,
  databases: ReadonlyMap<string, RawClient>,
): Promise<string[]> {
  const differences: string[] = [];
  for (const table of TABLES) {
    for (const [place, want] of await expectedPlaces(plain, table)) {
      const [database = "", schema = ""] = place.split(".");
      const client = databases.get(database) as RawClient;
      const have = (await client.query(rowsSql(table, schema))).map(asLine).toSorted();
      const why = setDifference(want, have);
      if (why !== undefined) differences.push(`${place}.${table.name}: ${why}`);
    }
  }
  return differences;
}

/** By `database.schema`: the rows that belong there. */
async function expectedPlaces(plain: RawClient, table: TableModel): Promise<Map<string, string[]>> {
  const colocation = colocationOf(table);
  const hasOpaqueKey = table.columns.some(
    ({ name, isOpaque }) => isOpaque && table.shardKey.includes(name),
  );
  const places = new Map<string, string[]>();
  // A key the server generates differs on both sides; `compareGeneratedKeys` looks at it.
  if (hasOpaqueKey) return places;
  if (colocation === undefined) {
    const all = (await plain.query(rowsSql(table, "public"))).map(asLine).toSorted();
    const homes =
      table.home === "reference" ? DATABASES : [table.home === "billing" ? GROUP_DATABASE : "main"];
    for (const database of homes) places.set(`${database}.public`, all);
    if (table.home === "billing") places.set("main.public", []);
    return places;
  }
  places.set("main.public", []);
  for (const { database, schema } of colocation.placements) places.set(`${database}.${schema}`, []);
  for (const row of await plain.query(rowsSql(table, "public", `, ${placementSql(table)}`))) {
    const placement = colocation.placements[Number(row.at(-1))];
    places.get(`${placement?.database}.${placement?.schema}`)?.push(asLine(row.slice(0, -1)));
  }
  for (const lines of places.values()) lines.sort();
  return places;
}

/** Keys the servers drew themselves: unique over all placements, and each where its value belongs. */
async function checkGeneratedKeys(
  plain: RawClient,
  databases: ReadonlyMap<string, RawClient>,
): Promise<string[]> {
  const differences: string[] = [];
  for (const table of TABLES.filter(({ columns, shardKey }) =>
    columns.some(({ name, isOpaque }) => isOpaque && shardKey.includes(name)),
  )) {
    const colocation = COLOCATIONS.find(({ name }) => name === table.home);
    const key = identifier(table.shardKey[0] as string);
    const seen = new Set<string>();
    for (const [index, { database, schema }] of (colocation?.placements ?? []).entries()) {
      const rows = await (databases.get(database) as RawClient).query(
        `SELECT ${key} FROM ${schema}.${identifier(table.name)}`,
      );
      const keys = rows.map(([value]) => value as string);
      for (const value of keys) {
        if (seen.has(value)) differences.push(`${table.name}: key ${value} is there twice`);
        seen.add(value);
      }
      if (keys.length === 0) continue;
      const misplaced = await plain.query(
        `SELECT k FROM (SELECT unnest(ARRAY[${keys.join(", ")}]::bigint[])) AS t (${key}), LATERAL (SELECT ${key} AS k) AS n WHERE ${placementSql(table)} <> ${index}`,
      );
      if (misplaced.length > 0)
        differences.push(
          `${database}.${schema}.${table.name}: ${misplaced.length} keys belong elsewhere`,
        );
    }
  }
  return differences;
}

function setDifference(want: readonly string[], have: readonly string[]): string | undefined {
  if (want.length === have.length && want.every((line, index) => line === have[index]))
    return undefined;
  const missing = without(want, have);
  const extra = without(have, want);
  return `${missing.length} rows missing, ${extra.length} too many; missing ${missing.slice(0, 2).join(" ")}; too many ${extra.slice(0, 2).join(" ")}`;
}

function without(lines: readonly string[], others: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const line of others) counts.set(line, (counts.get(line) ?? 0) + 1);
  return lines.filter((line) => {
    const count = counts.get(line) ?? 0;
    counts.set(line, count - 1);
    return count <= 0;
  });
}
