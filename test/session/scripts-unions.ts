/** Scripts over accounts from 100 on, which lie in two schemas of one database, and over all of them. */
import type { Case } from "./comparing.ts";
import { bind, describe, execute, parse, query, run, sync } from "./conversation.ts";

const HERE = "id >= 100";
const THINGS = query(
  `INSERT INTO things (id, small, number, single, wide, flag, letters, fixed, word, bytes, day, moment, instant, hour, span, one, document, list, words) VALUES
   (150, 1, 1.5, 2.5, 1e100, true, 'abc', 'de', 'wörd', '\\x00ff', '2024-02-29', '2024-02-29 12:00', '2024-02-29 12:00+00', '12:34:56', '1 day 2 hours', '0f0e0d0c-0000-4000-8000-00000000007f', '{"a": 1}', '{1,NULL}', '{a,"b c"}'),
   (250, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`,
);
const FORMATS = [0, 1] as const;

const same = (...statements: readonly string[]): Case => ({ script: statements.map(query) });

export const UNIONS: Readonly<Record<string, Case>> = {
  "columns of every type": {
    script: [
      THINGS,
      query("SELECT * FROM things WHERE id >= 100 ORDER BY id"),
      query("SELECT t.*, id + 1 FROM things t WHERE id >= 100 ORDER BY id DESC"),
      ...FORMATS.map((format) => [
        parse("", "SELECT * FROM things WHERE id >= $1 ORDER BY id"),
        bind("", "", ["100"], [format]),
        describe("P", ""),
        execute(),
        sync(),
      ]),
    ],
  },
  "columns of no type": same(
    `SELECT 'x', NULL, '1' AS one FROM accounts WHERE ${HERE}`,
    `SELECT 'x', id FROM accounts WHERE ${HERE} ORDER BY 2 LIMIT 1`,
    `SELECT 'x' || id, NULL::integer, 1.50, ARRAY[1,2], ROW(1,'a') FROM accounts WHERE ${HERE} ORDER BY id`,
    `SELECT pg_sleep(0) FROM accounts WHERE ${HERE}`,
    `SELECT FROM accounts WHERE ${HERE}`,
    `SELECT id, id, name AS id FROM accounts WHERE ${HERE} ORDER BY 1`,
  ),
  "parameters that only their place gives a type": {
    script: [
      ...run(`SELECT $1, id FROM accounts WHERE ${HERE} ORDER BY id`, "text"),
      sync(),
      ...run(
        `SELECT id + $1, $2::numeric(6,2) FROM accounts WHERE ${HERE} ORDER BY id`,
        "1",
        "2.345",
      ),
      sync(),
      ...run(`SELECT coalesce($1, name) FROM accounts WHERE ${HERE} ORDER BY id`, null),
      sync(),
    ],
  },
  "LIMIT and OFFSET, as constants and parameters": {
    script: [
      query(`SELECT id FROM accounts WHERE ${HERE} ORDER BY id LIMIT 1`),
      query(`SELECT id FROM accounts WHERE ${HERE} ORDER BY id LIMIT 1 OFFSET 1`),
      query(
        `SELECT id FROM accounts WHERE ${HERE} ORDER BY id DESC OFFSET 1 ROW FETCH FIRST ROW ONLY`,
      ),
      query(`SELECT name FROM accounts WHERE ${HERE} ORDER BY -id LIMIT 0`),
      query("SELECT count(*) FROM (SELECT id FROM accounts LIMIT 3) AS some"),
      ...["1", "2", null].flatMap((count) => [
        ...run(`SELECT id FROM accounts WHERE ${HERE} ORDER BY id LIMIT $1`, count),
        sync(),
        ...run("SELECT id FROM accounts ORDER BY id DESC LIMIT $1 OFFSET $2", count, "1"),
        sync(),
      ]),
    ],
  },
  "every order": same(
    `SELECT id, balance FROM accounts WHERE ${HERE} ORDER BY balance DESC NULLS LAST, id`,
    `SELECT id, nullif(balance, 30) FROM accounts ORDER BY 2 NULLS FIRST, id`,
    `SELECT id, nullif(balance, 30) AS b FROM accounts ORDER BY b DESC, id`,
    `SELECT name FROM accounts WHERE ${HERE} ORDER BY name COLLATE "C"`,
    `SELECT name FROM accounts WHERE ${HERE} ORDER BY name COLLATE "C" DESC`,
    `SELECT name COLLATE "C" AS name FROM accounts ORDER BY name`,
    `SELECT id FROM accounts WHERE ${HERE} ORDER BY lower(name) COLLATE "C", id`,
    `SELECT name FROM accounts WHERE ${HERE} ORDER BY name`,
  ),
  "groups and distinct rows": same(
    `SELECT count(*), sum(balance), min(id), max(name COLLATE "C"), avg(balance) FROM accounts WHERE ${HERE}`,
    `SELECT balance / 35 AS big, count(*) FROM accounts WHERE ${HERE} GROUP BY 1 ORDER BY 1`,
    `SELECT DISTINCT balance > 0 FROM accounts WHERE ${HERE}`,
    `SELECT DISTINCT balance / 100 FROM accounts`,
  ),
  "forms of a statement": same(
    `SELECT id FROM accounts WHERE ${HERE} ORDER BY id -- a comment`,
    `SELECT id FROM accounts WHERE ${HERE} ORDER BY id /* another */;`,
    `WITH w AS (SELECT id, name FROM accounts WHERE ${HERE}) SELECT name, id FROM w ORDER BY id`,
    `WITH accounts AS (SELECT 7 AS id) SELECT * FROM accounts`,
    `SELECT a.id, e.n FROM accounts a LEFT JOIN entries e ON e.account = a.id WHERE a.id >= 100 ORDER BY a.id`,
    `SELECT * FROM accounts a LEFT JOIN entries e ON e.account = a.id WHERE a.id >= 100 ORDER BY a.id`,
    `SELECT public.accounts.* FROM public.accounts WHERE ${HERE} ORDER BY accounts.id`,
  ),
  "errors of an arm": same(
    `SELECT id / (balance - 40) FROM accounts WHERE ${HERE} ORDER BY id`,
    `SELECT name::integer FROM accounts WHERE ${HERE}`,
    `SELECT nothing FROM accounts WHERE ${HERE}`,
    `SELECT id FROM accounts WHERE ${HERE} ORDER BY 2`,
    `SELECT id FROM accounts WHERE ${HERE} AND name = ANY (1)`,
    `SELECT sum(name) FROM accounts WHERE ${HERE}`,
  ),
  "inside a transaction": same(
    "BEGIN ISOLATION LEVEL READ COMMITTED",
    "UPDATE accounts SET balance = balance + 1 WHERE id = 201",
    `SELECT id, balance FROM accounts WHERE ${HERE} ORDER BY id`,
    "ROLLBACK",
    `SELECT id, balance FROM accounts WHERE ${HERE} ORDER BY id`,
  ),
};
