/** Scripts of writes that take their rows from other tables, and so may move them between placements. */
import { bind, describe, execute, parse, query, run, sync } from "./conversation.ts";
import type { Case } from "./comparing.ts";

const ACCOUNTS = query("SELECT * FROM accounts ORDER BY id");
const ENTRIES = query("SELECT * FROM entries ORDER BY account, n");
const NOTES = query("SELECT * FROM notes ORDER BY id");
const COUNTRIES = query("SELECT * FROM countries ORDER BY code");
const FILL = query(
  "INSERT INTO entries VALUES (1, 1, 'a'), (1, 2, 'b'), (2, 1, 'c'), (101, 1, 'd'), (201, 1, 'e')",
);

export const WRITES: Readonly<Record<string, Case>> = {
  "INSERT ... SELECT where the rows stay": {
    script: [
      query("INSERT INTO entries SELECT id, 1, name FROM accounts"),
      query("INSERT INTO entries (n, account) SELECT 2, id FROM accounts WHERE balance > 15"),
      query("INSERT INTO entries SELECT id, 3, 'pinned' FROM accounts WHERE id = 101"),
      query("INSERT INTO entries SELECT 1, 4, name FROM accounts WHERE id = 1"),
      query(
        "INSERT INTO entries SELECT id, 1, 'again' FROM accounts ON CONFLICT (account, n) DO UPDATE SET note = entries.note || excluded.note WHERE entries.account > 100",
      ),
      query("INSERT INTO entries SELECT id, 1, 'again' FROM accounts"),
      ENTRIES,
    ],
  },
  "RETURNING beside ON CONFLICT is in the order of VALUES": {
    script: [
      query(
        "INSERT INTO accounts VALUES (201, 'x', 1), (1, 'y', 2), (150, 'z', 3), (101, 'v', 4), (2, 'w', 5) ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING id, name, balance",
      ),
      query(
        "INSERT INTO accounts VALUES (250, 'x', 1), (50, 'y', 2), (151, 'z', 3), (51, 'w', 5) ON CONFLICT DO NOTHING RETURNING id",
      ),
      query(
        "INSERT INTO accounts SELECT id, 'again', 9 FROM accounts ORDER BY id DESC ON CONFLICT (id) DO UPDATE SET balance = excluded.balance RETURNING id, name, balance",
      ),
      run(
        "INSERT INTO accounts VALUES ($1, 'p', 1), ($2, 'q', 1), ($3, 'r', 1) ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING id, name",
        "201",
        "3",
        "101",
      ),
      sync(),
      ACCOUNTS,
    ],
  },
  "INSERT ... SELECT with other keys": {
    script: [
      query("INSERT INTO accounts SELECT id + 100, name, balance * 2 FROM accounts WHERE id < 3"),
      ACCOUNTS,
      query("INSERT INTO accounts SELECT id + 2, upper(name), 0 FROM accounts"),
      query("INSERT INTO entries SELECT 1, row_number() OVER (ORDER BY id), name FROM accounts"),
      query("INSERT INTO entries SELECT id, 5, 'most' FROM accounts ORDER BY balance DESC LIMIT 2"),
      query("INSERT INTO entries SELECT 300, 1, NULL"),
      query("INSERT INTO accounts SELECT id + 5, NULL, NULL FROM accounts"),
      query("INSERT INTO accounts SELECT id + 1000, 'gone', 1 FROM accounts WHERE false"),
      ACCOUNTS,
      ENTRIES,
    ],
  },
  "INSERT ... SELECT into and out of tables that are elsewhere": {
    script: [
      query("INSERT INTO notes SELECT id, name FROM accounts"),
      NOTES,
      query("INSERT INTO countries SELECT 'c' || id, name FROM accounts WHERE name IS NOT NULL"),
      query("INSERT INTO countries SELECT code, 'x' FROM countries ON CONFLICT (code) DO NOTHING"),
      COUNTRIES,
      query("INSERT INTO accounts SELECT id + 20, body, id FROM notes WHERE id < 100"),
      query("INSERT INTO entries SELECT 2, id, body FROM notes ORDER BY id LIMIT 1"),
      ACCOUNTS,
      ENTRIES,
    ],
  },
  "INSERT ... SELECT RETURNING": {
    script: [
      query(
        "INSERT INTO accounts SELECT n, 'n' || n, n FROM generate_series(99, 102, 3) AS n RETURNING id, name",
      ),
      query("INSERT INTO accounts SELECT id + 1, name, 1 FROM accounts WHERE id = 77 RETURNING *"),
      query(
        "WITH rich AS (SELECT id FROM accounts WHERE balance >= 40) INSERT INTO entries SELECT id - 200, 9, 'r' FROM rich WHERE id = 201 RETURNING account + n AS sum",
      ),
      ENTRIES,
    ],
  },
  "INSERT ... SELECT that PostgreSQL refuses": {
    script: [
      query("INSERT INTO accounts SELECT id + 7 FROM accounts RETURNING nothing"),
      query("INSERT INTO accounts (id, name) SELECT id + 7 FROM accounts"),
      query("INSERT INTO accounts SELECT name, name, balance FROM accounts"),
      query("INSERT INTO accounts SELECT id + 7, 'x', 1, 2 FROM accounts"),
      query("INSERT INTO accounts SELECT id + 7, name, -1 FROM accounts WHERE id = 1"),
      ACCOUNTS,
    ],
  },
  "INSERT ... SELECT of every type": {
    script: [
      query(
        "INSERT INTO things VALUES (1, 7, 1.50, 0.1, 1e-300, true, 'let', 'fix', E'a\\\\b''c', '\\x00ff', '2024-02-29', '2024-02-29 12:00:00.000001', '2024-02-29 12:00:00+02', '12:34', '1 mon -2 days', '6b1fca06-5c0e-4a3c-8d1c-2d1e0f6e3a11', '{\"a\": [1, null]}', '{1,NULL,3}', '{\"a,b\",\"NULL\",NULL}')",
      ),
      query(
        "INSERT INTO things SELECT id + 100, small, number, single, wide, flag, letters, fixed, word, bytes, day, moment, instant, hour, span, one, document, list, words FROM things",
      ),
      query(
        "INSERT INTO things (id, wide, single) SELECT 102, 'NaN', '-Infinity' FROM things WHERE id = 1",
      ),
      query(
        "INSERT INTO things (id, wide, day) SELECT id + 1, wide, day FROM things WHERE id = 101",
      ),
      query("SELECT * FROM things ORDER BY id"),
    ],
  },
  "INSERT ... SELECT with parameters": {
    script: [
      parse(
        "s",
        "INSERT INTO accounts SELECT id + $1, $2, balance + $3 FROM accounts WHERE id = $4 RETURNING name, $2 AS given",
      ),
      describe("S", "s"),
      bind("", "s", ["100", "of text", "5", "2"]),
      describe("P", ""),
      execute(),
      sync(),
      run("INSERT INTO entries SELECT $1, $2::integer, name FROM accounts WHERE id = $1", "1", "8"),
      sync(),
      run("INSERT INTO entries SELECT $1, 9, name FROM accounts WHERE id = $2", "1", "201"),
      sync(),
      run(
        "INSERT INTO accounts SELECT id + $1, 'p', 1 FROM accounts ON CONFLICT (id) DO UPDATE SET balance = $2",
        "1",
        "77",
      ),
      sync(),
      ACCOUNTS,
      ENTRIES,
    ],
  },
  "INSERT ... SELECT in a transaction": {
    script: [
      query("BEGIN"),
      FILL,
      query(
        "INSERT INTO entries SELECT account + 1, n + 10, note FROM entries WHERE account IN (1, 101) AND account < 100",
      ),
      ENTRIES,
      query("INSERT INTO accounts SELECT id + 100, name, -5 FROM accounts"),
      query("ROLLBACK"),
      ENTRIES,
    ],
  },
  "MERGE where both sides lie together": {
    script: [
      FILL,
      query(
        "MERGE INTO entries e USING accounts a ON e.account = a.id AND e.n = 1 WHEN MATCHED AND a.balance > 35 THEN DELETE WHEN MATCHED THEN UPDATE SET note = note || a.name WHEN NOT MATCHED THEN INSERT VALUES (a.id, 1, 'new')",
      ),
      ENTRIES,
      query(
        "MERGE INTO entries e USING (SELECT account, max(n) AS n FROM entries GROUP BY account) last ON e.account = last.account AND e.n = last.n WHEN NOT MATCHED BY SOURCE THEN DELETE",
      ),
      ENTRIES,
      query(
        "MERGE INTO entries e USING accounts a ON e.account = a.id WHEN MATCHED AND a.id = 2 THEN UPDATE SET n = e.n + 10 RETURNING merge_action(), e.*",
      ),
      ENTRIES,
    ],
  },
  "MERGE of one key": {
    script: [
      query(
        "MERGE INTO accounts a USING (SELECT 101 AS id, 5 AS more) s ON a.id = s.id WHEN MATCHED THEN UPDATE SET balance = balance + s.more WHEN NOT MATCHED THEN INSERT VALUES (s.id, 'new', s.more)",
      ),
      query(
        "MERGE INTO accounts a USING (VALUES (102, 7)) AS s (id, more) ON a.id = s.id WHEN MATCHED THEN UPDATE SET balance = balance + s.more WHEN NOT MATCHED THEN INSERT VALUES (s.id, 'new', s.more) RETURNING a.id",
      ),
      run(
        "MERGE INTO accounts a USING (SELECT $1::bigint AS id, $2::integer AS more) s ON a.id = s.id WHEN MATCHED THEN UPDATE SET balance = balance + s.more WHEN NOT MATCHED THEN INSERT VALUES (s.id, 'new', s.more)",
        "202",
        "9",
      ),
      sync(),
      query("MERGE INTO accounts a USING nowhere n ON a.id = n.id WHEN MATCHED THEN DELETE"),
      query(
        "MERGE INTO accounts a USING entries e ON a.id = e.account WHEN MATCHED THEN UPDATE SET nothing = 1",
      ),
      ACCOUNTS,
    ],
  },
  "MERGE into a reference table": {
    script: [
      query("INSERT INTO countries VALUES ('de', 'x'), ('fr', 'y')"),
      query(
        "MERGE INTO countries c USING (VALUES ('de', 'Germany'), ('es', 'Spain')) AS s (code, name) ON c.code = s.code WHEN MATCHED THEN UPDATE SET name = s.name WHEN NOT MATCHED THEN INSERT VALUES (s.code, s.name) WHEN NOT MATCHED BY SOURCE THEN DELETE",
      ),
      COUNTRIES,
    ],
  },
  "row locks over several placements": {
    script: [
      query("SELECT id, name FROM accounts ORDER BY id FOR UPDATE"),
      query("BEGIN"),
      query(
        "SELECT id FROM accounts WHERE balance > 15 ORDER BY balance DESC FOR NO KEY UPDATE NOWAIT",
      ),
      query("UPDATE accounts SET balance = balance + 1 WHERE id IN (1, 101)"),
      query("SELECT count(*) FROM accounts"),
      query("COMMIT"),
      query(
        "SELECT a.id, e.n FROM accounts a LEFT JOIN entries e ON e.account = a.id ORDER BY a.id FOR SHARE OF a SKIP LOCKED",
      ),
      run("SELECT id FROM accounts WHERE id IN ($1, $2) FOR KEY SHARE", "1", "1"),
      sync(),
      ACCOUNTS,
    ],
  },
  "LOCK TABLE": {
    script: [
      query("LOCK TABLE accounts"),
      query("BEGIN"),
      query("LOCK TABLE accounts, countries, notes IN SHARE ROW EXCLUSIVE MODE NOWAIT"),
      query("UPDATE accounts SET balance = 1"),
      query("LOCK nowhere"),
      query("ROLLBACK"),
      query("LOCK TABLE accounts IN ROW SHARE MODE; SELECT count(*) FROM accounts"),
    ],
  },
  "maintenance of every placement": {
    script: [
      query("CREATE INDEX CONCURRENTLY balances ON accounts (balance)"),
      query("REINDEX TABLE CONCURRENTLY accounts"),
      query("CLUSTER accounts USING balances"),
      query("SELECT id FROM accounts WHERE balance = 30"),
      query("DROP INDEX CONCURRENTLY balances"),
      query("DROP INDEX CONCURRENTLY balances"),
      query("BEGIN"),
      query("CREATE INDEX CONCURRENTLY balances ON accounts (balance)"),
      query("ROLLBACK"),
      query("VACUUM (ANALYZE) accounts (name), notes"),
      query("ANALYZE accounts"),
      query("TRUNCATE accounts, entries RESTART IDENTITY"),
      query("TRUNCATE accounts"),
      ACCOUNTS,
    ],
  },
  "queries in WITH that write": {
    script: [
      FILL,
      query(
        "WITH gone AS (DELETE FROM entries WHERE account = 1 RETURNING *) INSERT INTO late SELECT account, n FROM gone RETURNING account, n",
      ),
      query(
        "WITH new AS (INSERT INTO entries VALUES (1, 5, 'new') RETURNING *) SELECT a.name, new.note FROM new JOIN accounts a ON a.id = new.account AND a.id = 1",
      ),
      query(
        "WITH paid AS (UPDATE accounts SET balance = balance - 5 WHERE id = 101 RETURNING id) INSERT INTO entries VALUES (101, 9, (SELECT 'by ' || count(*) FROM paid))",
      ),
      query("UPDATE accounts SET id = id, balance = 3 WHERE id = 201"),
      ACCOUNTS,
      ENTRIES,
    ],
  },
};
