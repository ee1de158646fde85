/**
 * pgbench's four tables on four databases, sharded in one of two ways: everything by its
 * branch (each transaction stays with one database), or each table by its own key, as
 * pgbench's built-in script reads and writes them (a transaction spans up to three).
 */
import type { TestPostgres } from "../support/postgres.ts";

export const DATABASES = ["bank0", "bank1", "bank2", "bank3"] as const;
export const LOGICAL_SHARDS = 16;
const SHARDS_PER_DATABASE = LOGICAL_SHARDS / DATABASES.length;

export type Sharding = "by branch" | "by own key";

/** Branches; tellers and accounts per branch are `TELLERS` and `accounts`. */
export interface Scale {
  readonly branches: number;
  readonly accountsPerBranch: number;
}

export const TELLERS_PER_BRANCH = 10;

export function tpcbMap(serverOf: (database: string) => TestPostgres, sharding: Sharding): string {
  const databases = DATABASES.map((name) => `  ${name}: { primary: ${serverOf(name).url(name)} }`);
  const placements = DATABASES.map((name, index) => {
    const first = index * SHARDS_PER_DATABASE;
    return `      - { shards: ${first}-${first + SHARDS_PER_DATABASE - 1}, database: ${name} }`;
  });
  const colocation = (name: string, tables: string): string[] => [
    `  ${name}:`,
    "    shard_key: integer",
    "    function: hash",
    `    logical_shards: ${LOGICAL_SHARDS}`,
    `    tables: { ${tables} }`,
    "    placements:",
    ...placements,
  ];
  const colocations =
    sharding === "by branch"
      ? colocation(
          "branches",
          "pgbench_branches: bid, pgbench_tellers: bid, pgbench_accounts: bid, pgbench_history: bid",
        )
      : [
          ...colocation("accounts", "pgbench_accounts: aid, pgbench_history: aid"),
          ...colocation("tellers", "pgbench_tellers: tid"),
          ...colocation("branches", "pgbench_branches: bid"),
        ];
  return [
    "version: 1",
    `catalog: ${DATABASES[0]}`,
    "databases:",
    ...databases,
    "colocations:",
    ...colocations,
    "",
  ].join("\n");
}

/** Creates and fills the tables in every database, each row where its key belongs. */
export async function fillTables(
  serverOf: (database: string) => TestPostgres,
  sharding: Sharding,
  scale: Scale,
): Promise<void> {
  for (const [index, database] of DATABASES.entries()) {
    await serverOf(database).query(database, createSql(sharding));
    await serverOf(database).query(database, fillSql(sharding, scale, index));
    await serverOf(database).query(database, "VACUUM ANALYZE");
  }
}

function createSql(sharding: Sharding): string {
  const key = (own: string): string =>
    sharding === "by branch" && own !== "bid" ? `(bid, ${own})` : `(${own})`;
  return `
    DROP TABLE IF EXISTS pgbench_branches, pgbench_tellers, pgbench_accounts, pgbench_history;
    CREATE TABLE pgbench_branches (bid integer NOT NULL, bbalance integer, filler char(88), PRIMARY KEY ${key("bid")});
    CREATE TABLE pgbench_tellers (tid integer NOT NULL, bid integer NOT NULL, tbalance integer, filler char(84), PRIMARY KEY ${key("tid")});
    CREATE TABLE pgbench_accounts (aid integer NOT NULL, bid integer NOT NULL, abalance integer, filler char(84), PRIMARY KEY ${key("aid")});
    CREATE TABLE pgbench_history (tid integer, bid integer, aid integer, delta integer, mtime timestamp, filler char(22));`;
}

function fillSql(
  sharding: Sharding,
  { branches, accountsPerBranch }: Scale,
  database: number,
): string {
  const first = database * SHARDS_PER_DATABASE;
  const isHere = (key: string): string =>
    `EXISTS (SELECT FROM generate_series(${first}, ${first + SHARDS_PER_DATABASE - 1}) AS shard WHERE satisfies_hash_partition('key_parent'::regclass, ${LOGICAL_SHARDS}, shard, ${key}))`;
  const rows = (perBranch: number): string =>
    `generate_series(1, ${branches * perBranch}) AS n, LATERAL (SELECT ((n - 1) / ${perBranch} + 1)::integer AS bid) AS b`;
  const keyOf = (own: string): string => (sharding === "by branch" ? "bid" : own);
  return `
    CREATE TABLE key_parent (k integer) PARTITION BY HASH (k);
    INSERT INTO pgbench_branches SELECT n, 0 FROM generate_series(1, ${branches}) AS n WHERE ${isHere("n")};
    INSERT INTO pgbench_tellers SELECT n, bid, 0 FROM ${rows(TELLERS_PER_BRANCH)} WHERE ${isHere(keyOf("n"))};
    INSERT INTO pgbench_accounts SELECT n, bid, 0 FROM ${rows(accountsPerBranch)} WHERE ${isHere(keyOf("n"))};
    DROP TABLE key_parent;`;
}

export interface Balances {
  readonly accounts: number;
  readonly tellers: number;
  readonly branches: number;
  readonly history: number;
  readonly historyRows: number;
  readonly preparedTransactions: number;
}

/** Read directly from the databases and added up. */
export async function readBalances(
  serverOf: (database: string) => TestPostgres,
): Promise<Balances> {
  const total = {
    accounts: 0,
    tellers: 0,
    branches: 0,
    history: 0,
    historyRows: 0,
    preparedTransactions: 0,
  };
  for (const database of DATABASES) {
    const { rows } = await serverOf(database).query(
      database,
      `SELECT (SELECT coalesce(sum(abalance), 0) FROM pgbench_accounts) AS accounts,
         (SELECT coalesce(sum(tbalance), 0) FROM pgbench_tellers) AS tellers,
         (SELECT coalesce(sum(bbalance), 0) FROM pgbench_branches) AS branches,
         (SELECT coalesce(sum(delta), 0) FROM pgbench_history) AS history,
         (SELECT count(*) FROM pgbench_history) AS "historyRows",
         (SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()) AS "preparedTransactions"`,
    );
    for (const name of Object.keys(total) as (keyof Balances)[])
      total[name] += Number(rows[0]?.[name]);
  }
  return total;
}
