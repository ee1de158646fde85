/** pgbench: its own tables, scripts and protocols, and that what it did is what the tables hold. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { connectionSettings, runChecks, tellAnswer } from "../../node/reporting.ts";
import { toolOfArguments } from "../../tools/postgresql-18.ts";
import { runTool } from "../../tools/run-tool.ts";

const tool = toolOfArguments(process.argv.slice(2));
const PROTOCOLS = ["simple", "extended", "prepared"] as const;
const BRANCHES = 1;
const ACCOUNTS = 100_000;

async function pgbench(...words: readonly string[]): Promise<string> {
  const { code, said } = await runTool(tool, { words });
  assert.equal(code, 0, said);
  assert.doesNotMatch(said, /error|abort/i);
  return said;
}

async function ask(sql: string): Promise<readonly (string | null)[]> {
  const client = new pg.Client(connectionSettings());
  await client.connect();
  try {
    const text = { text: sql, rowMode: "array", types: { getTypeParser: () => String } } as const;
    const { rows } = await client.query<(string | null)[]>(text);
    return rows[0] ?? [];
  } finally {
    await client.end();
  }
}

async function checkCounts(): Promise<void> {
  const counts =
    await ask(`SELECT (SELECT count(*) FROM pgbench_branches), (SELECT count(*) FROM pgbench_tellers),
    (SELECT count(*) FROM pgbench_accounts), (SELECT count(*) FROM pgbench_history)`);
  assert.deepEqual(counts, [String(BRANCHES), String(BRANCHES * 10), String(ACCOUNTS), "0"]);
}

async function run(protocol: string, ...words: readonly string[]): Promise<number> {
  const said = await pgbench("-n", "-M", protocol, "-c", "4", "-j", "1", "-t", "25", ...words);
  assert.match(said, /number of failed transactions: 0 /);
  return Number(/number of transactions actually processed: (\d+)/.exec(said)?.[1]);
}

/** Each transaction adds the same to one row of three tables, and writes it down. */
async function checkTpcb(protocol: string): Promise<void> {
  const [before] = await ask("SELECT count(*) FROM pgbench_history");
  assert.equal(await run(protocol), 100);
  const [count] = await ask("SELECT count(*) FROM pgbench_history");
  assert.equal(Number(count) - Number(before), 100);
  const [history] = await ask("SELECT sum(delta) FROM pgbench_history");
  for (const [table, column] of [
    ["pgbench_accounts", "abalance"],
    ["pgbench_tellers", "tbalance"],
    ["pgbench_branches", "bbalance"],
  ]) {
    assert.deepEqual(await ask(`SELECT sum(${column}) FROM ${table}`), [history]);
  }
}

async function inAllProtocols(script: string): Promise<void> {
  for (const protocol of PROTOCOLS) assert.equal(await run(protocol, script), 100);
}

const SCRIPT = `\\set aid random(1, 100000)
\\set id random(1, 1000)
\\set other 1001 - :id
SELECT abalance, abalance % 2 = 0 AS even FROM pgbench_accounts WHERE aid = :aid \\gset
\\if :even
UPDATE pgbench_accounts SET filler = 'even' WHERE aid = :aid;
\\else
UPDATE pgbench_accounts SET filler = 'odd' WHERE aid = :aid;
\\endif
\\startpipeline
SELECT owner FROM accounts WHERE id = :id;
SELECT count(*) FROM pgbench_history WHERE aid = :aid;
SELECT a.owner, sum(e.amount) FROM accounts a LEFT JOIN entries e ON e.account_id = a.id WHERE a.id = :id GROUP BY a.owner;
\\endpipeline
BEGIN;
INSERT INTO entries (account_id, amount) VALUES (:id, 1), (:other, -1);
END;
`;

async function checkCustomScript(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "colonnade-compat-pgbench-"));
  try {
    const script = join(directory, "script.sql");
    await writeFile(script, SCRIPT);
    assert.equal(await run("prepared", "-f", script), 100);
  } finally {
    await rm(directory, { recursive: true });
  }
  assert.deepEqual(await ask("SELECT count(*), sum(amount) FROM entries"), ["200", "0.00"]);
}

/** All rows by one INSERT ... SELECT, or its refusal by name: which of the two, the runner compares. */
async function checkServerSide(): Promise<void> {
  const { code, said } = await runTool(tool, { words: ["-i", "-q", "-I", "dtGvp"] });
  if (code === 0) await checkCounts();
  else assert.match(said, /rows of the query for table "pgbench_accounts" take more than/);
  tellAnswer("pgbench -i -I dtGvp", code === 0 ? "done" : (/ERROR: .*/.exec(said)?.[0] ?? said));
}

await runChecks(
  {
    "initialize-server-side": checkServerSide,
    initialize: async () => {
      await pgbench("-i", "-q");
      await checkCounts();
      await pgbench("-i", "-q");
      await checkCounts();
    },
    "tpcb-simple": async () => await checkTpcb("simple"),
    "tpcb-extended": async () => await checkTpcb("extended"),
    "tpcb-prepared": async () => await checkTpcb("prepared"),
    "select-only": async () => await inAllProtocols("-S"),
    "simple-update": async () => await inAllProtocols("-N"),
    "custom-script": checkCustomScript,
  },
  60_000,
);
