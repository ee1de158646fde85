/**
 * While a migration waits for its cutover, or after it for its end, rows of both sides are held
 * against each other all the time: what gets lost is told before somebody switches.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { VERIFY_SAMPLE_PAUSE_MS } from "../../base/limits.ts";
import { Journal } from "./journal.ts";
import { FIRST, requireDone, type Served, startServed } from "./served.ts";

const NAME = "group_billing";

let served: Served;
let writing: Journal;

beforeAll(async () => {
  served = await startServed(1);
  const [proxy] = served.proxies;
  if (proxy === undefined) throw new Error("a proxy");
  writing = new Journal({
    connect: () => proxy.connect(),
    firstId: 1_000,
    rowCount: 50,
    seed: 1,
    pauseMs: 50,
    invoices: "w",
  });
  await served.data.query(
    "main",
    "INSERT INTO invoices (token, amount) SELECT 'old' || i, 1 FROM generate_series(1, 100) i",
  );
});

afterAll(async () => {
  await writing.stop();
  await served[Symbol.asyncDispose]();
});

async function stateOf(): Promise<string> {
  const { rows } = await served.data.query(
    "main",
    "SELECT state FROM colonnade.migration WHERE name = $1",
    [NAME],
  );
  return String(rows[0]?.["state"]);
}

async function until(state: string): Promise<void> {
  const endMs = performance.now() + 60_000;
  while ((await stateOf()) !== state) {
    if (performance.now() > endMs) throw new Error(`it is ${await stateOf()}`);
    await sleep(50);
  }
}

/** Of a row that nobody writes, in a session that fences and streams take no notice of. */
async function damage(database: string, sql: string): Promise<void> {
  const client = await served.data.connect(database);
  await client.query("SELECT pg_replication_origin_create('colonnade_damage')");
  await client.query("SELECT pg_replication_origin_session_setup('colonnade_damage')");
  await client.query("SET session_replication_role = replica");
  await client.query(sql);
  await client.end();
  await served.data.query(database, "SELECT pg_replication_origin_drop('colonnade_damage')");
}

async function toldOf(row: string): Promise<void> {
  await until("stopped");
  const { stdout } = await served.migrate("status", NAME);
  expect(stdout).toContain(`rows_differ: row ${row}`);
}

/** Writes to one row without a pause. How often it did. */
async function heat(signal: AbortSignal): Promise<number> {
  const client = await served.proxies[0]?.connect();
  let written = 0;
  for (; !signal.aborted; written += 1)
    await client
      ?.query("UPDATE invoices SET amount = amount + 1 WHERE token = 'old1'")
      .catch(() => undefined);
  await client?.end();
  return written;
}

test("a row that gets lost, changed or added on the side that follows stops the migration", async () => {
  const next = served.mapFile(2, { ...FIRST, invoices: "books" });
  requireDone(await served.migrate("plan", "--to", next));
  const users = ["shards: 0-3, database: users2", "shards: 4-7, database: users1"];
  requireDone(await served.migrate("plan", "--to", served.mapFile(2, { ...FIRST, users })));
  const busy = await Promise.all([served.data.connect("main"), served.data.connect("main")]);
  const sleeping = busy.map((client) =>
    client.query("SELECT pg_sleep(100)").catch(() => undefined),
  );
  requireDone(await served.migrate("throttle", NAME, "--active-sessions", "1"));
  const run = served.start("migrate", "start", NAME);
  await run.untilPrinted("copying waits");
  expect((await served.migrate("status", NAME)).stdout).toMatch(
    /\n {2}\[#*\.*\] \d+ % {2}\d+ of about \d+ rows, \d+ k?B, \d+ rows\/s.*\n {2}\w+ into books: \d+ rows copied \(\d+ k?B\), \d+ [kM]?B of log behind, \d+ [kM]?B of it held\n/,
  );
  requireDone(await served.migrate("throttle", NAME, "--active-sessions", "100"));
  await served.data.query(
    "main",
    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query ~ 'pg_sleep' AND pid <> pg_backend_pid()",
  );
  await Promise.all(sleeping);
  for (const client of busy) await client.end();
  await until("ready");
  // Rows that are written meanwhile are no difference, nor is one that is written all the time.
  const hot = new AbortController();
  const heating = heat(hot.signal);
  await sleep(2 * VERIFY_SAMPLE_PAUSE_MS);
  expect(await stateOf()).toBe("ready");
  expect(requireDone(await served.migrate("verify", NAME))).toContain("no differences");
  hot.abort();
  expect(await heating).toBeGreaterThan(100);
  await damage("books", "UPDATE invoices SET amount = 2 WHERE token = 'old7'");
  await toldOf("(7) of public.invoices is different in books.public");
  await damage("books", "UPDATE invoices SET amount = 1 WHERE token = 'old7'");
  requireDone(await served.migrate("resume", NAME));
  await until("ready");
  requireDone(await served.migrate("cutover", NAME));
  const other = await served.migrate("start", "move_users_users0_public");
  expect([other.code, other.stderr]).toEqual([
    1,
    expect.stringContaining(
      'version 2 of the shard map, which is in force, is not the one that migration "move_users_users0_public" leads away from: cancel it, and plan it again',
    ),
  ]);
  await damage("main", "DELETE FROM invoices WHERE token = 'old8'");
  await toldOf("(8) of public.invoices is extra in books.public");
  // The rows are where they were switched to, and are served.
  expect((await served.migrate("rollback", NAME)).code).toBe(1);
  await damage("main", "INSERT INTO invoices (id, token, amount) VALUES (8, 'old8', 1)");
  requireDone(await served.migrate("resume", NAME));
  await until("reversible");
  requireDone(await served.migrate("rollback", NAME));
  requireDone(await served.migrate("cancel", NAME));
  expect((await run.finished).code).toBe(0);
  const { report } = writing;
  expect([[...report.refusedBySqlstate], report.unknown, report.wrongReads]).toEqual([[], 0, []]);
});
