/** Holds every row of the source against those of the targets, by the test's own means: no code of the product has a say. */
import type { TestPostgres } from "../support/postgres.ts";
import type { Rig } from "./rig.ts";
import type { StressTable } from "./stress-tables.ts";
import { placementsOf } from "../../migration/move.ts";

export interface Differences {
  readonly rows: number;
  readonly missing: readonly string[];
  readonly extra: readonly string[];
  /** Rows of another version than the source's. */
  readonly stale: readonly string[];
}

export async function compareRows(rig: Rig, tables: readonly StressTable[]): Promise<Differences> {
  const all = { rows: 0, missing: [] as string[], extra: [] as string[], stale: [] as string[] };
  for (const table of tables) {
    const expected = await readRows(rig.source, "app", `public.${table.name}`, table);
    const places = placementsOf(table.destination);
    const found = await Promise.all(
      places.map(({ database, schema }) =>
        readRows(rig.target, database, `${schema}.${table.name}`, table),
      ),
    );
    all.rows += expected.size;
    const unions = table.destination.kind === "everywhere" ? found.map((rows) => [rows]) : [found];
    for (const union of unions) {
      const seen = new Set<string>();
      for (const rows of union)
        for (const [key, row] of rows) {
          const wanted = expected.get(key);
          if (wanted === undefined || seen.has(key)) all.extra.push(`${table.name} ${key}`);
          else if (wanted !== row) all.stale.push(`${table.name} ${key}: ${row}, not ${wanted}`);
          seen.add(key);
        }
      for (const key of expected.keys())
        if (!seen.has(key)) all.missing.push(`${table.name} ${key}`);
    }
  }
  return all;
}

async function readRows(
  server: TestPostgres,
  database: string,
  name: string,
  { keyColumns }: StressTable,
): Promise<ReadonlyMap<string, string>> {
  const { rows } = await server.query(
    database,
    `SELECT ROW(${keyColumns})::text AS key, t::text AS row FROM ${name} t`,
  );
  return new Map(rows.map(({ key, row }) => [String(key), String(row)]));
}
