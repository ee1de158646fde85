/** Scripts of the simple protocol: transactions, settings, and strings of several statements. */
import { bind, describe, execute, parse, query, run, sync } from "./conversation.ts";
import type { Case } from "./comparing.ts";

const AFTER = query("SELECT id, balance FROM accounts ORDER BY id");
const ONE = "SELECT id, name FROM accounts WHERE id = 1";
const MOVE =
  "UPDATE accounts SET balance = balance - 1 WHERE id = 1; UPDATE accounts SET balance = balance + 1 WHERE id = 101";

export const SIMPLE: Readonly<Record<string, Case>> = {
  "one row, no row, many rows": {
    script: [
      query(ONE),
      query("SELECT id FROM accounts WHERE id = 77"),
      query("SELECT id, name, balance FROM accounts ORDER BY id"),
      query("SELECT count(*), sum(balance) FROM accounts"),
    ],
  },
  "empty queries": {
    script: [
      query(""),
      query(" "),
      query(";"),
      query(";;"),
      query("-- nothing"),
      query("/* nothing */;"),
    ],
  },
  "several statements": {
    script: [query("SELECT 1; SELECT 2;; SELECT 3"), query(`${MOVE}; SELECT 1`), AFTER],
  },
  "a parameter, which a query string cannot have": {
    script: [
      query("SELECT * FROM accounts WHERE id = $1"),
      query("SELECT name FROM accounts WHERE name = '$1'"),
      query("BEGIN"),
      query("SELECT name FROM accounts WHERE balance > $1 ORDER BY id"),
      query("ROLLBACK"),
    ],
  },
  "an error in the second statement": {
    script: [query("UPDATE accounts SET balance = 0 WHERE id = 1; SELECT 1/0; SELECT 2"), AFTER],
  },
  "an error over two databases": {
    script: [
      query(
        "UPDATE accounts SET balance = 0 WHERE id = 1; UPDATE accounts SET balance = -1 WHERE id = 101",
      ),
      AFTER,
    ],
  },
  "a syntax error anywhere runs nothing": {
    script: [query("UPDATE accounts SET balance = 0 WHERE id = 1; SELEC 2"), AFTER],
  },
  "an unknown table in a later statement": {
    script: [
      query("UPDATE accounts SET balance = 0 WHERE id = 1; SELECT 'äöü😀'; SELECT * FROM nowhere"),
      AFTER,
    ],
  },
  "BEGIN in the middle": {
    script: [
      query(
        "UPDATE accounts SET balance = 0 WHERE id = 1; BEGIN; UPDATE accounts SET balance = 0 WHERE id = 101",
      ),
      query("ROLLBACK"),
      AFTER,
    ],
  },
  "COMMIT in the middle": {
    script: [
      query(
        "UPDATE accounts SET balance = 0 WHERE id = 1; COMMIT; UPDATE accounts SET balance = -1 WHERE id = 101",
      ),
      AFTER,
    ],
  },
  "ROLLBACK in the middle": {
    script: [
      query(
        "UPDATE accounts SET balance = 0 WHERE id = 1; ROLLBACK; UPDATE accounts SET balance = 0 WHERE id = 101",
      ),
      AFTER,
    ],
  },
  "BEGIN, COMMIT and more": {
    script: [
      query(
        "BEGIN; UPDATE accounts SET balance = 0 WHERE id = 1; COMMIT; UPDATE accounts SET balance = 0 WHERE id = 101; SELECT 1/0",
      ),
      AFTER,
    ],
  },
  "COMMIT and BEGIN in the middle": {
    script: [
      query("BEGIN"),
      query(
        "UPDATE accounts SET balance = 0 WHERE id = 1; COMMIT; BEGIN; UPDATE accounts SET balance = 0 WHERE id = 101",
      ),
      query("SELECT 1/0"),
      query("ROLLBACK"),
      AFTER,
    ],
  },
  "an error after BEGIN in a string": {
    script: [query("BEGIN; SELECT 1/0; SELECT 2"), query("SELECT 3"), query("COMMIT")],
  },
  "BEGIN twice": {
    script: [
      query("BEGIN"),
      query("BEGIN"),
      query("COMMIT"),
      query("BEGIN; BEGIN"),
      query("COMMIT"),
    ],
  },
  "COMMIT and ROLLBACK without BEGIN": {
    script: [
      query("COMMIT"),
      query("ROLLBACK"),
      query("END"),
      query("ABORT"),
      query("SELECT 1; COMMIT"),
      query("COMMIT; COMMIT"),
    ],
  },
  "a failed transaction": {
    script: [
      query("BEGIN"),
      query("UPDATE accounts SET balance = 0 WHERE id = 1"),
      query("SELECT 1/0"),
      query(ONE),
      query("BEGIN"),
      query("SAVEPOINT a"),
      query("SET TimeZone = 'UTC'"),
      query(""),
      query("SELEC"),
      query("DEALLOCATE ALL"),
      query("SHOW TimeZone"),
      query("RELEASE a"),
      query("ROLLBACK TO a"),
      query("COMMIT"),
      AFTER,
    ],
  },
  "COMMIT in a failed string": {
    script: [
      query("BEGIN"),
      query("SELECT 1/0; COMMIT"),
      query("COMMIT; SELECT 1"),
      query("ROLLBACK"),
    ],
  },
  "COMMIT AND CHAIN": {
    script: [
      query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
      query("COMMIT AND CHAIN"),
      query("SHOW transaction_isolation"),
      query("SHOW transaction_read_only"),
      query("ROLLBACK AND CHAIN"),
      query("SHOW transaction_isolation"),
      query("ROLLBACK AND NO CHAIN"),
      query("SHOW transaction_isolation"),
    ],
  },
  "modes that AND CHAIN hands on": {
    script: [
      query("BEGIN; SET transaction_read_only = on; COMMIT AND CHAIN; SHOW transaction_read_only"),
      query("INSERT INTO accounts VALUES (5, 'eve', 1)"),
      query("ROLLBACK AND CHAIN; SHOW transaction_read_only; ROLLBACK"),
      query(
        "BEGIN; SELECT set_config('transaction_read_only', 'on', false); COMMIT AND CHAIN; SHOW transaction_read_only; ROLLBACK",
      ),
      query("BEGIN; SET LOCAL transaction_isolation = 'SERIALIZABLE'; COMMIT AND CHAIN"),
      query("SHOW transaction_isolation; COMMIT AND CHAIN; SELECT 1/0"),
      query("COMMIT AND CHAIN; SHOW transaction_isolation; ROLLBACK"),
      query("BEGIN READ ONLY; COMMIT AND CHAIN; SELECT 1/0"),
      query("COMMIT AND CHAIN; SHOW transaction_read_only"),
      query("INSERT INTO accounts VALUES (5, 'eve', 1)"),
      query("ROLLBACK"),
      query("BEGIN READ ONLY; SELECT 1/0"),
      query("ROLLBACK AND CHAIN; SHOW transaction_read_only; ROLLBACK"),
      query(
        "BEGIN READ ONLY; SET transaction_read_only = 0; COMMIT AND CHAIN; SHOW transaction_read_only; ROLLBACK",
      ),
      query(
        "BEGIN; SET default_transaction_isolation = 'serializable'; COMMIT AND CHAIN; SHOW transaction_isolation; ROLLBACK",
      ),
      query("RESET ALL; BEGIN READ ONLY; SAVEPOINT a; SELECT 1/0"),
      query("ROLLBACK AND CHAIN; SHOW transaction_read_only; ROLLBACK"),
      query(
        "BEGIN ISOLATION LEVEL SERIALIZABLE; SAVEPOINT a; SET TRANSACTION READ ONLY; SELECT 1/0",
      ),
      query("ROLLBACK AND CHAIN; SHOW transaction_isolation; SHOW transaction_read_only; ROLLBACK"),
    ],
  },
  "modes as settings": {
    script: [
      query("SET transaction_read_only = on; SHOW transaction_read_only"),
      query("SHOW transaction_read_only"),
      query("SET LOCAL transaction_read_only = on"),
      query("SET transaction_isolation = 'no such'"),
      query("BEGIN; SET transaction_read_only = perhaps"),
      query("ROLLBACK"),
      query("BEGIN; SET transaction_isolation = 'no such'"),
      query("ROLLBACK"),
      query("RESET transaction_read_only"),
      query("BEGIN; RESET transaction_isolation"),
      query("ROLLBACK"),
      query("BEGIN; SET transaction_read_only = yes"),
      query("INSERT INTO accounts VALUES (5, 'eve', 1)"),
      query("ROLLBACK"),
      query("BEGIN; SELECT count(*) FROM accounts; SET transaction_isolation = 'serializable'"),
      query("ROLLBACK"),
      query("BEGIN READ ONLY; SELECT count(*) FROM accounts; SET transaction_read_only = off"),
      query("ROLLBACK"),
    ],
  },
  "modes by set_config": {
    script: [
      query(
        "BEGIN; SELECT set_config(name, 'on', true) FROM pg_settings WHERE name = 'transaction_read_only'",
      ),
      query("UPDATE accounts SET name = name WHERE id = 1"),
      query("COMMIT AND CHAIN; SHOW transaction_read_only; ROLLBACK"),
      query(
        "BEGIN; SELECT set_config(name, 'on', true) FROM pg_settings WHERE name = 'transaction_read_only'; COMMIT AND CHAIN",
      ),
      query("UPDATE accounts SET name = name WHERE id = 1"),
      query("ROLLBACK"),
      query("BEGIN; SELECT set_config('transaction_read_only', 'on', true)"),
      query("UPDATE accounts SET name = name WHERE id = 1"),
      query("ROLLBACK"),
      query("BEGIN; SELECT set_config('transaction_isolation', 'serializable', true)"),
      query("ROLLBACK"),
      query("BEGIN; SELECT set_config('transaction_deferrable', 'on', true)"),
      query("ROLLBACK"),
      query("BEGIN; SELECT set_config('transaction_isolation', 'no such', true)"),
      query("ROLLBACK"),
      query(
        "BEGIN; SELECT set_config('transaction_isolation', 'read committed', true); COMMIT AND CHAIN; SHOW transaction_isolation; ROLLBACK",
      ),
    ],
  },
  "modes in savepoints": {
    script: [
      query("BEGIN; SAVEPOINT a; SET TRANSACTION DEFERRABLE"),
      query("ROLLBACK"),
      query("BEGIN READ ONLY; SAVEPOINT a; SET TRANSACTION READ WRITE"),
      query("ROLLBACK"),
      query("BEGIN READ ONLY; SAVEPOINT a; SET transaction_read_only = off"),
      query("ROLLBACK"),
      query("BEGIN; SAVEPOINT a; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"),
      query("ROLLBACK"),
      query("BEGIN; SAVEPOINT a; SET TRANSACTION READ ONLY; RELEASE a; SHOW transaction_read_only"),
      query("DELETE FROM accounts WHERE id = 9001"),
      query("ROLLBACK"),
      query(
        "BEGIN; UPDATE accounts SET name = name WHERE id = 1; SAVEPOINT s; SET transaction_read_only = on",
      ),
      query("RELEASE s; UPDATE accounts SET name = name"),
      query("COMMIT"),
      query(
        "BEGIN; SAVEPOINT s; SET transaction_read_only = on; ROLLBACK TO s; SHOW transaction_read_only",
      ),
      query("UPDATE accounts SET name = name"),
      query("COMMIT"),
    ],
  },
  "AND CHAIN outside": {
    script: [
      query("COMMIT AND CHAIN"),
      query("ROLLBACK AND CHAIN"),
      query("SELECT 1; COMMIT AND CHAIN"),
      query("BEGIN; SELECT 1/0"),
      query("COMMIT AND CHAIN"),
      query("SELECT 1"),
      query("ROLLBACK AND CHAIN"),
      query("SELECT 1/0"),
      query("ROLLBACK AND CHAIN"),
      query("SELECT 2"),
      query("COMMIT"),
    ],
  },
  "chain with writes": {
    script: [
      query("BEGIN"),
      query("UPDATE accounts SET balance = 1 WHERE id = 1"),
      query("COMMIT AND CHAIN"),
      query("UPDATE accounts SET balance = 2 WHERE id = 1"),
      query("ROLLBACK AND CHAIN"),
      query("UPDATE accounts SET balance = 3 WHERE id = 101"),
      query("COMMIT"),
      AFTER,
    ],
  },
  savepoints: {
    script: [
      query("BEGIN"),
      query("SAVEPOINT a"),
      query("UPDATE accounts SET balance = 1 WHERE id = 1"),
      query("SAVEPOINT a"),
      query("UPDATE accounts SET balance = 2 WHERE id = 101"),
      query("ROLLBACK TO a"),
      AFTER,
      query("RELEASE a"),
      query("ROLLBACK TO SAVEPOINT a"),
      AFTER,
      query("RELEASE a"),
      query("RELEASE a"),
      query("ROLLBACK"),
    ],
  },
  "savepoints and errors": {
    script: [
      query("BEGIN"),
      query("UPDATE accounts SET balance = 1 WHERE id = 1"),
      query("SAVEPOINT a"),
      query("SELECT 1/0"),
      query("SELECT 1"),
      query("ROLLBACK TO b"),
      query("ROLLBACK TO a"),
      query("UPDATE accounts SET balance = 1 WHERE id = 101"),
      query("RELEASE b"),
      query("ROLLBACK TO a"),
      query("COMMIT"),
      AFTER,
    ],
  },
  "a savepoint before a database joins": {
    script: [
      query("BEGIN"),
      query("SAVEPOINT a"),
      query("UPDATE accounts SET balance = 1 WHERE id = 101"),
      query("UPDATE accounts SET balance = -1 WHERE id = 1"),
      query("ROLLBACK TO a"),
      AFTER,
      query("COMMIT"),
      AFTER,
    ],
  },
  "savepoints outside": {
    script: [
      query("SAVEPOINT a"),
      query("RELEASE a"),
      query("ROLLBACK TO a"),
      query("SELECT 1; SAVEPOINT a"),
      query("SAVEPOINT a; SELECT 1"),
      query("SELECT 1; ROLLBACK TO a"),
    ],
  },
  "savepoints with odd names": {
    script: [
      query("BEGIN"),
      query('SAVEPOINT "A b"'),
      query("SAVEPOINT A"),
      query("ROLLBACK TO a"),
      query('ROLLBACK TO "A b"'),
      query("ROLLBACK TO A"),
      query("ROLLBACK"),
    ],
  },
  settings: {
    script: [
      query("SET TimeZone = 'Asia/Tokyo'"),
      query("SELECT now()::text LIKE '%+09'"),
      query("SHOW TimeZone"),
      query("RESET TimeZone"),
      query("SET application_name = 'me'"),
      query("SET DateStyle = 'SQL, DMY'"),
      query("SELECT '2020-02-01'::date"),
      query("RESET ALL"),
      query("SELECT '2020-02-01'::date"),
      query("SHOW application_name"),
    ],
  },
  "settings that are refused": {
    script: [
      query("SET nothing_like_it = 1"),
      query("SET work_mem = 'much'"),
      query("SET TimeZone = 'Nowhere/At all'"),
      query("SHOW nothing_like_it"),
      query("RESET nothing_like_it"),
      query("SET my.own = 'x'"),
      query("SHOW my.own"),
      query("SELECT current_setting('my.own')"),
      query("RESET my.own"),
      query("SHOW my.own"),
      query("SET server_version = 1"),
      query("SET datestyle TO DEFAULT"),
    ],
  },
  "settings in a transaction": {
    script: [
      query("BEGIN"),
      query("SET TimeZone = 'Asia/Tokyo'"),
      query("SET application_name = 'inside'"),
      query("ROLLBACK"),
      query("SHOW TimeZone"),
      query("SHOW application_name"),
      query("BEGIN"),
      query("SET TimeZone = 'Asia/Tokyo'"),
      query("COMMIT"),
      query("SHOW TimeZone"),
      query("BEGIN; RESET TimeZone; SHOW TimeZone"),
      query("ROLLBACK"),
      query("SHOW TimeZone"),
    ],
  },
  "SET LOCAL": {
    script: [
      query("SET LOCAL TimeZone = 'UTC'"),
      query("BEGIN"),
      query("SET LOCAL TimeZone = 'Asia/Tokyo'"),
      query("SHOW TimeZone"),
      query("COMMIT"),
      query("SHOW TimeZone"),
      query("SELECT 1; SET LOCAL TimeZone = 'Asia/Tokyo'; SHOW TimeZone"),
      query("SHOW TimeZone"),
      query("BEGIN; SET TimeZone = 'UTC'; SET LOCAL TimeZone = 'Asia/Tokyo'; COMMIT"),
      query("SHOW TimeZone"),
      query("BEGIN; SET LOCAL TimeZone = 'Asia/Tokyo'; SET TimeZone = 'Europe/Rome'; COMMIT"),
      query("SHOW TimeZone"),
    ],
  },
  "settings and savepoints": {
    script: [
      query(
        "BEGIN; SET application_name = 'one'; SAVEPOINT a; SET application_name = 'two'; SAVEPOINT b; SET application_name = 'three'",
      ),
      query("ROLLBACK TO b; SHOW application_name"),
      query("ROLLBACK TO a; SHOW application_name"),
      query(AFTER_SQL()),
      query("SHOW application_name"),
      query("SELECT 1/0"),
      query("ROLLBACK TO a; SHOW application_name"),
      query("COMMIT; SHOW application_name"),
    ],
  },
  "settings reach databases that join later": {
    script: [
      query("BEGIN; SET DateStyle = 'German'"),
      query("SELECT '2020-02-01'::date FROM accounts WHERE id = 1"),
      query("SELECT '2020-02-01'::date FROM accounts WHERE id = 101"),
      query("ROLLBACK"),
      query("SELECT '2020-02-01'::date FROM accounts WHERE id = 101"),
    ],
  },
  "a setting undone in one string": {
    script: [
      query("BEGIN; SET TimeZone = 'Asia/Tokyo'; ROLLBACK"),
      query("SET TimeZone = 'UTC'; SELECT 1/0"),
      query("SHOW TimeZone"),
      query("SET TimeZone = 'UTC'; SHOW TimeZone; SET TimeZone = 'Asia/Tokyo'"),
      query("SHOW TimeZone"),
    ],
  },
  "SET TRANSACTION": {
    script: [
      query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"),
      query("BEGIN"),
      query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"),
      query("UPDATE accounts SET balance = 0 WHERE id = 1"),
      query("ROLLBACK"),
      query("BEGIN"),
      query(ONE),
      query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"),
      query("ROLLBACK"),
      query("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"),
      query("UPDATE accounts SET balance = 0 WHERE id = 1"),
      query("BEGIN READ WRITE; UPDATE accounts SET balance = 7 WHERE id = 1; COMMIT"),
      query("RESET default_transaction_read_only"),
      AFTER,
    ],
  },
  "BEGIN with modes": {
    script: [
      query("BEGIN READ ONLY"),
      query("UPDATE accounts SET balance = 0 WHERE id = 1"),
      query("ROLLBACK"),
      query("START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE, DEFERRABLE"),
      query("SHOW transaction_isolation"),
      query("SHOW transaction_deferrable"),
      query("COMMIT"),
      query("BEGIN; BEGIN READ ONLY; SHOW transaction_read_only"),
      query("ROLLBACK"),
    ],
  },
  "default isolation": {
    script: [
      query("SET default_transaction_isolation = 'serializable'"),
      query("SHOW transaction_isolation"),
      query("BEGIN; SHOW transaction_isolation"),
      query("COMMIT"),
    ],
  },
  "RESET of a startup setting": {
    settings: { TimeZone: "Asia/Tokyo", application_name: "started" },
    script: [
      query("SHOW TimeZone"),
      query("SET TimeZone = 'UTC'"),
      query("RESET TimeZone"),
      query("SHOW TimeZone"),
      query("SET application_name = 'else'"),
      query("RESET ALL"),
      query("SHOW application_name"),
      query("SET application_name = 'else'"),
      query("DISCARD ALL"),
      query("SHOW application_name"),
      query("BEGIN; SET TimeZone = 'UTC'; RESET ALL; SHOW TimeZone"),
      query("COMMIT"),
      query("SHOW TimeZone"),
      query("SET TimeZone TO DEFAULT"),
      query("SHOW TimeZone"),
    ],
  },
  "startup options": {
    settings: { options: "-c search_path=pg_catalog,public --statement_timeout=12345" },
    script: [
      query("SHOW search_path"),
      query("SHOW statement_timeout"),
      query("RESET ALL; SHOW search_path"),
    ],
  },
  DISCARD: {
    script: [
      query("DISCARD ALL"),
      query("BEGIN"),
      query("DISCARD ALL"),
      query("ROLLBACK"),
      query("SELECT 1; DISCARD ALL"),
      query("DISCARD PLANS"),
      query("BEGIN; DISCARD PLANS"),
      query("ROLLBACK"),
    ],
  },
  SHOW: {
    script: [
      query("SHOW server_version"),
      query("SHOW ALL; SELECT 1/0"),
      query("SHOW TIME ZONE"),
      query("SHOW transaction_isolation"),
      query("SHOW client_encoding"),
      query("SHOW standard_conforming_strings"),
    ].filter((_, index) => index !== 1),
  },
  "client_encoding, where texts stay as they are": {
    script: [
      query("SET client_encoding = 'SQL_ASCII'"),
      query("SHOW client_encoding"),
      query("INSERT INTO accounts VALUES (5, 'é', 1), (150, 'grün', 2)"),
      query("SELECT id, name, length(name) FROM accounts WHERE name > 'e' ORDER BY id"),
      query("SELECT name FROM accounts WHERE id = 150"),
      query("SELECT 'é', count(*) FROM accounts WHERE name = 'é'"),
      query("SET client_encoding = 'no such'"),
      query("BEGIN; SET LOCAL client_encoding = 'Unicode'"),
      query("SHOW client_encoding"),
      query("ROLLBACK"),
      query("SELECT set_config('client_encoding', 'utf-8', false)"),
      query("SET client_encoding = sql_ascii"),
      query("RESET client_encoding"),
      query("SHOW client_encoding"),
    ],
  },
  search_path: {
    script: [
      query("SET search_path = nowhere"),
      query(ONE),
      query("SET search_path = nowhere, public"),
      query(ONE),
      query("SET search_path = ''"),
      query("SELECT id FROM public.accounts WHERE id = 1"),
      query(ONE),
      query("RESET search_path"),
    ],
  },
  "errors and their fields": {
    script: [
      query("INSERT INTO accounts VALUES (1, 'twice', 1)"),
      query("INSERT INTO accounts (id) VALUES (5)"),
      query("INSERT INTO accounts VALUES (5, 'low', -1)"),
      query("INSERT INTO entries VALUES (5, 1, 'x')"),
      query("SELECT id FROM accounts WHERE id = 1 AND name = 5"),
      query("SELECT nope FROM accounts WHERE id = 201"),
      query("SELECT 'ää', nope, id FROM accounts WHERE id = 201"),
      query("SELECT 1; SELECT 'ää'; SELECT 'ää', nope FROM accounts WHERE id = 201"),
      query("SELECT id::bool FROM accounts"),
      query("INSERT INTO things (id, letters) VALUES (1, 'far too long for it')"),
      query("SELECT abs('x') FROM accounts WHERE id = 1"),
      query("SELECT * FROM accounts WHERE id = 1 FOR nothing"),
      query("SELECT 'open"),
      query('SELECT "open'),
      query("SELECT 1 +"),
      query("SELECT /* open"),
      query("SELECT $1"),
      query("SELECT * FROM accounts a JOIN accounts b ON a.id = b.id AND a.nope"),
    ],
  },
  "deferred constraints": {
    script: [
      query("INSERT INTO late VALUES (1, 1), (1, 1)"),
      query("BEGIN; INSERT INTO late VALUES (1, 1), (1, 1)"),
      query("COMMIT"),
      query("INSERT INTO late VALUES (1, 1), (1, 1); SELECT 1"),
      query("BEGIN; INSERT INTO late VALUES (1, 1), (1, 1); INSERT INTO late VALUES (101, 1)"),
      query("COMMIT"),
      query("SELECT count(*) FROM late"),
    ],
  },
  "two databases": {
    script: [
      query("BEGIN"),
      query(MOVE),
      query("COMMIT"),
      AFTER,
      query(MOVE),
      AFTER,
      query(`BEGIN; ${MOVE}`),
      query("ROLLBACK"),
      AFTER,
    ],
  },
  "scattered writes": {
    script: [
      query("UPDATE accounts SET balance = balance + 1"),
      query("UPDATE accounts SET balance = balance - 15"),
      AFTER,
      query("DELETE FROM accounts WHERE id > 100"),
      AFTER,
      query(
        "INSERT INTO accounts VALUES (3, 'c', 3), (103, 'd', 3), (203, 'e', 3) RETURNING id, name",
      ),
      query("INSERT INTO accounts VALUES (4, 'c', 3), (103, 'd', 3), (204, 'e', 3)"),
      AFTER,
    ],
  },
  "reference tables": {
    script: [
      query("INSERT INTO countries VALUES ('it', 'Italia'), ('de', 'Deutschland')"),
      query("INSERT INTO countries VALUES ('it', 'Italy')"),
      query("SELECT code FROM countries ORDER BY code"),
      query("UPDATE countries SET name = 'x' WHERE code = 'it'"),
      query("DELETE FROM countries"),
    ],
  },
  "unlisted tables": {
    script: [
      query("INSERT INTO notes VALUES (1, 'one')"),
      query("SELECT * FROM notes"),
      query(
        "BEGIN; INSERT INTO notes VALUES (2, 'two'); UPDATE accounts SET balance = 1 WHERE id = 1",
      ),
      query("COMMIT"),
      query("SELECT count(*) FROM notes"),
      AFTER,
    ],
  },
  notices: {
    script: [
      query("SELECT say('x')"),
      query("SELECT say(name) FROM accounts WHERE id = 1"),
      query("SELECT 1; SELECT say('y'); SELECT 2"),
    ],
  },
  "both protocols in one transaction": {
    script: [
      query("BEGIN"),
      run("UPDATE accounts SET balance = 1 WHERE id = 1"),
      sync(),
      query("UPDATE accounts SET balance = 1 WHERE id = 101"),
      parse("s", ONE),
      bind("p", "s"),
      execute("p"),
      sync(),
      query("COMMIT"),
      AFTER,
    ],
  },
  "a query string forgets the unnamed statement": {
    script: [
      parse("", ONE),
      sync(),
      query("SELECT 1"),
      bind("", ""),
      sync(),
      parse("", ONE),
      sync(),
      query(""),
      bind("", ""),
      sync(),
      parse("", ONE),
      sync(),
      query("SELEC"),
      describe("S", ""),
      sync(),
    ],
  },
  "a long text": {
    script: [
      query(`SELECT length('${"x".repeat(100_000)}')`),
      query(`SELECT '${"y".repeat(50_000)}', name FROM accounts WHERE id = 1`),
    ],
  },
};

function AFTER_SQL(): string {
  return "SELECT balance FROM accounts WHERE id = 101";
}
