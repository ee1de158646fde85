/** Temporary tables and sharded ones in one statement. */
import { bind, describe, execute, parse, query, run, sync } from "./conversation.ts";
import type { Case } from "./comparing.ts";

const MORE = query(
  "INSERT INTO entries VALUES (1, 1, 'a'), (1, 2, 'b'), (101, 1, 'c'), (201, 1, NULL)",
);
const PICK = query("CREATE TEMP TABLE picked (id bigint, why text)");
const PICKED = query("INSERT INTO picked VALUES (1, 'one'), (101, 'west'), (7, 'none')");

export const MADE_OF_SHARDS: Readonly<Record<string, Case>> = {
  "CREATE TEMP TABLE AS": {
    script: [
      query("CREATE TEMP TABLE rich AS SELECT id, name FROM accounts WHERE balance > 15"),
      query("SELECT * FROM rich ORDER BY id"),
      query("CREATE TEMP TABLE one AS SELECT * FROM accounts WHERE id = 101"),
      query("SELECT * FROM one"),
      query("CREATE TEMP TABLE none AS SELECT * FROM accounts WHERE false"),
      query("CREATE TEMP TABLE sums (n, total) AS SELECT count(*), sum(balance) FROM accounts"),
      query("SELECT * FROM sums"),
      query("CREATE TEMP TABLE sums AS SELECT 1 AS n FROM accounts"),
      query("CREATE TEMP TABLE IF NOT EXISTS sums AS SELECT name FROM accounts"),
      query("CREATE TEMP TABLE empty AS SELECT id, balance FROM accounts WITH NO DATA"),
      query("SELECT * FROM empty"),
      query("CREATE TEMP TABLE typed AS SELECT letters, fixed, number, list FROM things"),
      query("SELECT * FROM typed"),
      query("CREATE TEMP TABLE bad AS SELECT 1 / (balance - 10) AS x FROM accounts"),
      query("SELECT * FROM bad"),
      query("CREATE TEMP TABLE bad AS SELECT no_such FROM accounts"),
      query("INSERT INTO rich SELECT id + 1000, name FROM rich ORDER BY id RETURNING id"),
      query("DROP TABLE rich, one, none, sums, empty, typed"),
      query("SELECT * FROM rich"),
    ],
  },
  "SELECT INTO": {
    script: [
      query("SELECT id, name INTO TEMP picked FROM accounts WHERE id > 1 ORDER BY id LIMIT 2"),
      query("SELECT * FROM picked ORDER BY id"),
      query("SELECT name, rank() OVER (ORDER BY balance DESC) INTO TEMPORARY ranks FROM accounts"),
      query("SELECT * FROM ranks ORDER BY rank"),
      query('SELECT id INTO TEMP "all" FROM accounts UNION SELECT n FROM entries'),
      query('SELECT count(*) FROM "all"'),
    ],
  },
  "in transactions": {
    script: [
      query("BEGIN"),
      query("INSERT INTO accounts VALUES (3, 'eve', 1), (103, 'fay', 2)"),
      query("CREATE TEMP TABLE seen ON COMMIT DROP AS SELECT id, name FROM accounts"),
      query("SELECT * FROM seen ORDER BY id"),
      query("SAVEPOINT a"),
      query("CREATE TEMP TABLE gone AS SELECT id FROM accounts"),
      query("ROLLBACK TO a"),
      query("SELECT * FROM gone"),
      query("ROLLBACK TO a"),
      query("UPDATE accounts SET balance = 0 WHERE id = 201"),
      query("COMMIT"),
      query("SELECT * FROM seen"),
      query("SELECT * FROM accounts ORDER BY id"),
      query("BEGIN; CREATE TEMP TABLE undone AS SELECT id FROM accounts; ROLLBACK"),
      query("SELECT * FROM undone"),
      query("BEGIN READ ONLY"),
      query("CREATE TEMP TABLE undone AS SELECT id FROM accounts WHERE false"),
      query("ROLLBACK"),
    ],
    differs: {
      because: "PostgreSQL refuses it by another name",
      instead: [
        [
          "ErrorResponse S=ERROR V=ERROR C=25006",
          "ErrorResponse S=ERROR V=ERROR C=25006 M=cannot gather rows in temporary tables in a read-only transaction D=The statement may write, and temporary tables beside the transaction would let it. H=Use a transaction that is not READ ONLY, or isolation level READ COMMITTED.",
        ],
      ],
    },
  },
  "in the extended protocol": {
    script: [
      run("CREATE TEMP TABLE rich AS SELECT id, name FROM accounts WHERE balance > 15"),
      sync(),
      parse("", "SELECT * FROM rich r JOIN accounts a USING (id) WHERE a.balance > $1 ORDER BY id"),
      describe("S", ""),
      bind("", "", ["25"], [1]),
      execute(),
      sync(),
    ],
  },
};

