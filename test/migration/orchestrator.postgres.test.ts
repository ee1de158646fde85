/**
 * Migrations as operators run them, by the command line, while clients write through two proxies
 * and past them: nothing acknowledged is lost or doubled, whichever way the rows go, and whenever
 * the orchestrator dies.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { RunningCommand } from "../support/command.ts";
import { IS_FULL_RUN, inFullRun } from "../support/run-mode.ts";
import { Journal } from "./journal.ts";
import { FIRST, requireDone, type Served, startServed } from "./served.ts";

const MOVE = "move_users_users0_public";
/** Its first one is cancelled, and a name stays taken. */
const GROUP = "group_billing_2";

let served: Served;
let journals: Journal[];

beforeAll(async () => {
  served = await startServed(2);
  const [one, two] = served.proxies;
  if (one === undefined || two === undefined) throw new Error("two proxies");
  const client = await one.connect();
  await client.query("INSERT INTO users SELECT i, 'u' || i FROM generate_series(1, 3000) i");
  await client.query("INSERT INTO orders SELECT i, 1, 'o' FROM generate_series(1, 3000) i");
  await client.end();
  journals = [one, two, one, two].map(
    (proxy, index) =>
      new Journal({
        connect: () => proxy.connect(),
        firstId: 100_000 + index * 1_000,
        rowCount: 200,
        seed: index,
        pauseMs: 5,
        invoices: `w${index}`,
      }),
  );
});

afterAll(async () => {
  for (const journal of journals) await journal.stop();
  await served[Symbol.asyncDispose]();
});

async function planned(version: number, where: Parameters<Served["mapFile"]>[1]): Promise<void> {
  requireDone(await served.migrate("plan", "--to", served.mapFile(version, where)));
}

/** As `migrate status` tells it, without a process for each look. */
async function stateOf(name: string): Promise<string> {
  const { rows } = await served.data.query(
    "main",
    "SELECT state FROM colonnade.migration WHERE name = $1",
    [name],
  );
  return String(rows[0]?.["state"]);
}

/** Until the command prints that the migration is there. */
async function until(command: RunningCommand, state: string): Promise<void> {
  await command.untilPrinted(`: ${state} (`);
}

/** What is in all databases, and what the map in force lets statements see. */
async function differences(
  databases: readonly string[],
  books: string,
): Promise<readonly string[]> {
  const rows = new Map<number, number[]>();
  for (const database of databases) {
    const found = await served.data.query(database, "SELECT id::int8, n FROM users");
    for (const { id, n } of found.rows)
      rows.set(Number(id), [...(rows.get(Number(id)) ?? []), Number(n)]);
  }
  const invoices = new Map<string, number>();
  for (const { token } of (await served.data.query(books, "SELECT token FROM invoices")).rows)
    invoices.set(String(token), (invoices.get(String(token)) ?? 0) + 1);
  const lost = rows.size < 3_000 ? [`${rows.size} users`] : [];
  return [...lost, ...journals.flatMap((journal) => journal.differences(rows, invoices))];
}

/** A writer that stays inside is waited for, for as long as a pause may last; a prepared one is named before. */
async function heldUp(): Promise<void> {
  const writer = await served.data.connect("users0");
  await writer.query("BEGIN; DELETE FROM orders WHERE user_id < 0");
  for (const journal of journals) journal.restart();
  const late = await served.migrate("cutover", MOVE);
  expect([late.code, late.stderr]).toEqual([
    1,
    expect.stringMatching(
      /was given up\n {2}users0: process \d+ of postgres has had a transaction open for \d+ s that writes to moved tables: BEGIN; DELETE/,
    ),
  ]);
  expect(await stateOf(MOVE)).toBe("ready");
  await writer.query("PREPARE TRANSACTION 'left'");
  const refused = await served.migrate("cutover", MOVE);
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("'left'")]);
  await writer.query("ROLLBACK PREPARED 'left'");
  await writer.end();
}

