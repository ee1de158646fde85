/** PREPARE, EXECUTE and DEALLOCATE of SQL, put to PostgreSQL and to the proxy. */
import type { Case } from "./comparing.ts";
import { bind, execute, parse, query, sync } from "./conversation.ts";

export const SQL_PREPARED: Readonly<Record<string, Case>> = {
  "a statement that is routed by its arguments": {
    script: [
      query("PREPARE one (bigint) AS SELECT name FROM accounts WHERE id = $1"),
      query("EXECUTE one (1)"),
      query("EXECUTE one ('201')"),
      query("EXECUTE one (100 + 1)"),
      query("EXECUTE one (NULL)"),
      query("DEALLOCATE one"),
      query("EXECUTE one (1)"),
    ],
  },
  "one over several placements": {
    script: [
      query("PREPARE all_of AS SELECT id, name FROM accounts ORDER BY id"),
      query("EXECUTE all_of"),
      query(
        "PREPARE many (bigint, int) AS SELECT id FROM accounts WHERE id > $1 ORDER BY id LIMIT $2",
      ),
      query("EXECUTE many (1, 2)"),
      query("EXECUTE many(1, length('abc'))"),
    ],
  },
  "writes, in a transaction and out of it": {
    script: [
      query("PREPARE add (bigint, text) AS INSERT INTO accounts VALUES ($1, $2, 0) RETURNING *"),
      query("EXECUTE add (3, 'it''s')"),
      query("BEGIN; EXECUTE add (150, E'a\\nb'); ROLLBACK"),
      query("BEGIN"),
      query("EXECUTE add (150, 'x')"),
      query("EXECUTE add (150, 'x')"),
      query("END"),
      query("SELECT * FROM accounts ORDER BY id"),
    ],
  },
  "types that are worked out": {
    script: [
      query("PREPARE p AS SELECT $1 + 1, $2::text FROM accounts WHERE id = $3"),
      query("EXECUTE p (1, 2, 101)"),
      query('PREPARE q (numeric(10,2), "char") AS SELECT $1, $2'),
      query("EXECUTE q (1.239, 'ab')"),
    ],
  },
  "wrong arguments": {
    script: [
      query("PREPARE one (bigint) AS SELECT name FROM accounts WHERE id = $1"),
      query("EXECUTE one"),
      query("EXECUTE one (1, 2)"),
      query("EXECUTE one ('x')"),
      query("EXECUTE one (now())"),
      query("EXECUTE two (1)"),
      query("PREPARE one AS SELECT 1"),
      query("PREPARE one AS SELECT missing FROM accounts"),
      query("PREPARE bad AS SELECT nothing"),
      query("PREPARE bad (nothing) AS SELECT 1"),
      query("EXECUTE one (1)"),
    ],
  },
  "one namespace with the protocol's": {
    script: [
      parse("p", "SELECT $1::int"),
      sync(),
      query("EXECUTE p (7)"),
      query("PREPARE q (int) AS SELECT $1 * 2"),
      bind("", "q", ["4"]),
      execute(),
      sync(),
      query("DEALLOCATE ALL"),
      query("EXECUTE q (1)"),
    ],
  },
};
