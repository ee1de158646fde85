/** The shard maps under which the TPC-H tables are tried: how much of them is sharded. */

export interface Layout {
  readonly name: string;
  /** One sentence for the document. */
  readonly because: string;
  /** Under `colocations` and `reference_tables` of the map. */
  readonly yaml: string;
}

export const DATABASES = ["main", "east", "west"] as const;

/** Beside `public`, in one of the databases: one that holds two placements. */
export const SECOND_SCHEMA = { database: "west", schema: "shard_b" } as const;

const PLACEMENTS = `    placements:
      - { shards: 0-3, database: main }
      - { shards: 4-7, database: east }
      - { shards: 8-11, database: west }
      - { shards: 12-15, database: west, schema: shard_b }`;

const ORDERS = `  orders:
    shard_key: bigint
    function: hash
    logical_shards: 16
    tables: { orders: o_orderkey, lineitem: l_orderkey }
${PLACEMENTS}`;

export const LAYOUTS: readonly Layout[] = [
  {
    name: "dimensions as reference tables",
    because:
      "orders and lineitem are colocated by the order's key, and every other table is held whole in each database",
    yaml: `colocations:
${ORDERS}
reference_tables: [region, nation, supplier, customer, part, partsupp]`,
  },
  {
    name: "customers and parts sharded too",
    because:
      "customer is sharded by its own key, part and partsupp are colocated by the part's key; supplier, nation and region are reference tables",
    yaml: `colocations:
${ORDERS}
  customers:
    shard_key: integer
    function: hash
    logical_shards: 16
    tables: { customer: c_custkey }
${PLACEMENTS}
  parts:
    shard_key: integer
    function: hash
    logical_shards: 16
    tables: { part: p_partkey, partsupp: ps_partkey }
${PLACEMENTS}
reference_tables: [region, nation, supplier]`,
  },
];

/** `urlOf` gives the address of a database; a plan needs none that answers. */
export function mapYaml({ yaml }: Layout, urlOf: (database: string) => string): string {
  const databases = DATABASES.map(
    (name) => `  ${name}: { primary: ${JSON.stringify(urlOf(name))} }`,
  );
  return ["version: 1", "catalog: main", "databases:", ...databases, yaml, ""].join("\n");
}