/** The table that users come to, which loses one of them: the row's id. */
async function losingTarget(): Promise<string> {
  const { rows } = await served.data.query("users0", "SELECT min(id)::text AS id FROM users");
  const id = String(rows[0]?.["id"]);
  await served.data.query(
    "users2",
    `CREATE TABLE users (id bigint PRIMARY KEY, name text NOT NULL, n int NOT NULL DEFAULT 0);
     CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
     CREATE TRIGGER lose BEFORE INSERT ON users FOR EACH ROW WHEN (NEW.id = ${id}) EXECUTE FUNCTION lose();
     ALTER TABLE users ENABLE ALWAYS TRIGGER lose`,
  );
  return id;
}

/** What the target makes of a copied row is seen before the row is kept. */
async function stoppedByLoss(): Promise<void> {
  await stopped(
    "rows_differ",
    /rows of table "public.users" are not in the target as they are in the source: (\d+) were copied, and \d+ are there/,
  );
  const drop = "DROP TRIGGER lose ON users; DROP FUNCTION lose()";
  await expect(served.data.query("users2", drop)).rejects.toMatchObject({ code: "55000" });
  await served.data.query("users2", `SET session_replication_role = replica; ${drop}`);
}

/** Others refer to the row, which its source has not either: no foreign key can be made. */
async function stoppedByOrphan(id: string): Promise<void> {
  const past = "SET session_replication_role = replica";
  await served.data.query("users0", `${past}; DELETE FROM users WHERE id = ${id}`);
  requireDone(await served.migrate("resume", MOVE));
  await stopped(
    "reference_missing",
    `foreign key "orders_user_id_fkey" of table "public.orders" does not hold in database "users2". Key (user_id)=(${id}) is not present in table "users".`,
  );
  await served.data.query("users0", `${past}; INSERT INTO users VALUES (${id}, 'u${id}')`);
  requireDone(await served.migrate("resume", MOVE));
}

async function stopped(reason: string, because: string | RegExp): Promise<void> {
  while ((await stateOf(MOVE)) !== "stopped") await sleep(50);
  const { stdout } = await served.migrate("status", MOVE);
  expect(stdout).toContain(reason);
  expect(stdout).toEqual(
    typeof because === "string" ? expect.stringContaining(because) : expect.stringMatching(because),
  );
}

test("a placement goes to another database, and back; nothing is lost", async () => {
  await planned(2, {
    ...FIRST,
    users: ["shards: 0-3, database: users2", "shards: 4-7, database: users1"],
  });
  const lost = await losingTarget();
  const run = served.start("migrate", "start", MOVE);
  await stoppedByLoss();
  await stoppedByOrphan(lost);
  await until(run, "ready");
  const east = (await served.data.query("users0", "SELECT id FROM users WHERE id <= 3000 LIMIT 5"))
    .rows;
  // No other writer has this row.
  const past = new Journal({
    connect: () => served.data.connect("users0"),
    firstId: Number(east[0]?.["id"]),
    rowCount: 1,
    seed: 9,
    pauseMs: 2,
    isDirect: true,
  });
  await sleep(300);
  await heldUp();
  requireDone(await served.migrate("cutover", MOVE));
  expect(requireDone(await served.migrate("cutover", MOVE))).toBe(
    `${MOVE} is reversible already\n`,
  );
  await sleep(500);
  // Whoever goes past the proxy is refused by the database itself.
  expect(past.report.refusedBySqlstate.get("25006")).toBeGreaterThan(0);
  await past.stop();
  expect(past.report.acknowledged).toBeGreaterThan(20);
  expect(requireDone(await served.migrate("verify", MOVE))).toMatch(
    /: \d{4} rows compared \(exact\), no differences\n$/,
  );
  await expect(served.data.query("users0", "TRUNCATE users CASCADE")).rejects.toMatchObject({
    code: "25006",
  });
  requireDone(await served.migrate("rollback", MOVE));
  expect(requireDone(await served.migrate("rollback", MOVE))).toBe(
    `${MOVE} is rolledBack already\n`,
  );
  await sleep(500);
  if (IS_FULL_RUN) {
    requireDone(await served.migrate("resync", MOVE));
    while ((await stateOf(MOVE)) !== "ready") await sleep(100);
    requireDone(await served.migrate("cutover", MOVE));
    await sleep(500);
    requireDone(await served.migrate("rollback", MOVE));
  }
  requireDone(await served.migrate("cancel", MOVE));
  await until(run, "cancelled");
  expect((await run.finished).code).toBe(0);
  journals.push(past);
  for (const journal of journals.slice(0, -1)) {
    const { refusedBySqlstate, unknown, wrongReads, acknowledged } = journal.report;
    expect([[...refusedBySqlstate], unknown, wrongReads]).toEqual([[], 0, []]);
    expect(acknowledged).toBeGreaterThan(50);
  }
  expect(requireDone(await served.migrate("doctor"))).toBe("nothing is left behind\n");
});

