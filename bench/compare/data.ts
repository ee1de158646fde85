/** The rows that the cases read and write. They fit into any server's memory. */
import { ORM_ROWS, ORM_SCHEMA } from "./orm-statements.ts";

export const ROWS = 100_000;

/** Databases of the sharded cases. */
export const SHARDS = ["shard0", "shard1", "shard2", "shard3"] as const;

export const BRANCHES = 64;
export const ACCOUNTS_PER_BRANCH = 1_000;
const TELLERS_PER_BRANCH = 10;

const ACCOUNTS = `
  CREATE TABLE accounts (aid bigint PRIMARY KEY, abalance integer NOT NULL);`;

/** pgbench's four tables, all by their branch. */
const BANK = `
  CREATE TABLE pgbench_branches (bid bigint PRIMARY KEY, bbalance integer NOT NULL) WITH (fillfactor = 10);
  CREATE TABLE pgbench_tellers (bid bigint, tid integer, tbalance integer NOT NULL, PRIMARY KEY (bid, tid)) WITH (fillfactor = 10);
  CREATE TABLE pgbench_accounts (bid bigint, aid integer, abalance integer NOT NULL, PRIMARY KEY (bid, aid)) WITH (fillfactor = 50);
  CREATE TABLE pgbench_history (tid integer, bid bigint, aid integer, delta integer, mtime timestamp);
  INSERT INTO pgbench_branches SELECT n, 0 FROM generate_series(1, ${BRANCHES}) AS n;
  INSERT INTO pgbench_tellers SELECT (n - 1) / ${TELLERS_PER_BRANCH} + 1, n, 0 FROM generate_series(1, ${BRANCHES * TELLERS_PER_BRANCH}) AS n;
  INSERT INTO pgbench_accounts SELECT (n - 1) / ${ACCOUNTS_PER_BRANCH} + 1, n, 0 FROM generate_series(1, ${BRANCHES * ACCOUNTS_PER_BRANCH}) AS n;`;

/** Without a key or a log of writes, so that a COPY is the way there and not the disk. */
const BULK = `
  CREATE UNLOGGED TABLE bulk (id bigint NOT NULL, body text NOT NULL);
  ALTER TABLE bulk ALTER body SET STORAGE plain;`;

export const SINGLE_SETUP = `${ACCOUNTS}
  INSERT INTO accounts SELECT n, n FROM generate_series(1, ${ROWS}) AS n;
  ${BANK} ${BULK} ${ORM_SCHEMA} ${ORM_ROWS}`;

/** What the shards need to be asked by functions: PL/Proxy calls there what is called in its own server. */
const SHARD_FUNCTIONS = `
  CREATE FUNCTION balance_of(key bigint) RETURNS integer LANGUAGE sql STABLE
    AS 'SELECT abalance FROM accounts WHERE aid = key';
  CREATE FUNCTION add_to(key bigint, delta integer) RETURNS integer LANGUAGE sql
    AS 'UPDATE accounts SET abalance = abalance + delta WHERE aid = key RETURNING abalance'`;

/** Of one shard of several: the rows that PostgreSQL's own hash partitioning puts there. */
export function shardSetup(index: number): string {
  return `${ACCOUNTS}
    CREATE TABLE routed (aid bigint) PARTITION BY HASH (aid);
    INSERT INTO accounts SELECT n, n FROM generate_series(1::bigint, ${ROWS}) AS n
      WHERE satisfies_hash_partition('routed'::regclass, ${SHARDS.length}, ${index}, n);
    DROP TABLE routed;
    ${SHARD_FUNCTIONS}`;
}

const BULK_BODY_BYTES = 1_000;
/** Of a row of `bulk`, as a DataRow message holds it. */
const BULK_ROW_BYTES = 1_020;

export function bulkRows(gigabytes: number): number {
  return Math.ceil((gigabytes * 2 ** 30) / BULK_ROW_BYTES);
}

export function fillBulk(rows: number): string {
  return `INSERT INTO bulk SELECT n, repeat('x', ${BULK_BODY_BYTES}) FROM generate_series(1, ${rows}) AS n`;
}
