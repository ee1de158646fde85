/** COPY in both directions, put to PostgreSQL and to the proxy: formats, options, ends and errors. */
import type { Case } from "./comparing.ts";
import { bind, describe, execute, parse, query, raw, sync } from "./conversation.ts";
import { BINARY_END, BINARY_HEADER, binaryRow, copy, data, done, fail, int8 } from "./copying.ts";

const ALL = query("SELECT id, name, balance FROM accounts ORDER BY id");
const THINGS = query("SELECT id, word, letters, list FROM things ORDER BY id");

const BINARY = Buffer.concat([
  BINARY_HEADER,
  binaryRow(int8(3n), Buffer.from("eve"), Buffer.from([0, 0, 0, 5])),
  binaryRow(int8(150n), null, Buffer.from([0, 0, 0, 6])),
  binaryRow(int8(250n), Buffer.from("grün"), Buffer.from([0, 0, 0, 7])),
  BINARY_END,
]);

export const COPY: Readonly<Record<string, Case>> = {
  "text goes to the placements of its rows": {
    script: [
      copy("COPY accounts FROM STDIN", "3\teve\t1\n150\t\\N\t2\n250\tz\\ty\t3\n"),
      ALL,
      // Where their keys are looked for, which a scatter does not ask.
      query("SELECT name FROM accounts WHERE id = 3"),
      query("SELECT name FROM accounts WHERE id = 150"),
      query("SELECT name FROM accounts WHERE id = 250"),
    ],
  },
  "options that the server alone needs to know, where it writes all": {
    script: [
      query("COPY (SELECT 'é', NULL) TO STDOUT (ENCODING 'LATIN1', NULL '-')"),
      query("COPY (SELECT 'é') TO STDOUT (FORMAT csv, ENCODING 'no such')"),
    ],
  },
  "a column list in another order, and a condition": {
    script: [
      copy("COPY accounts (balance, id) FROM STDIN WHERE balance > 1", "1\t3\n2\t150\n3\t250\n"),
      ALL,
    ],
  },
  "the last line needs no end, and the mark ends the data": {
    script: [
      copy("COPY accounts FROM STDIN", "3\teve\t1\n150\tf\t2"),
      copy("COPY accounts FROM STDIN", "4\teve\t1\n\\.\n"),
      ALL,
    ],
  },
  "lines that end in both characters, or in a carriage return": {
    script: [
      copy("COPY accounts FROM STDIN", "3\teve\t1\r\n150\tf\t2\r\n"),
      copy("COPY accounts FROM STDIN", "4\teve\t1\r151\tf\t2\r"),
      ALL,
    ],
  },
  "escapes of every kind": {
    script: [
      copy(
        "COPY things (id, word) FROM STDIN",
        "1\ta\\tb\\nc\\\\d\n\\x31\\60\\061\t\\x41\\102\\b\\f\\v\\r\\q\n250\ta\\\nb\n",
      ),
      THINGS,
    ],
  },
  "frozen rows of a table that was emptied before": {
    script: [
      query("BEGIN"),
      query("TRUNCATE accounts CASCADE"),
      copy("COPY accounts FROM STDIN WITH (FREEZE)", "3\teve\t1\n150\tf\t2\n250\tg\t3\n"),
      ALL,
      query("ROLLBACK"),
    ],
  },
  "frozen rows of a table that was not": {
    script: [
      copy("COPY accounts FROM STDIN WITH (FREEZE)", "3\teve\t1\n"),
      query("BEGIN"),
      copy("COPY accounts FROM STDIN WITH (FREEZE)", ""),
      query("ROLLBACK"),
    ],
    differs: {
      because: "the proxy has a server begin the COPY before it asks the client for data",
      instead: [["G ", undefined]],
    },
  },
  "another delimiter and NULL text": {
    script: [
      copy("COPY accounts FROM STDIN WITH (DELIMITER '|', NULL 'none')", "3|none|1\n150|a\\|b|2\n"),
      ALL,
    ],
  },
  "CSV with a header, quotes, delimiters and line ends within": {
    script: [
      copy(
        "COPY accounts FROM STDIN WITH (FORMAT csv, HEADER)",
        'id,name,balance\n3,"a,""b""\nc",1\n"150",,2\n250,"",3\n',
      ),
      ALL,
    ],
  },
  "CSV with its own quote and escape": {
    script: [
      copy(
        "COPY accounts FROM STDIN WITH (FORMAT csv, QUOTE '''', ESCAPE '\\', DELIMITER ';')",
        "3;'a\\'b';1\n150;'c;d\\\\';2\n",
      ),
      ALL,
    ],
  },
  "CSV whose NULLs are forced": {
    script: [
      copy(
        "COPY things (id, word, letters) FROM STDIN WITH (FORMAT csv, NULL 'x', FORCE_NULL (word), FORCE_NOT_NULL (letters))",
        '1,"x",x\n150,x,"x"\n250,"y",y\n',
      ),
      THINGS,
    ],
  },
  "a header that is matched": {
    script: [
      copy(
        "COPY accounts (name, balance, id) FROM STDIN WITH (HEADER match)",
        "name\tbalance\tid\na\t1\t3\nb\t2\t150\n",
      ),
      ALL,
    ],
  },
  "a header of other columns": {
    script: [
      copy("COPY accounts FROM STDIN WITH (HEADER match)", "id\tnama\tbalance\n3\ta\t1\n"),
      ALL,
    ],
  },
  "binary data": {
    script: [copy("COPY accounts FROM STDIN WITH (FORMAT binary)", BINARY, 11), ALL],
  },
  "no data at all": {
    script: [copy("COPY accounts FROM STDIN", ""), copy("COPY accounts FROM STDIN csv", ""), ALL],
  },
  "a row that a placement refuses fails them all, by its line": {
    script: [copy("COPY accounts FROM STDIN", "3\ta\t1\n150\tb\t2\n151\tc\t-1\n250\td\t4\n"), ALL],
  },
  "a key that is there already": {
    script: [copy("COPY accounts FROM STDIN", "3\ta\t1\n101\tb\t2\n"), ALL],
  },
  "a value that is none of its type": {
    script: [
      copy("COPY accounts FROM STDIN", "3\ta\tmany\n"),
      copy("COPY accounts FROM STDIN", "three\ta\t1\n"),
      ALL,
    ],
  },
  "too few and too many fields": {
    script: [
      copy("COPY accounts FROM STDIN", "3\ta\n"),
      copy("COPY accounts FROM STDIN", "3\ta\t1\tmore\n"),
      ALL,
    ],
  },
  "the client gives up": {
    script: [query("COPY accounts FROM STDIN"), data("3\ta\t1\n"), fail("no more"), ALL],
  },
  "in a transaction, rolled back and committed": {
    script: [
      query("BEGIN"),
      copy("COPY accounts FROM STDIN", "3\ta\t1\n150\tb\t2\n"),
      ALL,
      query("ROLLBACK"),
      ALL,
      query("BEGIN"),
      copy("COPY accounts FROM STDIN", "3\ta\t1\n150\tb\t2\n"),
      query("COMMIT"),
      ALL,
    ],
  },
  "a failed one fails its transaction": {
    script: [
      query("BEGIN"),
      copy("COPY accounts FROM STDIN", "3\ta\t-1\n"),
      ALL,
      query("ROLLBACK"),
      ALL,
    ],
  },
  "in a failed transaction": {
    script: [query("BEGIN"), query("SELECT 1/0"), query("COPY accounts TO STDOUT"), query("END")],
  },
  "among other statements of a string": {
    script: [
      query("COPY accounts FROM STDIN; SELECT count(*) FROM accounts"),
      data("3\ta\t1\n150\tb\t2\n"),
      done(),
      ALL,
    ],
  },
  "by the extended protocol": {
    script: [
      parse("", "COPY accounts FROM STDIN"),
      bind("", "", []),
      describe("P", ""),
      execute(),
      // Within the data it is none of PostgreSQL's business.
      raw("S"),
      data("3\ta\t1\n150\tb\t2\n"),
      done(),
      sync(),
      ALL,
    ],
  },
  "into tables of one database, and of every one": {
    script: [
      copy("COPY notes FROM STDIN", "1\ta\n2\tb\n"),
      copy("COPY countries FROM STDIN csv", "de,Germany\nfr,France\n"),
      query("SELECT * FROM notes ORDER BY id"),
      query("SELECT * FROM countries ORDER BY code"),
      copy("COPY notes FROM STDIN", "3\ta\n1\tb\n"),
      copy("COPY countries FROM STDIN csv", "it,Italy\nfr,France\n"),
      query("SELECT count(*) FROM notes"),
      query("SELECT count(*) FROM countries"),
    ],
  },
  "tables and columns that are not there": {
    script: [
      query("COPY nowhere FROM STDIN"),
      query("COPY accounts (id, nothing) FROM STDIN"),
      query("COPY accounts (id, id) FROM STDIN"),
      query("COPY nowhere TO STDOUT"),
    ],
  },
  "rows of several placements come back in order": {
    script: [
      query("COPY (SELECT * FROM accounts ORDER BY id) TO STDOUT"),
      query(
        "COPY (SELECT * FROM accounts ORDER BY id DESC LIMIT 2) TO STDOUT WITH (FORMAT csv, HEADER)",
      ),
      query(
        "COPY (SELECT name, NULL, '', balance FROM accounts ORDER BY id) TO STDOUT CSV FORCE QUOTE name",
      ),
      query("COPY (SELECT id, balance FROM accounts ORDER BY id) TO STDOUT WITH (FORMAT binary)"),
      query("COPY (SELECT count(*), sum(balance) FROM accounts) TO STDOUT"),
    ],
  },
  "texts that need escapes": {
    script: [
      query(
        "INSERT INTO things (id, word) VALUES (1, E'a\\tb\\nc\\\\d\\r|'), (150, E'\"q\",\\n'), (250, '\\.')",
      ),
      query("COPY (SELECT id, word FROM things ORDER BY id) TO STDOUT"),
      query(
        "COPY (SELECT id, word FROM things ORDER BY id) TO STDOUT WITH (DELIMITER '|', NULL '-')",
      ),
      query("COPY (SELECT id, word FROM things ORDER BY id) TO STDOUT CSV"),
      query("COPY (SELECT word FROM things ORDER BY id) TO STDOUT CSV"),
      query(
        "COPY (SELECT word FROM things ORDER BY id) TO STDOUT WITH (FORMAT csv, QUOTE '''', ESCAPE '\\')",
      ),
    ],
  },
  "rows of one placement": {
    script: [
      query("COPY (SELECT * FROM accounts WHERE id = 101) TO STDOUT WITH (HEADER)"),
      query("COPY (SELECT * FROM accounts WHERE id = 201) TO STDOUT WITH (FORMAT binary)"),
      query("COPY countries TO STDOUT"),
      query("COPY (SELECT 1, 2) TO STDOUT"),
    ],
  },
};
