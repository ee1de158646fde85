/** pg_dump: what it reads through the proxy, put into an empty database of one PostgreSQL. */
import assert from "node:assert/strict";
import { range, runChecks, tellAnswer } from "../../node/reporting.ts";
import { toolOfArguments } from "../../tools/postgresql-18.ts";
import { runTool } from "../../tools/run-tool.ts";

const pgDump = toolOfArguments(process.argv.slice(2, 4));
const psqlTool = toolOfArguments(process.argv.slice(4, 6));

/** The empty database, and its server's port. */
const RESTORED = {
  PGPORT: process.env["COMPAT_EMPTY_PORT"] ?? "",
  PGDATABASE: process.env["COMPAT_EMPTY_DATABASE"] ?? "",
};
type Place = Readonly<Record<string, string>>;

async function dump(words: readonly string[], place: Place = {}): Promise<string> {
  const { code, said } = await runTool(pgDump, { words, environment: place });
  assert.equal(code, 0, said);
  // Each dump has a word of its own, against what it restores giving psql commands.
  return said.replaceAll(/^\\(un)?restrict \S+$/gm, "");
}

async function psql(input: string, place: Place = {}): Promise<string> {
  const words = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"];
  const { code, said } = await runTool(psqlTool, { words, input, environment: place });
  assert.equal(code, 0, said);
  return said.trimEnd();
}

const SCHEMA = ["--schema-only", "--exclude-schema=colonnade"];
const OBJECTS = `CREATE VIEW rich AS SELECT id, owner FROM accounts WHERE balance > 1000;
CREATE TABLE unlisted (id serial PRIMARY KEY, name text NOT NULL DEFAULT 'x' CHECK (name <> ''));
CREATE INDEX accounts_owner ON accounts (lower(owner)) WHERE note IS NULL;
CREATE FUNCTION twice(n integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
COMMENT ON TABLE accounts IS 'who has what';
GRANT SELECT ON accounts TO PUBLIC;
INSERT INTO unlisted (name) SELECT 'name ' || n FROM generate_series(1, 100) AS n;`;

async function checkSchema(): Promise<void> {
  assert.equal(await psql(OBJECTS), "");
  const text = await dump(SCHEMA);
  assert.match(text, /CREATE TABLE public\.accounts/);
  tellAnswer("pg_dump --schema-only --exclude-schema=colonnade", text);
}

async function checkRestore(): Promise<void> {
  const text = await dump(SCHEMA);
  await psql(text, RESTORED);
  assert.equal(await dump(SCHEMA, RESTORED), text);
}

async function checkCopy(): Promise<void> {
  const notes = range(1, 1000).map((id) => `(${id}, E'tab\\t\\\\ ${id}')`);
  await psql(
    `UPDATE accounts SET note = n.note FROM (VALUES ${notes.join(", ")}) AS n (id, note) WHERE accounts.id = n.id;`,
  );
  const all = "\\copy (SELECT * FROM accounts ORDER BY id) TO STDOUT";
  const rows = await psql("\\copy accounts TO STDOUT");
  assert.equal(rows.split("\n").length, 1000);
  await psql(`\\copy accounts FROM STDIN\n${rows}\n\\.\n`, RESTORED);
  assert.equal(await psql(all, RESTORED), await psql(all));
}

async function checkWholeTables(): Promise<void> {
  for (const table of ["kinds", "unlisted"]) {
    for (const way of [[], ["--inserts"], ["--column-inserts"]]) {
      await psql(`TRUNCATE ${table};`, RESTORED);
      await psql(await dump(["--data-only", "-t", table, ...way]), RESTORED);
      const rows = `SELECT * FROM ${table} ORDER BY 1;`;
      assert.equal(await psql(rows, RESTORED), await psql(rows));
    }
  }
}

/** All rows, or a refusal by name: which of the two, the runner compares. */
async function checkShardedTables(): Promise<void> {
  for (const way of ["", "--inserts"]) {
    const words = ["--data-only", "-t", "accounts", ...(way === "" ? [] : [way])];
    const { code, said } = await runTool(pgDump, { words });
    const asked = `pg_dump ${words.join(" ")}`;
    if (code === 0) {
      await psql("TRUNCATE accounts CASCADE;", RESTORED);
      await psql(said, RESTORED);
      tellAnswer(asked, await psql("SELECT count(*) FROM accounts;", RESTORED));
    } else {
      const error = /ERROR: {2}.*/.exec(said)?.[0];
      assert.match(
        error ?? said,
        /^ERROR: {2}a transaction at isolation level repeatable read cannot/,
      );
      tellAnswer(asked, error ?? said);
    }
  }
}

await runChecks({
  schema: checkSchema,
  restore: checkRestore,
  "data-by-copy": checkCopy,
  "data-of-whole-tables": checkWholeTables,
  "data-of-sharded-tables": checkShardedTables,
});