export const READ_BESIDE: Readonly<Record<string, Case>> = {
  "joins and sub-selects": {
    script: [
      MORE,
      PICK,
      PICKED,
      query("SELECT a.name, p.why FROM accounts a JOIN picked p ON p.id = a.id ORDER BY a.id"),
      query("SELECT p.id, a.name FROM picked p LEFT JOIN accounts a USING (id) ORDER BY p.id"),
      query("SELECT name FROM accounts WHERE id IN (SELECT id FROM picked) ORDER BY id"),
      query("SELECT name FROM accounts WHERE id NOT IN (SELECT id FROM picked) ORDER BY id"),
      query("SELECT why FROM picked p WHERE EXISTS (SELECT FROM entries e WHERE e.account = p.id)"),
      query(
        "SELECT p.why, count(e.n) FROM picked p LEFT JOIN entries e ON e.account = p.id GROUP BY 1 ORDER BY 1",
      ),
      query(
        "SELECT a.name, e.note, p.why FROM accounts a JOIN entries e ON e.account = a.id JOIN picked p ON p.id = a.id ORDER BY 1, 2",
      ),
      query("SELECT a.name FROM accounts a, picked p WHERE a.id = p.id AND a.id = 101"),
      query("SELECT id FROM picked UNION SELECT id FROM accounts ORDER BY id"),
      query(
        "WITH p AS (SELECT * FROM picked) SELECT max(a.balance) FROM p JOIN accounts a USING (id)",
      ),
      query(
        "CREATE TEMP TABLE joined AS SELECT a.*, p.why FROM accounts a JOIN picked p USING (id)",
      ),
      query("SELECT * FROM joined ORDER BY id"),
    ],
  },
  "in transactions, and by cursors": {
    script: [
      query("BEGIN"),
      PICK,
      PICKED,
      query("UPDATE accounts SET balance = 99 WHERE id IN (1, 101)"),
      query("SELECT a.balance, p.why FROM accounts a JOIN picked p USING (id) ORDER BY a.id"),
      query(
        "DECLARE c CURSOR FOR SELECT a.name FROM accounts a JOIN picked p USING (id) ORDER BY 1",
      ),
      query("FETCH 1 FROM c; FETCH ALL FROM c"),
      query(
        "INSERT INTO picked SELECT a.id, a.name FROM accounts a LEFT JOIN picked p USING (id) WHERE p.id IS NULL",
      ),
      query("SELECT * FROM picked ORDER BY id"),
      query(
        "COPY (SELECT a.name, p.why FROM accounts a JOIN picked p USING (id) ORDER BY 1) TO STDOUT",
      ),
      query("COMMIT"),
      query("SELECT count(*) FROM picked JOIN accounts USING (id)"),
      query("BEGIN READ ONLY; SELECT count(*) FROM picked; ROLLBACK"),
      query("SELECT count(*) FROM picked JOIN countries ON code = why"),
    ],
  },
};
