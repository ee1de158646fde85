/**
 * sysbench's OLTP scripts (oltp_common.lua and those that use it): every statement that
 * they send to PostgreSQL, the table sharded by id.
 */
import { several, single } from "./workload.ts";
import type { Transaction, Workload } from "./workload.ts";

const ROWS = 60;

const words = (seed: number, groups: number): string =>
  Array.from({ length: groups }, (_, index) =>
    String((seed * 7_919 + index * 104_729) % 99_991).padStart(11, "0"),
  ).join("-");
const c = (id: number): string => words(id, 10);
const pad = (id: number): string => words(id + 1, 5);

function load(): string[] {
  const values = Array.from(
    { length: ROWS },
    (_, index) => `(${index + 1}, ${(index * 37) % ROWS}, '${c(index % 50)}', '${pad(index)}')`,
  );
  return [
    `INSERT INTO sbtest1 (id, k, c, pad) VALUES ${values.join(", ")}`,
    `INSERT INTO sbtest2 VALUES ${values.slice(0, 20).join(", ")}`,
  ];
}

const ranges: Transaction = {
  name: "oltp_read_only",
  statements: [
    single("SELECT c FROM sbtest1 WHERE id=$1", 17),
    several("SELECT c FROM sbtest1 WHERE id BETWEEN $1 AND $2", 10, 25),
    several("SELECT SUM(k) FROM sbtest1 WHERE id BETWEEN $1 AND $2", 10, 25),
    several("SELECT c FROM sbtest1 WHERE id BETWEEN $1 AND $2 ORDER BY c", 10, 60),
    several("SELECT DISTINCT c FROM sbtest1 WHERE id BETWEEN $1 AND $2 ORDER BY c", 1, 60),
  ],
};

const writes: Transaction = {
  name: "oltp_write_only",
  statements: [
    single("UPDATE sbtest1 SET k=k+1 WHERE id=$1", 5),
    single("UPDATE sbtest1 SET c=$1 WHERE id=$2", c(500), 6),
    single("DELETE FROM sbtest1 WHERE id=$1", 7),
    single("INSERT INTO sbtest1 (id, k, c, pad) VALUES ($1, $2, $3, $4)", 7, 42, c(700), pad(700)),
  ],
};

export const SYSBENCH: Workload = {
  name: "sysbench",
  schema: [
    "CREATE TABLE sbtest1 (id SERIAL, k INTEGER DEFAULT '0' NOT NULL, c CHAR(120) DEFAULT '' NOT NULL, pad CHAR(60) DEFAULT '' NOT NULL, PRIMARY KEY (id))",
    "CREATE TABLE sbtest2 (id INTEGER NOT NULL, k INTEGER DEFAULT '0' NOT NULL, c CHAR(120) DEFAULT '' NOT NULL, pad CHAR(60) DEFAULT '' NOT NULL, PRIMARY KEY (id))",
    "CREATE INDEX k_1 ON sbtest1(k)",
    "CREATE INDEX k_2 ON sbtest2(k)",
  ],
  map: `colocations:
  sbtest:
    shard_key: integer
    function: hash
    logical_shards: 16
    tables: { sbtest1: id, sbtest2: id }
    placements:
      - { shards: 0-3, database: main }
      - { shards: 4-9, database: east }
      - { shards: 10-15, database: west }`,
  load: load(),
  transactions: [
    { name: "oltp_point_select", statements: ranges.statements.slice(0, 1) },
    ranges,
    writes,
    { name: "oltp_read_write", statements: [...ranges.statements, ...writes.statements] },
    { name: "oltp_update_index", statements: writes.statements.slice(0, 1) },
    { name: "oltp_update_non_index", statements: writes.statements.slice(1, 2) },
    {
      name: "oltp_delete",
      statements: [single("DELETE FROM sbtest1 WHERE id=$1", 9)],
    },
    {
      name: "oltp_insert",
      statements: [
        single(
          "INSERT INTO sbtest1 (id, k, c, pad) VALUES ($1, $2, $3, $4)",
          1_000,
          3,
          c(3),
          pad(3),
        ),
      ],
    },
    {
      name: "bulk_insert",
      statements: [
        several(
          `INSERT INTO sbtest2 VALUES (1001, 1, '${c(1)}', '${pad(1)}'),(1002, 2, '${c(2)}', '${pad(2)}'),(1003, 3, '${c(3)}', '${pad(3)}')`,
        ),
      ],
    },
    {
      name: "select_random_points",
      statements: [
        several(
          "SELECT id, k, c, pad FROM sbtest1 WHERE k IN ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
          1,
          5,
          9,
          13,
          17,
          21,
          25,
          29,
          33,
          37,
        ),
      ],
    },
    {
      name: "select_random_ranges",
      statements: [
        several(
          "SELECT count(k) FROM sbtest1 WHERE k BETWEEN $1 AND $2 OR k BETWEEN $3 AND $4 OR k BETWEEN $5 AND $6",
          1,
          6,
          20,
          25,
          40,
          45,
        ),
      ],
    },
  ],
};