const BOOKS = { ...FIRST, invoices: "books" };
/** After a cutover and a rollback of the first one. */
const NEXT_VERSION = inFullRun(6, 4);

/** A target loses a row after the last verification, and no stream tells of it. */
async function refusedByLoss(name: string): Promise<void> {
  const loser = await served.data.connect("books");
  await loser.query("SELECT pg_replication_origin_create('colonnade_loser')");
  await loser.query("SELECT pg_replication_origin_session_setup('colonnade_loser')");
  await loser.query("SET session_replication_role = replica");
  const { rows } = await loser.query(
    "DELETE FROM invoices WHERE id = (SELECT min(id) FROM invoices) RETURNING id::text AS id",
  );
  await loser.end();
  await served.data.query("books", "SELECT pg_replication_origin_drop('colonnade_loser')");
  const { code } = await served.migrate("cutover", name);
  const { stdout } = await served.migrate("status", name);
  expect([code, stdout]).toEqual([
    1,
    expect.stringContaining(
      `rows_differ: row (${String(rows[0]?.["id"])}) of public.invoices is missing in books.public`,
    ),
  ]);
}

/** A role that makes no event triggers has none in its way: the tables are looked at. */
async function refusedByIndex(name: string): Promise<void> {
  const past = await served.data.connect("main");
  await past.query(
    "SET session_replication_role = replica; CREATE UNIQUE INDEX late ON invoices (token, amount)",
  );
  const because = "index late of main's public.invoices is not there in books's public.invoices";
  const refused = await served.migrate("cutover", name);
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining(because)]);
  expect((await served.migrate("verify", name)).stdout).toContain(because);
  await past.query("DROP INDEX late");
  await past.end();
  const preflight = await served.migrate("preflight", name);
  expect([preflight.code, preflight.stdout]).toEqual([0, expect.not.stringContaining("error")]);
  expect(requireDone(await served.migrate("cutover", name, "--dry-run"))).toBe(
    `${name} is ready, and would be cut over\n`,
  );
}

