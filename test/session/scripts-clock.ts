/** now() and its kin where several databases answer: one time for each statement and transaction. */
import type { Case } from "./comparing.ts";
import { query, run, sync } from "./conversation.ts";

const COUNT = "SELECT count(*), count(DISTINCT instant), count(DISTINCT moment) FROM things";
const ROWS = "(1, 1), (2, 2), (101, 3), (201, 4)";

export const CLOCK_CASES: Readonly<Record<string, Case>> = {
  "one for all rows": {
    script: [
      query("SELECT count(DISTINCT now()), count(DISTINCT statement_timestamp()) FROM accounts"),
      query("SELECT count(*) FROM (SELECT DISTINCT now() FROM accounts) AS times"),
      query("SELECT count(*) FROM (SELECT now(), count(*) FROM accounts GROUP BY now()) AS groups"),
      query(
        "SELECT count(*) FROM (SELECT DISTINCT current_timestamp, localtimestamp, current_time, localtime FROM accounts) AS times",
      ),
      query("SELECT min(now()) = max(now()), min(CURRENT_TIME) = max(CURRENT_TIME) FROM accounts"),
      run("SELECT count(DISTINCT now() + $1::interval) FROM accounts", "1 day"),
      sync(),
    ],
  },
  "names and types of columns": {
    script: [
      query(
        "SELECT now(), pg_catalog.now(), transaction_timestamp() FROM accounts WHERE id < 0 OR id = 9",
      ),
      query(
        "SELECT CURRENT_DATE, CURRENT_TIME, CURRENT_TIME(2), LOCALTIME, LOCALTIME(0) FROM accounts WHERE id IN (7, 107)",
      ),
      query(
        "SELECT CURRENT_TIMESTAMP, current_timestamp (3), LOCALTIMESTAMP, LOCALTIMESTAMP(1) FROM accounts WHERE id IN (7, 107)",
      ),
      query(
        "SELECT now()::date, CASE WHEN id = 1 THEN NULL ELSE now() END, now() - now(), -id FROM accounts WHERE id IN (7, 107)",
      ),
      query(
        "SELECT t.now IS NULL, t.current_date > '2020-01-01' FROM (SELECT id, now(), current_date FROM accounts) AS t ORDER BY t.id",
      ),
      query("SELECT now() IS NOT NULL AS now, count(*) FROM accounts GROUP BY 1 ORDER BY 1"),
      query("SELECT id, now IS NULL FROM accounts, now() ORDER BY id"),
      query("SELECT DISTINCT now() > '2020-01-01' FROM accounts ORDER BY now() > '2020-01-01'"),
      query(
        "SELECT 'now()', $$current_date$$, 1 AS current_date FROM accounts ORDER BY id /* now() */ -- now()",
      ),
    ],
  },
  "what a precision leaves": {
    script: [
      query(
        "SELECT bool_and(current_timestamp(0) = now()::timestamptz(0) AND localtime(2) = now()::time(2) AND current_date = now()::date) FROM accounts",
      ),
      query("SET TimeZone = 'Asia/Kathmandu'; SET DateStyle = 'SQL, DMY'"),
      query(
        "SELECT bool_and(localtimestamp = now()::timestamp AND current_time = now()::timetz AND current_date = now()::date) FROM accounts",
      ),
    ],
  },
  "in conditions": {
    script: [
      query(
        "SELECT count(*) FROM accounts WHERE now() > '2020-01-01' AND CURRENT_DATE >= now()::date",
      ),
      run("SELECT id FROM accounts WHERE now() > $1 ORDER BY id", "2020-01-01"),
      run(
        "SELECT name, rank() OVER (ORDER BY balance, now()) FROM accounts WHERE now() > $1",
        "2020-01-01",
      ),
      sync(),
    ],
  },
  "stored by one statement": {
    script: [
      query(`INSERT INTO things (id, small) VALUES ${ROWS}`),
      query(COUNT),
      query("UPDATE things SET instant = now(), moment = LOCALTIMESTAMP"),
      query(COUNT),
      query(
        "INSERT INTO things (id, instant, moment) VALUES (11, now(), DEFAULT), (111, CURRENT_TIMESTAMP, DEFAULT), (211, DEFAULT, localtimestamp)",
      ),
      query(
        `SELECT count(DISTINCT instant), count(DISTINCT moment) FROM things WHERE id > 2 AND id % 100 = 11`,
      ),
      query(
        "INSERT INTO things (id) VALUES (11), (211) ON CONFLICT (id) DO UPDATE SET instant = now() + interval '1 day' RETURNING id, instant > now()",
      ),
      query("SELECT count(DISTINCT instant) FROM things WHERE id IN (11, 211)"),
      run("INSERT INTO things (id, word) VALUES ($1, 'a'), ($2, 'b')", "50", "150"),
      sync(),
      query(
        "SELECT count(DISTINCT instant), count(DISTINCT moment) FROM things WHERE id IN (50, 150)",
      ),
    ],
  },
  "one for a transaction": {
    script: [
      query("BEGIN"),
      query("INSERT INTO things (id, instant) VALUES (1, now())"),
      query("SELECT pg_sleep(0.01)"),
      query("INSERT INTO things (id, instant) VALUES (101, now())"),
      query("INSERT INTO things (id, instant) VALUES (102, now()), (2, CURRENT_TIMESTAMP)"),
      query("SELECT count(DISTINCT instant), bool_and(instant = now()) FROM things"),
      query("SELECT count(*) FROM things WHERE id = 101 AND instant = now()"),
      query("SELECT count(*) FROM things WHERE instant <= now() AND statement_timestamp() > now()"),
      query("COMMIT"),
      query("SELECT count(DISTINCT instant), bool_or(instant = now()) FROM things"),
    ],
  },
  "of a cursor": {
    script: [
      query("BEGIN"),
      query("SELECT count(*) FROM accounts WHERE id = 101"),
      query(
        "DECLARE c CURSOR FOR SELECT now() = statement_timestamp(), id FROM accounts ORDER BY id",
      ),
      query("FETCH 2 FROM c"),
      query("FETCH ALL FROM c"),
      query("COMMIT"),
    ],
  },
  "of views": {
    script: [
      query("CREATE VIEW timed AS SELECT id, now() AS asked, CURRENT_TIMESTAMP FROM accounts"),
      query(
        "SELECT count(*), count(DISTINCT asked), count(DISTINCT t.current_timestamp) FROM timed AS t",
      ),
      query("DROP VIEW timed"),
    ],
  },
  "errors behind it have their place": {
    script: [
      query("SELECT now(), balance / (id - id) FROM accounts"),
      query("SELECT now(), nothing FROM accounts"),
    ],
  },
};
