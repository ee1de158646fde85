/** Options of COPY, good and bad, put to PostgreSQL and to the proxy: what is wrong with them is told in the same words. */
import type { Case, Difference } from "./comparing.ts";
import { query, sync } from "./conversation.ts";
import type { Said } from "./conversation.ts";
import { copy, done } from "./copying.ts";

const ALL = query("SELECT id, name, balance FROM accounts ORDER BY id");

/** Each is an error of either direction, or of one. */
const BAD: readonly string[] = [
  "nope",
  "nope 1",
  "FORMAT csv, FORMAT csv",
  "HEADER, HEADER",
  "FORMAT nope",
  'FORMAT "CSV"',
  "FORMAT",
  "LOG_VERBOSITY nope",
  "FREEZE nope",
  "DELIMITER 'ab'",
  "DELIMITER ''",
  "DELIMITER",
  "DELIMITER 'é'",
  "DELIMITER E'\\n'",
  "DELIMITER 'a'",
  "DELIMITER '\\'",
  "DELIMITER '.'",
  "NULL",
  "NULL E'a\\nb'",
  "NULL 'a|b', DELIMITER '|'",
  "FORMAT csv, NULL ','",
  "FORMAT csv, NULL '\"'",
  "FORMAT binary, NULL 'x'",
  "FORMAT binary, DELIMITER ','",
  "FORMAT binary, HEADER",
  "FORMAT binary, DEFAULT 'x'",
  "FORMAT binary, ON_ERROR ignore",
  "QUOTE 'x'",
  "ESCAPE 'x'",
  "FORMAT csv, QUOTE 'xx'",
  "FORMAT csv, QUOTE 'é'",
  "FORMAT csv, QUOTE",
  "FORMAT csv, QUOTE ','",
  "FORMAT csv, ESCAPE 'xx'",
  "FORCE_QUOTE *",
  "FORMAT csv, FORCE_QUOTE",
  "FORMAT csv, FORCE_QUOTE 'id'",
  "FORMAT csv, FORCE_QUOTE (nope)",
  "FORCE_NULL (id)",
  "FORMAT csv, FORCE_NULL (nope)",
  "FORMAT csv, FORCE_NULL (id, id)",
  "FORCE_NOT_NULL *",
  "FORMAT csv, FORCE_NOT_NULL (nope)",
  "ENCODING 'nope'",
  "ENCODING 7",
  "ENCODING",
  "ON_ERROR nope",
  "ON_ERROR",
  "REJECT_LIMIT 3",
  "REJECT_LIMIT 0, ON_ERROR ignore",
  "REJECT_LIMIT x, ON_ERROR ignore",
  "DEFAULT",
  "DEFAULT E'\\n'",
  "DEFAULT '\\N'",
  "DEFAULT E'a\\tb'",
  "FORMAT csv, DEFAULT ''",
  "FORMAT csv, DEFAULT 'a,b'",
  "FORMAT csv, DEFAULT '\"'",
  "HEADER nope",
  "HEADER 7",
  "HEADER '1'",
];

/** Options that are good in the other direction. */
const OF_TO_ALONE: readonly string[] = [
  "FORMAT csv, FORCE_QUOTE *",
  "FORMAT csv, FORCE_QUOTE (id)",
];
const OF_FROM_ALONE: readonly string[] = [
  "HEADER match",
  "FREEZE",
  "ON_ERROR stop",
  "DEFAULT 'x'",
  "FORMAT csv, FORCE_NULL (id)",
  "FORMAT csv, FORCE_NOT_NULL *",
];

/** No data follows: none of them comes to ask for it. */
const into = (option: string): Said => query(`COPY accounts FROM STDIN (${option})`);
const outOf = (option: string): Said =>
  query(`COPY (SELECT id, name FROM accounts ORDER BY id) TO STDOUT WITH (${option})`);

const LATE: Difference = {
  because: "an option that the proxy does not take is refused before the client is asked for data",
  instead: [
    ["G ", undefined],
    [
      "CommandComplete COPY 0",
      'ErrorResponse S=ERROR V=ERROR C=0A000 M=COPY option "on_error" is not supported for a table of several placements H=Leave the option out. P=27',
    ],
  ],
};