test("given up when it is ready, it leaves nothing behind; what it moves is not altered meanwhile", async () => {
  const name = "group_billing";
  await planned(NEXT_VERSION, BOOKS);
  await served.data.query(
    "main",
    `CREATE INDEX invoices_amount ON invoices (amount); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
     CREATE TRIGGER noted AFTER DELETE ON invoices EXECUTE FUNCTION note()`,
  );
  await served.data.query(
    "books",
    "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
  );
  const run = served.start("migrate", "start", name);
  await until(run, "ready");
  await expect(
    served.data.query("main", "ALTER TABLE invoices ADD COLUMN late int"),
  ).rejects.toMatchObject({
    message: `cannot change public.invoices while migration "${name}" moves it`,
  });
  await expect(served.data.query("main", "DROP TABLE invoices")).rejects.toMatchObject({
    code: "55000",
  });
  for (const sql of [
    "CREATE UNIQUE INDEX late ON invoices (token, amount)",
    "CREATE INDEX CONCURRENTLY later ON invoices (amount)",
    "ALTER INDEX invoices_pkey RENAME TO other",
    "DROP INDEX invoices_amount",
    "DROP TRIGGER noted ON invoices",
  ])
    for (const database of ["main", "books"])
      await expect(served.data.query(database, sql), sql).rejects.toMatchObject({ code: "55000" });
  for (const sql of ["ALTER TABLE invoices ADD COLUMN late int", "DROP TABLE invoices"])
    await expect(served.data.query("books", sql), sql).rejects.toMatchObject({ code: "55000" });
  // What a refused CREATE INDEX CONCURRENTLY leaves may be taken away.
  for (const database of ["main", "books"]) await served.data.query(database, "DROP INDEX later");
  await refusedByIndex(name);
  await expect(
    served.data.query("books", "INSERT INTO invoices (token) VALUES ('foreign')"),
  ).rejects.toMatchObject({ code: "25006" });
  expect((await served.migrate("pause", name)).stderr).toContain("is ready has no work to pause");
  await refusedByLoss(name);
  requireDone(await served.migrate("cancel", name));
  await until(run, "cancelled");
  const left = `SELECT 'slot ' || slot_name AS left FROM pg_replication_slots UNION ALL SELECT 'publication ' || pubname FROM pg_publication
UNION ALL SELECT 'event trigger ' || evtname FROM pg_event_trigger UNION ALL SELECT 'trigger on ' || tgrelid::regclass FROM pg_trigger WHERE tgname LIKE 'colonnade%' AND tgrelid::regclass::text NOT LIKE 'colonnade%'
UNION ALL SELECT 'origin ' || roname FROM pg_replication_origin UNION ALL SELECT 'table ' || to_regclass('public.invoices') WHERE current_database() = 'books' AND to_regclass('public.invoices') IS NOT NULL`;
  for (const database of ["main", "books"])
    expect((await served.data.query(database, left)).rows).toEqual([]);
});

test("tables go to a database of their own while the orchestrator is killed again and again", async () => {
  await planned(NEXT_VERSION, BOOKS);
  requireDone(await served.migrate("start", GROUP, "--background"));
  for (const state of inFullRun(
    ["setup", "copying", "catchingUp", "indexing", "armingReverse", "verifying", "ready"],
    ["copying"],
  )) {
    const run = served.start("orchestrate");
    await Promise.race([until(run, state), run.untilPrinted(": ready (")]);
    run.child.kill("SIGKILL");
    await run.finished;
  }
  for (const state of inFullRun(["pausing", "fenced", "drained", "switched"], ["fenced"])) {
    const run = served.start("orchestrate");
    while (!["ready", "reversible"].includes(await stateOf(GROUP))) await sleep(50);
    if ((await stateOf(GROUP)) === "reversible") {
      run.child.kill("SIGKILL");
      break;
    }
    await run.untilPrinted(`${GROUP}: `);
    const cutover = served.start("migrate", "cutover", GROUP);
    await until(run, state);
    run.child.kill("SIGKILL");
    await run.finished;
    const next = served.start("orchestrate");
    const { code } = await cutover.finished;
    expect([0, 1]).toContain(code);
    next.child.kill("SIGKILL");
    await next.finished;
  }
  const run = served.start("orchestrate");
  await run.untilPrinted(`${GROUP}: `);
  if ((await stateOf(GROUP)) !== "reversible") requireDone(await served.migrate("cutover", GROUP));
  await sleep(300);
  // Made past the proxies: what is referred to cannot be emptied.
  await served.data.query("main", "CREATE TABLE receipts (invoice bigint REFERENCES invoices)");
  requireDone(await served.migrate("complete", GROUP));
  while ((await stateOf(GROUP)) === "completing") await sleep(50);
  expect((await served.migrate("status", GROUP)).stdout).toContain(
    "at completing, server_refused: cannot truncate a table referenced in a foreign key constraint",
  );
  expect((await served.migrate("cancel", GROUP)).stderr).toContain("its targets own the rows");
  await served.data.query("main", "DROP TABLE receipts");
  requireDone(await served.migrate("complete", GROUP));
  while ((await stateOf(GROUP)) !== "completed") await sleep(100);
  for (const journal of journals) await journal.stop();
  expect(await differences(["users0", "users1"], "books")).toEqual([]);
  expect((await served.data.query("main", "SELECT FROM invoices")).rows).toEqual([]);
  expect(requireDone(await served.migrate("doctor"))).toBe("nothing is left behind\n");
  run.child.kill("SIGINT");
  expect((await run.finished).code).toBe(0);
});
