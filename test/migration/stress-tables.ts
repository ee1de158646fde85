/** Tables of the exactness stress: keys of several types, each way that rows are spread over targets. */
import { databaseName } from "../../base/ids.ts";
import type { PlannedMove, PlannedTable } from "../../migration/move.ts";
import { placement } from "./rig.ts";

export const TARGETS = ["t1", "t2"] as const;

const PLACES = [
  placement("t1", "a"),
  placement("t1", "b"),
  placement("t2", "a"),
  placement("t2", "b"),
];

export interface StressTable {
  readonly name: string;
  readonly definition: string;
  /** SQL of the columns of a row's key, from a number of the key space. */
  readonly key: (number: string) => string;
  readonly keyColumns: string;
  readonly destination: PlannedTable["destination"];
}

/** Two of four shards in each target database. */
function sharded(
  column: string,
  type: "bigint" | "text" | "uuid" | "integer",
): PlannedTable["destination"] {
  return {
    kind: "sharded",
    key: [{ column, type }],
    function: { kind: "hash", logicalShards: 8 },
    placementByShard: [...PLACES, ...PLACES],
  };
}

const VALUES = "version int NOT NULL, note text, pad text";

export const STRESS_TABLES: readonly StressTable[] = [
  {
    name: "numbers",
    definition: `id bigint PRIMARY KEY, ${VALUES}`,
    key: (number) => number,
    keyColumns: "id",
    destination: sharded("id", "bigint"),
  },
  {
    name: "texts",
    definition: `id text PRIMARY KEY, ${VALUES}`,
    key: (number) => `'k' || md5((${number})::text)`,
    keyColumns: "id",
    destination: sharded("id", "text"),
  },
  {
    name: "uuids",
    definition: `id uuid PRIMARY KEY, ${VALUES}`,
    key: (number) => `md5((${number})::text)::uuid`,
    keyColumns: "id",
    destination: sharded("id", "uuid"),
  },
  {
    name: "pairs",
    definition: `tenant int, part text, ${VALUES}, PRIMARY KEY (tenant, part)`,
    key: (number) => `(${number}) % 40, 'p' || (${number}) / 40`,
    keyColumns: "tenant, part",
    destination: sharded("tenant", "integer"),
  },
  {
    name: "prices",
    // Numeric keys have no order that is told outside of PostgreSQL: the table is one chunk.
    definition: `id numeric PRIMARY KEY, ${VALUES}`,
    key: (number) => `(${number})::numeric / 4`,
    keyColumns: "id",
    destination: { kind: "one", placement: placement("t2", "a") },
  },
  {
    name: "countries",
    definition: `id int PRIMARY KEY, ${VALUES}`,
    key: (number) => number,
    keyColumns: "id",
    destination: { kind: "everywhere", placements: [placement("t1", "a"), placement("t2", "a")] },
  },
];

export function stressMove(name: string, tables: readonly StressTable[]): PlannedMove {
  return {
    name,
    source: databaseName("source"),
    tables: tables.map(({ name: table, destination }) => ({
      schema: "public",
      name: table,
      destination,
    })),
  };
}

/** In the schema that the session's search_path names first. */
export function createTables(tables: readonly StressTable[]): string {
  return tables.map(({ name, definition }) => `CREATE TABLE ${name} (${definition});`).join("\n");
}

export function fillTables(tables: readonly StressTable[], keys: number): string {
  return tables
    .map(
      ({ name, key }) =>
        `INSERT INTO ${name} SELECT ${key("i")}, 0, 'first', repeat('x', 100) FROM generate_series(1, ${keys}, 2) i ON CONFLICT DO NOTHING;`,
    )
    .join("\n");
}
