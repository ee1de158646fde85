/**
 * What the differential test runs on: databases, colocations and their placements, and
 * the shape of a table. The tables themselves are in `tables.ts`.
 */

export type TypeName =
  | "smallint"
  | "integer"
  | "bigint"
  | "uuid"
  | "text"
  | "varchar(20)"
  | "date"
  | "timestamptz"
  | "timestamp"
  | "numeric(14,2)"
  | "numeric"
  | "double precision"
  | "boolean"
  | "jsonb"
  | "bytea"
  | "interval"
  | "mood"
  | "integer[]"
  | "text[]"
  | "mood[]";

export interface ColumnModel {
  readonly name: string;
  readonly type: TypeName;
  /** Follows the type in the DDL: NOT NULL, DEFAULT, CHECK, COLLATE. */
  readonly constraint: string;
  /** Its values are the server's own (sequence, identity, random uuid) and never compared. */
  readonly isOpaque: boolean;
}

export interface TableModel {
  readonly name: string;
  readonly columns: readonly ColumnModel[];
  readonly primaryKey: readonly string[];
  readonly constraints: readonly string[];
  /** The colocation, `reference`, `billing` (the group) or `unlisted`. */
  readonly home: string;
  readonly shardKey: readonly string[];
  /** Columns that together name a parent's row, for inserts that mostly find one. */
  readonly parent?: { readonly table: string; readonly columns: readonly string[] };
}

export interface PlacementModel {
  readonly database: string;
  readonly schema: string;
}

/** `shardOf` is SQL over the key columns; its value indexes `placements`. */
export interface ColocationModel {
  readonly name: string;
  readonly yaml: string;
  readonly keyTypes: readonly TypeName[];
  readonly placements: readonly PlacementModel[];
  readonly placementOf: PlacementRule;
}

export type PlacementRule =
  /** Shards up to and with `last[i]` are on placement i. */
  | { readonly kind: "hash"; readonly logicalShards: number; readonly last: readonly number[] }
  /** SQL with `$1` for the key column, giving the placement's index. */
  | { readonly kind: "sql"; readonly sql: string };

export const DATABASES = ["main", "east", "west"] as const;

/** The first of them: it holds the canonical tables, and views. */
export const CATALOG_DATABASE = "main";

const MAIN = { database: "main", schema: "public" };
const EAST = { database: "east", schema: "public" };
const WEST = { database: "west", schema: "public" };
const WEST_B = { database: "west", schema: "shard_b" };
const EAST_B = { database: "east", schema: "shard_b" };
const FOUR = [MAIN, EAST, WEST, WEST_B];
const FOUR_OUTSIDE = [EAST, EAST_B, WEST, WEST_B];

export const COLOCATIONS: readonly ColocationModel[] = [
  hashed("users", ["bigint"], 16, [3, 7, 11, 15], FOUR),
  hashed("accounts", ["integer"], 8, [1, 3, 5, 7], FOUR_OUTSIDE),
  hashed("shops", ["text"], 12, [2, 5, 8, 11], FOUR),
  hashed("documents", ["uuid"], 480, [99, 239, 399, 479], FOUR_OUTSIDE),
  hashed("moments", ["timestamptz"], 10, [1, 4, 7, 9], FOUR),
  hashed("tenants", ["integer", "text"], 6, [0, 2, 4, 5], FOUR_OUTSIDE),
  hashed("tickets", ["bigint"], 32, [7, 15, 23, 31], FOUR),
  {
    name: "sensors",
    keyTypes: ["smallint"],
    placements: FOUR,
    yaml: ranges("smallint", FOUR, ["to: 0", "from: 0, to: 10", "from: 10, to: 100", "from: 100"]),
    placementOf: {
      kind: "sql",
      sql: "CASE WHEN $1 < 0 THEN 0 WHEN $1 < 10 THEN 1 WHEN $1 < 100 THEN 2 ELSE 3 END",
    },
  },
  {
    name: "days",
    keyTypes: ["date"],
    placements: FOUR_OUTSIDE,
    yaml: ranges("date", FOUR_OUTSIDE, [
      "to: 2023-04-01",
      "from: 2023-04-01, to: 2024-04-01",
      "from: 2024-04-01, to: 2025-04-01",
      "from: 2025-04-01, to: 2026-04-01",
    ]),
    placementOf: {
      kind: "sql",
      sql: "CASE WHEN $1 < '2023-04-01' THEN 0 WHEN $1 < '2024-04-01' THEN 1 WHEN $1 < '2025-04-01' THEN 2 ELSE 3 END",
    },
  },
  {
    name: "parcels",
    keyTypes: ["varchar(20)"],
    placements: FOUR,
    yaml: [
      "    shard_key: varchar",
      "    function: list",
      "    placements:",
      ...FOUR.map(({ database, schema }, index) => {
        const entry = [
          "values: [DE, AT, CH]",
          'values: [FR, "BE"]',
          'values: ["de", "Ü", ""]',
          "default: true",
        ][index];
        return `      - { ${entry}, database: ${database}, schema: ${schema} }`;
      }),
    ].join("\n"),
    placementOf: {
      kind: "sql",
      sql: "CASE WHEN $1 IN ('DE', 'AT', 'CH') THEN 0 WHEN $1 IN ('FR', 'BE') THEN 1 WHEN $1 IN ('de', 'Ü', '') THEN 2 ELSE 3 END",
    },
  },
];

function hashed(
  name: string,
  keyTypes: readonly TypeName[],
  logicalShards: number,
  last: readonly number[],
  placements: readonly PlacementModel[],
): ColocationModel {
  const key = keyTypes.length === 1 ? keyTypes[0] : `[${keyTypes.join(", ")}]`;
  const lines = placements.map(({ database, schema }, index) => {
    const first = index === 0 ? 0 : (last[index - 1] ?? 0) + 1;
    return `      - { shards: ${first}-${last[index]}, database: ${database}, schema: ${schema} }`;
  });
  const yaml = [
    `    shard_key: ${key}`,
    "    function: hash",
    `    logical_shards: ${logicalShards}`,
    "    placements:",
    ...lines,
  ].join("\n");
  return { name, keyTypes, placements, yaml, placementOf: { kind: "hash", logicalShards, last } };
}

function ranges(
  keyType: string,
  placements: readonly PlacementModel[],
  bounds: readonly string[],
): string {
  const lines = placements.map(
    ({ database, schema }, index) =>
      `      - { ranges: [{ ${bounds[index]} }], database: ${database}, schema: ${schema} }`,
  );
  return [`    shard_key: ${keyType}`, "    function: range", "    placements:", ...lines].join(
    "\n",
  );
}

/** The group's own database. */
export const GROUP_DATABASE = "east";

export function colocationOf(table: TableModel): ColocationModel | undefined {
  return COLOCATIONS.find(({ name }) => name === table.home);
}

export function columnOf(table: TableModel, name: string): ColumnModel {
  const found = table.columns.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`no column ${name} in ${table.name}`);
  return found;
}

/** Quoted where PostgreSQL would fold it or read a keyword. */
export function identifier(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) && name !== "order"
    ? name
    : `"${name.replaceAll('"', '""')}"`;
}
