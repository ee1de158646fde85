/** Runs psql, of the version its arguments name, through the checks of the matrix, and tells what each meta-command prints. */
import assert from "node:assert/strict";
import {
  absent,
  range,
  runChecks,
  tellAnswer,
  LOSE_CONNECTION,
  LOST_AFTER_MS,
} from "../node/reporting.ts";
import { castTypeRows, TYPE_COLUMNS, typeRows } from "../node/type-values.ts";
import { runTool, type ToolInput } from "../tools/run-tool.ts";
import { toolOfArguments, toolVersion } from "../tools/postgresql-18.ts";
import { DESCRIBING, OBJECTS, RUNNING } from "./meta-commands.ts";
import { normalized } from "./normalized.ts";

const tool = toolOfArguments(process.argv.slice(2));
const major = Number.parseInt((await toolVersion(tool)) ?? "0", 10);

/** Unaligned rows without headers, unless the words say otherwise. */
async function psql(input: string, more: ToolInput = {}): Promise<string> {
  const { said } = await runTool(tool, {
    ...more,
    input,
    words: ["-X", "-q", "-A", "-t", ...(more.words ?? [])],
  });
  return said.trimEnd();
}

function literal(value: string | null): string {
  return value === null ? "NULL" : `'${value.replaceAll("'", "''")}'`;
}

