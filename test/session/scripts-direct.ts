/**
 * Scripts of statements that come again and again: the first time their plan is made, and
 * from then on they take the short way, where they must read the same.
 */
import { bind, close, describe, execute, flush, parse, query, run, sync } from "./conversation.ts";
import type { Said, Script } from "./conversation.ts";
import type { Case } from "./comparing.ts";

const TIMES = 4;

export const again = (...script: Script): Script =>
  Array.from({ length: TIMES }, () => script).flat();

const bigint = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
};

export const NEAR = "SELECT id, name, balance FROM accounts WHERE id = 1";
/** In a schema of its own, so the text that runs is another. */
export const FAR = "SELECT id, name, balance FROM accounts WHERE id = 201";
export const ONE = "SELECT id, name, balance FROM accounts WHERE id = $1";
export const RENAME = "UPDATE accounts SET name = $2 WHERE id = $1 RETURNING name";
export const named = (name: string, ...values: readonly string[]): readonly Said[] => [
  bind("", name, values),
  execute(),
  sync(),
];

export const DIRECT: Readonly<Record<string, Case>> = {
  "one placement after the other": {
    script: again(query(NEAR), query(FAR), query("SELECT name FROM accounts WHERE id = 101")),
  },
  "texts that differ in their numbers": {
    script: [1, 201, 101, 77, 202, 1, 102, 201].flatMap((id, n) => [
      query(
        `UPDATE accounts SET balance = balance + ${n} WHERE id = ${id} RETURNING balance, ${n} + 1`,
      ),
      query(
        `SELECT id, balance, ${n} FROM accounts WHERE balance > ${n - 5} AND id = ${id} ORDER BY ${n} LIMIT ${n}`,
      ),
      query(
        `SELECT name, ${id} / ${n} FROM accounts WHERE id = ${id} AND balance > ${n} OFFSET ${n % 2}`,
      ),
      query(`SELECT nobody, ${n} FROM accounts WHERE id = ${id} AND balance <> ${n * 1000}`),
      query(`SELECT id, ${id} FROM accounts WHERE id = ${id} AND balance > ${id}`),
      query(`DELETE FROM accounts WHERE id = ${id} AND balance = ${n} AND balance > ${n + 1}`),
    ]),
  },
  "no row, no column, no table": {
    script: again(
      query("SELECT id FROM accounts WHERE id = 77"),
      query("SELECT FROM accounts WHERE id = 1"),
      query("SELECT 1 AS one, 'a' AS letter"),
    ),
  },
  "a long answer": {
    script: again(
      query(
        "SELECT id, n, repeat('x', 200) FROM accounts, generate_series(1, 3000) AS n WHERE id = 1",
      ),
    ),
  },
  "rows of a megabyte": {
    script: again(query("SELECT id, repeat('x', 1000000) FROM accounts WHERE id = 201")),
  },
  "errors, and where in the text they are": {
    script: again(
      query("SELECT balance / 0 FROM accounts WHERE id = 1"),
      query("SELECT 1 / (balance - 40) FROM accounts WHERE id = 201"),
      query("SELECT id, 'x'::integer FROM accounts WHERE id = 201"),
      query("INSERT INTO accounts VALUES (201, 'twice', 0)"),
      query("UPDATE accounts SET balance = -1 WHERE id = 201"),
      query(NEAR),
    ),
  },
  "an error after some rows": {
    script: again(
      query("SELECT 1 / (2000 - n) FROM accounts, generate_series(1, 3000) AS n WHERE id = 1"),
    ),
  },
  "writes, with and without rows": {
    script: again(
      query("UPDATE accounts SET balance = balance + 1 WHERE id = 1"),
      query("UPDATE accounts SET balance = balance + 1 WHERE id = 201 RETURNING balance"),
      query("INSERT INTO entries VALUES (1, 1, 'one') ON CONFLICT DO NOTHING"),
      query("DELETE FROM entries WHERE account = 1 RETURNING note"),
    ),
  },
  notices: { script: again(query("SELECT say(name) FROM accounts WHERE id = 1")) },
  "a query string uses the unnamed statement up": {
    script: again(parse("", ONE), sync(), query(NEAR), bind("", "", ["1"]), execute(), sync()),
  },
  "statements between transactions": {
    script: again(query(NEAR), query("BEGIN"), query(NEAR), query("COMMIT"), query(NEAR)),
  },
  "statements between settings": {
    script: again(
      query(NEAR),
      query("SET application_name = 'other'"),
      query(NEAR),
      query("RESET application_name"),
    ),
  },
  "another search_path": {
    script: again(
      query("SELECT count(*) FROM notes"),
      query("SET search_path = pg_catalog"),
      query("SELECT count(*) FROM notes"),
      query("RESET search_path"),
    ),
  },
  "the unnamed statement": {
    script: again(run(ONE, "1"), sync(), run(ONE, "201"), sync(), run(ONE, "77"), sync()),
  },
  "the unnamed statement, bound again": {
    script: again(run(ONE, "1"), sync(), bind("", "", ["201"]), execute(), sync()),
  },
  "a named statement": {
    script: [
      parse("s", ONE),
      sync(),
      again(named("s", "1"), named("s", "101"), named("s", "201")).flat(),
    ],
  },
  "a named statement, described at each run": {
    script: [
      parse("s", ONE),
      sync(),
      again(bind("", "s", ["201"]), describe("P", ""), execute(), sync()).flat(),
    ],
  },
  "parameters and columns in binary": {
    script: [
      parse("s", ONE),
      sync(),
      again(
        bind("", "s", [bigint(101n)], [1]),
        describe("P", ""),
        execute(),
        sync(),
        bind("", "s", [bigint(201n)], [1, 0, 1]),
        execute(),
        sync(),
      ).flat(),
    ],
  },
  "a null key": {
    script: [parse("s", ONE), sync(), again(bind("", "s", [null]), execute(), sync()).flat()],
  },
  "what Bind is refused for": {
    script: [
      parse("s", ONE),
      sync(),
      again(
        bind("", "s", []),
        execute(),
        sync(),
        bind("", "s", ["x"]),
        execute(),
        sync(),
        bind("", "s", ["1"], [1, 1]),
        execute(),
        sync(),
        bind("", "absent", ["1"]),
        execute(),
        sync(),
        named("s", "1"),
      ).flat(),
    ],
  },
  "prepared writes": {
    script: [
      parse("s", RENAME),
      sync(),
      again(
        bind("", "s", ["1", "eve"]),
        describe("P", ""),
        execute(),
        sync(),
        bind("", "s", ["201", "eva"]),
        execute(),
        sync(),
      ).flat(),
    ],
  },
  "prepared inserts, the second of which there is": {
    script: [
      parse("s", "INSERT INTO accounts VALUES ($1, $2, 5)"),
      sync(),
      again(named("s", "7", "new"), named("s", "207", "far")).flat(),
    ],
  },
  "an error, and the same statement after it": {
    script: [
      parse("s", "SELECT 10 / balance FROM accounts WHERE id = $1"),
      sync(),
      again(named("s", "1"), named("s", "x"), named("s", "201")).flat(),
    ],
  },
  "with Flush, Close and a row count": {
    script: [
      parse("s", ONE),
      sync(),
      again(
        bind("", "s", ["1"]),
        flush(),
        execute("", 1),
        sync(),
        bind("p", "s", ["1"]),
        execute("p"),
        close("P", "p"),
        sync(),
        named("s", "1"),
      ).flat(),
    ],
  },
  "several of a pipeline before its Sync": {
    script: again(run(ONE, "1"), run(ONE, "201"), sync(), run(ONE, "1"), sync()),
  },
  "a statement whose columns are others since": {
    differs: {
      because: "the proxy says what to do",
      instead: [
        [
          "ErrorResponse S=ERROR V=ERROR C=0A000 M=cached plan",
          "ErrorResponse S=ERROR V=ERROR C=0A000 M=cached plan must not change result type H=Prepare the statement again.",
        ],
      ],
    },
    script: [
      query("ALTER TABLE late ADD COLUMN more integer"),
      parse("s", "SELECT * FROM late WHERE account = $1"),
      sync(),
      again(named("s", "1")).flat(),
      query("ALTER TABLE late DROP COLUMN more"),
      again(named("s", "1")).flat(),
    ],
  },
};
