/** Scripts of statements that are finished in temporary tables, in both protocols and in transactions. */
import { bind, close, describe, execute, parse, query, run, sync } from "./conversation.ts";
import type { Case } from "./comparing.ts";

const NAMES = "SELECT array_agg(name ORDER BY id) FROM accounts";
const BY_NAME = "SELECT name, id, balance FROM accounts ORDER BY name DESC";
const RANKED = `SELECT id, name, rank() OVER (ORDER BY balance DESC) AS place FROM accounts
  WHERE balance > $1 ORDER BY place, id`;
const DISTINCT = "SELECT count(DISTINCT name) AS names, count(*) FROM accounts";

const int4 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};

export const GATHERED: Readonly<Record<string, Case>> = {
  "by the simple protocol": { script: [query(NAMES), query(BY_NAME), query(DISTINCT)] },
  "several in one string": {
    script: [query(`${NAMES}; UPDATE accounts SET balance = 99 WHERE id = 1; ${BY_NAME}`)],
  },
  "by the extended protocol": { script: [run(NAMES), run(RANKED, "15"), run(DISTINCT), sync()] },
  "parameters and results in binary": {
    script: [
      parse("s", RANKED),
      describe("S", "s"),
      bind("", "s", [int4(15)], [1]),
      describe("P", ""),
      execute(),
      bind("", "s", [int4(25)], [0, 1, 0]),
      execute(),
      sync(),
    ],
  },
  "prepared once and run often": {
    script: [
      parse("s", RANKED),
      sync(),
      ...[10, 20, 30].flatMap((least) => [bind("", "s", [String(least)]), execute(), sync()]),
    ],
  },
  "a few rows at a time": {
    script: [
      query("BEGIN"),
      parse("", BY_NAME),
      bind("p", ""),
      execute("p", 1),
      execute("p", 2),
      query("UPDATE accounts SET name = 'zed' WHERE id = 1"),
      execute("p", 5),
      execute("p", 1),
      close("P", "p"),
      sync(),
      query(BY_NAME),
      query("ROLLBACK"),
    ],
  },
  "settings of the session, and of the transaction where rows are only put after each other": {
    script: [
      query(
        "SELECT current_setting('work_mem'), current_schemas(false), count(DISTINCT name) FROM accounts",
      ),
      query("BEGIN READ ONLY"),
      query(
        "SELECT DISTINCT current_setting('transaction_read_only'), current_setting('transaction_isolation') FROM accounts",
      ),
      query("COMMIT"),
      query(
        "SELECT DISTINCT current_setting('transaction_isolation'), current_schemas(true) FROM accounts",
      ),
    ],
  },
  "in a transaction that writes": {
    script: [
      query("BEGIN"),
      query("INSERT INTO accounts VALUES (5, 'eve', 7), (150, 'fay', 8)"),
      query(NAMES),
      query("INSERT INTO notes VALUES (1, 'in the catalog database')"),
      query("SAVEPOINT s"),
      query("DELETE FROM accounts WHERE id IN (5, 101)"),
      query(NAMES),
      query("ROLLBACK TO s"),
      query(NAMES),
      query("COMMIT"),
      query(NAMES),
      query("SELECT * FROM notes"),
    ],
  },
  "in a read-only transaction": {
    script: [
      query("BEGIN READ ONLY"),
      query("SET LOCAL TimeZone = 'Asia/Tokyo'"),
      query(
        "SELECT count(DISTINCT name), max(timestamptz '2000-01-01 00:00+00'::text) FROM accounts",
      ),
      query(NAMES),
      query("INSERT INTO accounts VALUES (6, 'gil', 1)"),
      query("COMMIT"),
    ],
  },
  "where transactions are read-only by default": {
    settings: { default_transaction_read_only: "on" },
    script: [query(NAMES), query("BEGIN"), query(NAMES), query("COMMIT"), run(NAMES), sync()],
  },
  "an error of one placement": {
    script: [
      query("SELECT array_agg(1 / (id - 101) ORDER BY id) FROM accounts"),
      query("BEGIN"),
      query("SELECT name, 1 / (id - 101) FROM accounts ORDER BY name"),
      query(NAMES),
      query("ROLLBACK"),
      query(NAMES),
    ],
  },
  "an error of the finish": {
    script: [
      query("SELECT 1 / (count(DISTINCT name) - 4) FROM accounts"),
      run("SELECT 1 / (count(DISTINCT name) - $1) FROM accounts", "4"),
      sync(),
      query(NAMES),
    ],
  },
  "a value that is not one": { script: [run(RANKED, "many"), sync(), query(NAMES)] },
  "notices of its functions": {
    // Of one row: in which order two rows come from two databases, nothing says.
    script: [
      query(
        "SELECT count(DISTINCT CASE id WHEN 201 THEN say(name) ELSE name END) FROM accounts WHERE id = ANY ('{1,201}')",
      ),
    ],
  },
  "no rows at all": {
    script: [
      query(
        "SELECT array_agg(name ORDER BY id), count(DISTINCT name) FROM accounts WHERE id > 900",
      ),
      query("SELECT name FROM accounts WHERE balance > 900 ORDER BY name"),
      run("SELECT id, rank() OVER (ORDER BY balance) FROM accounts WHERE balance > $1", "900"),
      sync(),
    ],
  },
};