export const COPY_OPTIONS: Readonly<Record<string, Case>> = {
  "what is wrong with options into a table": { script: [...BAD, ...OF_TO_ALONE].map(into) },
  "what is wrong with options out of one": { script: [...BAD, ...OF_FROM_ALONE].map(outOf) },
  "errors stand where they are in the client's text": {
    script: [
      query("SELECT 'é'; COPY /* é */ accounts FROM STDIN (DELIMITER ',', FORMAT nope)"),
      query("SELECT 'é'; COPY (SELECT 'é' FROM accounts) TO STDOUT (DELIMITER ',', FORMAT nope)"),
      query("COPY accounts TO STDOUT (FORMAT csv, FORCE_QUOTE (nope))"),
      query("COPY accounts TO STDOUT CSV FORCE QUOTE name, name"),
      query("COPY accounts FROM STDIN CSV FORCE NOT NULL nope"),
      query("COPY accounts FROM STDIN DELIMITER 'ab'"),
      query("COPY accounts TO STDOUT DELIMITER 'ab'"),
      query("BEGIN; COPY accounts TO STDOUT (nope)"),
      query("SELECT 1"),
      query("ROLLBACK"),
      query("BEGIN; COPY accounts FROM STDIN (nope)"),
      query("SELECT 1"),
      query("ROLLBACK"),
      ALL,
    ],
  },
  "columns of the table that the data has not": {
    script: [query("COPY accounts (id) TO STDOUT CSV FORCE QUOTE name")],
    differs: {
      because: "the columns of the data are all that is told to the server that checks the options",
      instead: [
        ["ErrorResponse", 'ErrorResponse S=ERROR V=ERROR C=42703 M=column "name" does not exist'],
      ],
    },
  },
  "options written in other ways": {
    script: [
      query("COPY (SELECT id, name FROM accounts ORDER BY id) TO STDOUT CSV HEADER"),
      query("COPY (SELECT id FROM accounts ORDER BY id) TO STDOUT (\"format\" 'csv', header 'on')"),
      query("COPY (SELECT id FROM accounts ORDER BY id) TO STDOUT (FORMAT binary, HEADER off)"),
      query("COPY (SELECT id FROM accounts ORDER BY id) TO STDOUT (FREEZE off, HEADER 1)"),
      query("COPY (SELECT id FROM accounts ORDER BY id) TO STDOUT (LOG_VERBOSITY verbose)"),
      query("COPY (SELECT FROM accounts) TO STDOUT (FORMAT csv)"),
      copy("COPY accounts FROM STDIN (ON_ERROR stop, FREEZE 0, LOG_VERBOSITY silent)", "3\ta\t1\n"),
      ALL,
    ],
  },
  "rows that a server would leave out": {
    script: [query("COPY accounts FROM STDIN (ON_ERROR ignore)"), done(), ALL],
    differs: LATE,
  },
  "headers that do not match": {
    script: [
      copy("COPY accounts FROM STDIN (HEADER match)", ""),
      copy("COPY accounts FROM STDIN (HEADER match)", "id\tname\n3\ta\n"),
      copy("COPY accounts FROM STDIN (HEADER match)", "id\tname\tbalance\tmore\n3\ta\t1\t2\n"),
      copy("COPY accounts FROM STDIN (HEADER match)", "id\t\\N\tbalance\n3\ta\t1\n"),
      copy("COPY accounts FROM STDIN (FORMAT csv, HEADER match)", 'id,"na\nme",balance\n3,a,1\n'),
      copy("COPY accounts FROM STDIN (FORMAT csv, HEADER match)", 'id,"name",balance\n3,a,1\n'),
      copy("COPY accounts (id, balance) FROM STDIN (HEADER match)", "id\tbalance"),
      copy("COPY accounts FROM STDIN (FORMAT csv, HEADER match)", 'id,name,balance\n4,a,"-1"\n'),
      ALL,
    ],
  },
  "DEFAULT: fields that stand for their column's default": {
    script: [
      query("ALTER TABLE accounts ALTER name SET DEFAULT upper('nobody')"),
      query("ALTER TABLE accounts ALTER balance SET DEFAULT 7"),
      query("ALTER TABLE accounts ALTER id SET DEFAULT 150"),
      copy(
        "COPY accounts FROM STDIN (DEFAULT '\\D')",
        "3\t\\D\t\\D\n\\D\t\\\\D\t1\n250\t\\N\t\\D\n",
      ),
      ALL,
      query("SELECT name FROM accounts WHERE id = 150"),
      query("DELETE FROM accounts WHERE id IN (3, 150, 250)"),
      copy(
        "COPY accounts FROM STDIN (FORMAT csv, DEFAULT 'none', NULL 'nil', FORCE_NULL (name))",
        'none,none,none\n3,"none",1\n4,"nil",none\n250,nil,2\n',
      ),
      ALL,
      query("DELETE FROM accounts WHERE id IN (3, 4, 150, 250)"),
      copy(
        "COPY accounts (name, id) FROM STDIN (HEADER match, DEFAULT 'd') WHERE id > 3",
        "name\tid\nd\t3\nd\td\n",
      ),
      ALL,
      query("ALTER TABLE accounts ALTER name DROP DEFAULT"),
      query("ALTER TABLE accounts ALTER balance DROP DEFAULT"),
      query("ALTER TABLE accounts ALTER id DROP DEFAULT"),
      copy("COPY accounts FROM STDIN (DEFAULT 'd')", "5\ta\t1\n6\td\t1\n"),
      copy("COPY accounts FROM STDIN (DEFAULT 'd')", "5\ta\t1\nd\tb\t1\n"),
      ALL,
      sync(),
    ],
  },
  "DEFAULT: tables of one database, and of every one": {
    script: [
      query("ALTER TABLE notes ALTER body SET DEFAULT 'empty'"),
      query("ALTER TABLE countries ALTER name SET DEFAULT 'nowhere'"),
      copy("COPY notes FROM STDIN (DEFAULT 'd')", "1\td\n2\tb\n"),
      copy("COPY countries FROM STDIN (DEFAULT 'd')", "xx\td\nyy\tb\n"),
      query("SELECT * FROM notes ORDER BY id"),
      query("SELECT * FROM countries ORDER BY code"),
      query("ALTER TABLE notes ALTER body DROP DEFAULT"),
      query("ALTER TABLE countries ALTER name DROP DEFAULT"),
    ],
  },
};