async function checkConnect(): Promise<void> {
  assert.match(
    await psql("\\conninfo"),
    major < 18 ? /SSL connection \(protocol: TLS/ : /SSL Connection\|true/,
  );
  assert.match(await psql("\\echo :SERVER_VERSION_NAME"), /^18\./);
  assert.match(
    await psql("", { environment: { PGPASSWORD: "wrong" } }),
    /password authentication failed/,
  );
  assert.match(
    await psql("", { environment: { PGSSLROOTCERT: "/dev/null" } }),
    /certificate|root/i,
  );
}

async function checkTypes(): Promise<void> {
  for (const row of typeRows()) {
    const values = row.map((value) => literal(value)).join(", ");
    assert.equal(
      await psql(`INSERT INTO every_type (${TYPE_COLUMNS.join(", ")}) VALUES (${values});`),
      "",
    );
  }
  const casts = TYPE_COLUMNS.map((column) => `${column}::text`).join(", ");
  const rows = await psql(
    `\\copy (SELECT json_build_array(${casts}) FROM every_type ORDER BY every_type.id) TO STDOUT (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')`,
  );
  assert.deepEqual(
    rows.split("\n").map((line): unknown => JSON.parse(line)),
    castTypeRows(),
  );
}

async function checkPrepared(): Promise<void> {
  const ask = range(1, 20)
    .map((id) => `EXECUTE owner_of(${id});`)
    .join("\n");
  const owners = range(1, 20).map((id) => `owner ${id}`);
  const script = `PREPARE owner_of(bigint) AS SELECT owner FROM accounts WHERE id = $1;
${ask}
\\! psql -X -q -c 'ALTER TABLE accounts ADD COLUMN extra integer'
${ask}
\\! psql -X -q -c 'ALTER TABLE accounts DROP COLUMN extra'
${ask}`;
  assert.deepEqual((await psql(script)).split("\n"), [...owners, ...owners, ...owners]);
}

async function checkPipeline(): Promise<void> {
  const send = (sql: string, value: number): string => `${sql} \\bind ${value} \\sendpipeline`;
  const owner = "SELECT owner FROM accounts WHERE id = $1";
  const said = await psql(
    [
      "\\startpipeline",
      send(owner, 1),
      send(owner, 2),
      "\\syncpipeline",
      send("SELECT 1 / $1::int", 0),
      send(owner, 3),
      "\\syncpipeline",
      send(owner, 4),
      "\\endpipeline",
    ].join("\n"),
  );
  assert.match(
    said,
    /^owner 1\nowner 2\nERROR: {2}division by zero\n(?:Pipeline aborted, command did not run\n)?owner 4$/,
  );
}

async function checkCopy(): Promise<void> {
  const lines = range(10_001, 15_000).map(
    (id) => `${id}\towner\\t${id}\t${id}.50\t${id % 2 ? "\\N" : "ü"}`,
  );
  const loaded = await psql(`\\copy accounts FROM STDIN\n${lines.join("\n")}\n\\.\n`);
  assert.equal(loaded, "");
  const back = await psql("\\copy (SELECT * FROM accounts WHERE id > 10000 ORDER BY id) TO STDOUT");
  assert.deepEqual(back.split("\n"), lines);
  assert.equal((await psql("COPY accounts TO STDOUT;")).split("\n").length, 6000);
  assert.match(
    await psql("COPY accounts (id, owner) FROM STDIN;\n1\tagain\n\\.\n"),
    /duplicate key value/,
  );
  assert.equal(await psql("DELETE FROM accounts WHERE id > 10000;"), "");
}

async function checkCursor(): Promise<void> {
  const ids = range(1, 1000).join("\n");
  assert.equal(await psql("\\set FETCH_COUNT 70\nSELECT id FROM accounts ORDER BY id;"), ids);
  const fetching =
    "BEGIN; DECLARE c SCROLL CURSOR FOR SELECT id FROM accounts ORDER BY id; FETCH 3 FROM c; MOVE 10 FROM c; FETCH 1 FROM c; FETCH PRIOR FROM c; COMMIT;";
  assert.equal(await psql(fetching), "1\n2\n3\n14\n13");
}

async function checkCancel(): Promise<void> {
  const slow = [
    "SELECT pg_sleep(25);",
    "SELECT sum(a.id) FROM accounts a, generate_series(1, 100000000);",
  ];
  for (const sql of slow) {
    const begun = Date.now();
    const said = await psql("", {
      words: ["-c", "SELECT 'begun'", "-c", sql, "-c", "SELECT 'goes on'"],
      interruptAfter: "begun",
    });
    assert.match(said, /canceling statement due to user request/);
    assert.ok(Date.now() - begun < 15_000);
  }
}

async function checkTransactions(): Promise<void> {
  const script = `BEGIN;
UPDATE accounts SET balance = balance - 10 WHERE id = 1;
UPDATE accounts SET balance = balance + 10 WHERE id = 2;
SAVEPOINT s;
UPDATE accounts SET balance = 0 WHERE id = 3;
SELECT 1 / 0;
SELECT 1;
ROLLBACK TO s;
UPDATE accounts SET balance = balance + 1 WHERE id = 4;
COMMIT;
BEGIN;
UPDATE accounts SET balance = 0;
ROLLBACK;
SELECT balance FROM accounts WHERE id <= 4 ORDER BY id;
UPDATE accounts SET balance = 100;`;
  assert.equal(
    await psql(script),
    "ERROR:  division by zero\nERROR:  current transaction is aborted, commands ignored until end of transaction block\n90.00\n110.00\n100.00\n101.00",
  );
}

async function checkListen(): Promise<void> {
  const said = await psql(
    "LISTEN compat;\n\\! psql -X -q -c \"NOTIFY compat, 'ü payload'\"\nSELECT 1;\n\\! sleep 0.3\nSELECT 2;",
  );
  assert.match(said, /Asynchronous notification "compat" with payload "ü payload" received/);
}

async function checkErrors(): Promise<void> {
  const said = await psql(
    "\\set VERBOSITY verbose\nINSERT INTO accounts (id, owner) VALUES (7, 'again');\nSELECT id FORM accounts WHERE id = 1;\nSELECT owner FROM accounts WHERE id = 'x';\nSELECT owner FROM accounts WHERE id = 7;",
  );
  assert.match(
    said,
    /ERROR: {2}23505: duplicate key value violates unique constraint "accounts_pkey"/,
  );
  assert.match(
    said,
    /SCHEMA NAME: {2}public\nTABLE NAME: {2}accounts\nCONSTRAINT NAME: {2}accounts_pkey/,
  );
  assert.match(
    said,
    /ERROR: {2}42601: syntax error at or near "accounts"\nLINE 1: SELECT id FORM accounts WHERE id = 1;\n {23}\^/,
  );
  assert.match(said, /ERROR: {2}22P02: invalid input syntax for type bigint: "x"/);
  assert.match(said, /\nowner 7$/);
}

/** A script ends with its connection, as psql has it; \c makes another within one that goes on. */
async function checkReconnect(): Promise<void> {
  const lost = await psql(
    `${LOSE_CONNECTION.join(";\n")};\n\\! sleep ${LOST_AFTER_MS / 1000}\nSELECT owner FROM accounts WHERE id = 3;`,
  );
  assert.match(lost, /terminating connection due to idle-in-transaction timeout/);
  assert.equal(await psql("\\c\nSELECT owner FROM accounts WHERE id = 3;"), "owner 3");
}

async function checkLarge(): Promise<void> {
  const note = "0123456789abcdef".repeat(65_536);
  assert.equal(await psql(`UPDATE accounts SET note = '${note}' WHERE id = 5;`), "");
  assert.equal(await psql("SELECT note FROM accounts WHERE id = 5;"), note);
  assert.equal(
    await psql("SELECT n FROM generate_series(1, 100000) AS n;"),
    range(1, 100_000).join("\n"),
  );
}

/** Some two hundred, of which a third starts a psql of its own. */
const META_COMMANDS_TIMEOUT_MS = 200_000;
const MARK = "-- next --";

async function checkMetaCommands(): Promise<void> {
  const made = await psql(OBJECTS);
  assert.equal(made, "");
  const marked = DESCRIBING.map((command) => `${command}\n\\echo '${MARK}'\n`).join("");
  const { code, said } = await runTool(tool, { words: ["-X"], input: marked });
  assert.equal(code, 0);
  const parts = said.split(`${MARK}\n`);
  assert.equal(parts.length, DESCRIBING.length + 1);
  for (const [index, asked] of DESCRIBING.entries())
    tellAnswer(asked, normalized(parts[index] ?? ""));
  const environment = { PSQL_EDITOR: "sed -i -e s/1/11/ -e s/label/label/" };
  // Before version 17 it goes on for ever.
  const running = RUNNING.filter((asked) => major >= 17 || !asked.includes("\\watch i="));
  for (const asked of running) {
    const run = await runTool(tool, { words: ["-X"], input: `${asked}\n`, environment });
    tellAnswer(asked, normalized(run.said));
  }
}

await runChecks(
  {
    connect: checkConnect,
    "types-text": checkTypes,
    prepared: checkPrepared,
    pipeline: major < 18 ? absent("psql has pipelines since version 18") : checkPipeline,
    copy: checkCopy,
    cursor: checkCursor,
    cancel: checkCancel,
    transactions: checkTransactions,
    listen: checkListen,
    errors: checkErrors,
    reconnect: checkReconnect,
    large: checkLarge,
    "meta-commands": checkMetaCommands,
  },
  META_COMMANDS_TIMEOUT_MS,
);
