/**
 * The bank as its databases have it: opened with the same amount in every account, and read past
 * the proxies when the tellers have stopped. What brings proxies and servers down is not known here.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { TestPostgres } from "../../support/postgres.ts";
import type { RawClient } from "../../support/raw-client.ts";
import type { Ledger, Side } from "./ledger.ts";

export const CATALOG = "home";
export const DATABASES = ["bank0", "bank1", "bank2", "bank3"] as const;
export const LOGICAL_SHARDS = 32;
export const ACCOUNTS = 10_000;
export const OPENING_AMOUNT = 1_000;
export const OPENING_TOTAL = ACCOUNTS * OPENING_AMOUNT;

export interface Bank {
  serverOf(database: string): TestPostgres;
  /** To one of the proxies that are up: as a load balancer does. */
  connect(preferred: number): Promise<RawClient>;
}

/** The map of its databases: each has an equal share of the accounts. */
export function bankMap(version: number, url: (database: string) => string): string {
  const share = LOGICAL_SHARDS / DATABASES.length;
  const databases = [CATALOG, ...DATABASES].map((name) => `  ${name}: { primary: ${url(name)} }`);
  const placements = DATABASES.map(
    (name, index) =>
      `      - { shards: ${index * share}-${(index + 1) * share - 1}, database: ${name} }`,
  );
  return `
version: ${version}
catalog: ${CATALOG}
databases:
${databases.join("\n")}
colocations:
  accounts:
    shard_key: integer
    function: hash
    logical_shards: ${LOGICAL_SHARDS}
    tables: { accounts: id, transfers: account }
    placements:
${placements.join("\n")}
`;
}

export const SCHEMA = `
  CREATE TABLE accounts (id integer PRIMARY KEY, amount bigint NOT NULL);
  CREATE TABLE transfers (account integer, id text, peer integer NOT NULL, delta bigint NOT NULL,
    PRIMARY KEY (account, id));`;

/** Each database has its own accounts: the remainder is PostgreSQL's own, so a wrong route shows. */
export async function openAccounts(bank: Bank): Promise<void> {
  const share = LOGICAL_SHARDS / DATABASES.length;
  await Promise.all(
    DATABASES.map((name, index) => {
      const remainders = Array.from({ length: share }, (_, shard) => index * share + shard);
      const isHere = remainders.map(
        (shard) => `satisfies_hash_partition('layout'::regclass, ${LOGICAL_SHARDS}, ${shard}, id)`,
      );
      return bank.serverOf(name).query(
        name,
        `CREATE TABLE layout (id integer) PARTITION BY HASH (id);
         INSERT INTO accounts SELECT id, ${OPENING_AMOUNT} FROM generate_series(1, ${ACCOUNTS}) AS id
         WHERE ${isHere.join(" OR ")};
         DROP TABLE layout; ANALYZE accounts`,
      );
    }),
  );
}

export type Count = (server: TestPostgres, database: string) => Promise<number>;

export const countPrepared: Count = async (server, database) => {
  const { rows } = await server.query(
    database,
    "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()",
  );
  return rows.length;
};

/** The table is made when it is first needed. */
export function countRecords(where: string): Count {
  return async (server, database) => {
    const isThere = "SELECT FROM pg_class WHERE oid = to_regclass('colonnade.commit_record')";
    if ((await server.query(database, isThere)).rowCount === 0) return 0;
    const sql = `SELECT transaction FROM colonnade.commit_record WHERE ${where}`;
    return (await server.query(database, sql)).rows.length;
  };
}

export async function countAll(bank: Bank, count: Count): Promise<number> {
  const counts = [CATALOG, ...DATABASES].map((name) => count(bank.serverOf(name), name));
  return (await Promise.all(counts)).reduce((sum, each) => sum + each, 0);
}

/** Milliseconds until there are none; a fault where that takes too long. */
export async function untilNone(
  bank: Bank,
  what: string,
  count: Count,
  withinMs: number,
  ledger: Ledger,
): Promise<number> {
  const startMs = performance.now();
  for (;;) {
    const left = await countAll(bank, count);
    const tookMs = performance.now() - startMs;
    if (left === 0) return tookMs;
    if (tookMs > withinMs) {
      ledger.faults.push(`${left} ${what} are left after ${withinMs} ms`);
      return tookMs;
    }
    await sleep(50);
  }
}

export async function readSides(bank: Bank): Promise<readonly Side[]> {
  const answers = await Promise.all(
    DATABASES.map((name) =>
      bank.serverOf(name).query(name, "SELECT id, account, delta::int FROM transfers"),
    ),
  );
  return answers.flatMap(({ rows }) => rows as unknown as readonly Side[]);
}

/** As a client is told, and as the databases have it: both are the same. */
export async function totalOf(bank: Bank, ledger: Ledger): Promise<number> {
  const client = await bank.connect(0);
  const [row] = await client.query("SELECT sum(amount) FROM accounts");
  await client.close();
  const sums = await Promise.all(
    DATABASES.map(async (name) => {
      const { rows } = await bank.serverOf(name).query(name, "SELECT sum(amount) FROM accounts");
      return Number(rows[0]?.["sum"]);
    }),
  );
  const total = sums.reduce((sum, each) => sum + each, 0);
  if (Number(row?.[0]) !== total)
    ledger.faults.push(`a client is told the total ${row?.[0]}, and it is ${total}`);
  return total;
}
