/**
 * Pipelines in which each statement has a Sync of its own, so that each is its own transaction and
 * an error ends with it: over several databases, with errors in their middle. Whatever is
 * sent to a server at once must read as if each had waited for the one before it.
 */
import { bind, describe, execute, parse, query, sync } from "./conversation.ts";
import type { Said, Script } from "./conversation.ts";
import type { Case } from "./comparing.ts";
import { again, NEAR, ONE, RENAME, FAR } from "./scripts-direct.ts";

const DIVIDE = "SELECT balance / $2::integer FROM accounts WHERE id = $1";
const ADD = "UPDATE accounts SET balance = balance + $2 WHERE id = $1 RETURNING balance";
const INSERT = "INSERT INTO accounts VALUES ($1, $2, 0)";

const prepared = (...texts: readonly (readonly [string, string])[]): Script =>
  texts.flatMap(([name, sql]) => [parse(name, sql), sync()]);

const done = (name: string, ...values: readonly string[]): readonly Said[] => [
  bind("", name, values),
  execute(),
  sync(),
];
const told = (name: string, ...values: readonly string[]): readonly Said[] => [
  bind("", name, values),
  describe("P", ""),
  execute(),
  sync(),
];
const unnamed = (sql: string, ...values: readonly string[]): readonly Said[] => [
  parse("", sql),
  ...told("", ...values),
];

const TWO_OF_ONE = [
  done("one", "1"),
  done("one", "2"),
  done("one", "77"),
  done("one", "1"),
  done("one", "2"),
];

export const PIPELINES: Readonly<Record<string, Case>> = {
  "reads of one database": {
    script: [...prepared(["one", ONE]), ...again(...TWO_OF_ONE)],
  },
  "more than are sent at once": {
    script: [
      ...prepared(["one", ONE]),
      ...Array.from({ length: 100 }, (_, n) => done("one", String(1 + (n % 3)))),
    ],
  },
  "over several databases": {
    script: [
      ...prepared(["one", ONE]),
      ...again(
        ...["1", "2", "101", "101", "201", "202", "102", "1", "201"].map((id) => done("one", id)),
      ),
    ],
  },
  "errors in the middle": {
    script: [
      ...prepared(["one", ONE], ["divide", DIVIDE]),
      ...again(
        done("one", "1"),
        done("divide", "1", "0"),
        done("one", "2"),
        done("divide", "2", "0"),
        done("divide", "2", "5"),
        done("divide", "101", "0"),
        done("one", "101"),
        done("divide", "201", "0"),
        done("divide", "201", "0"),
      ),
    ],
  },
  "a value that is none, in the middle": {
    script: [
      ...prepared(["one", ONE], ["divide", DIVIDE]),
      ...again(done("divide", "1", "1"), done("divide", "1", "x"), done("divide", "1", "2")),
    ],
  },
  "writes, and reads of what they wrote": {
    script: [
      ...prepared(["one", ONE], ["add", ADD], ["rename", RENAME], ["insert", INSERT]),
      ...again(
        done("add", "1", "1"),
        done("one", "1"),
        done("add", "1", "-1000"),
        done("one", "1"),
        done("insert", "1", "again"),
        done("rename", "1", "eve"),
        told("one", "1"),
        done("add", "201", "5"),
        done("add", "201", "-5000"),
        done("one", "201"),
        done("insert", "202", "new"),
        done("insert", "202", "twice"),
        done("one", "202"),
      ),
    ],
  },
  "the unnamed statement": {
    script: again(
      unnamed(ONE, "1"),
      unnamed(ONE, "2"),
      unnamed(DIVIDE, "1", "0"),
      unnamed(ONE, "201"),
      unnamed(DIVIDE, "2", "3"),
      done("", "2", "0"),
      done("", "1", "1"),
    ),
  },
  "query strings": {
    script: again(
      query(NEAR),
      query("SELECT balance / 0 FROM accounts WHERE id = 1"),
      query(NEAR),
      query(FAR),
      query("SELECT 1 / (balance - 40) FROM accounts WHERE id = 201"),
      query(FAR),
      query("SELECT say(name) FROM accounts WHERE id = 1"),
      query("UPDATE accounts SET balance = balance + 1 WHERE id = 1 RETURNING balance"),
    ),
  },
  "query strings between prepared statements": {
    script: [
      ...prepared(["one", ONE]),
      ...again(done("one", "1"), query(NEAR), done("one", "2"), unnamed(ONE, "1"), query(FAR)),
    ],
  },
  "a query string uses the unnamed statement up": {
    script: again(unnamed(ONE, "1"), done("", "2"), query(NEAR), done("", "1"), done("", "1")),
  },
  "transactions in between": {
    script: [
      ...prepared(["one", ONE], ["add", ADD], ["divide", DIVIDE]),
      ...again(
        done("add", "1", "1"),
        done("one", "1"),
        query("BEGIN"),
        done("add", "1", "1"),
        done("one", "1"),
        done("add", "201", "1"),
        query("ROLLBACK"),
        done("one", "1"),
        done("one", "1"),
        query("BEGIN"),
        done("divide", "1", "0"),
        done("one", "1"),
        query("COMMIT"),
        done("one", "1"),
      ),
    ],
  },
  "settings in between": {
    script: [
      ...prepared(["one", ONE]),
      ...again(
        query("SELECT current_setting('work_mem')"),
        query("SELECT current_setting('work_mem')"),
        done("one", "1"),
        query("SET work_mem = '7MB'"),
        query("SELECT current_setting('work_mem')"),
        done("one", "1"),
        query("SELECT current_setting('work_mem')"),
        query("RESET work_mem"),
      ),
    ],
  },
  "long answers": {
    script: again(
      query("SELECT n, repeat('x', 300) FROM accounts, generate_series(1, 2000) n WHERE id = 1"),
      query(NEAR),
      query("SELECT 1 / (1500 - n) FROM accounts, generate_series(1, 3000) AS n WHERE id = 1"),
      query("SELECT n, repeat('x', 300) FROM accounts, generate_series(1, 2000) n WHERE id = 2"),
      query(NEAR),
    ),
  },
};
