/**
 * Kinds of migrations that take rows out of several databases, or to several at once, as operators
 * run them, while clients write through two proxies and past them: nothing acknowledged is lost or
 * doubled, there and back.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { inFullRun } from "../support/run-mode.ts";
import { Journal } from "./journal.ts";
import { FIRST, requireDone, type Served, startServed } from "./served.ts";

let served: Served;
let journals: Journal[];

beforeAll(async () => {
  served = await startServed(2);
  const [one, two] = served.proxies;
  if (one === undefined || two === undefined) throw new Error("two proxies");
  const client = await one.connect();
  await client.query("INSERT INTO users SELECT i, 'u' || i FROM generate_series(1, 2000) i");
  await client.query("INSERT INTO orders SELECT i, 1, 'o' FROM generate_series(1, 2000) i");
  await client.end();
  journals = [one, two].map(
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

async function stateOf(name: string): Promise<string> {
  const { rows } = await served.data.query(
    "main",
    "SELECT state FROM colonnade.migration WHERE name = $1",
    [name],
  );
  return String(rows[0]?.["state"]);
}

async function until(name: string, ...states: readonly string[]): Promise<void> {
  const endMs = performance.now() + 60_000;
  while (!states.includes(await stateOf(name))) {
    if (performance.now() > endMs) throw new Error(`${name} is ${await stateOf(name)}`);
    await sleep(50);
  }
}

/** Every row of `databases`, by its id: one that is in two places is there twice. */
async function usersIn(...databases: readonly string[]): Promise<Map<number, number[]>> {
  const rows = new Map<number, number[]>();
  for (const database of databases)
    for (const { id, n } of (await served.data.query(database, "SELECT id::int8, n FROM users"))
      .rows)
      rows.set(Number(id), [...(rows.get(Number(id)) ?? []), Number(n)]);
  return rows;
}

const MERGE = "merge_users_users2_public";

test("two placements become one, are told apart again by a rollback, and become one for good", async () => {
  requireDone(
    await served.migrate(
      "plan",
      "--to",
      served.mapFile(2, { ...FIRST, users: ["shards: 0-7, database: users2"] }),
    ),
  );
  // A row that is in both placements, against the map: it is found, and named.
  const { rows } = await served.data.query("users0", "SELECT min(id)::int8 AS id FROM users");
  const id = Number(rows[0]?.["id"]);
  await served.data.query("users1", `INSERT INTO users VALUES (${id}, 'astray')`);
  const run = served.start("migrate", "start", MERGE);
  await until(MERGE, "stopped");
  const { stdout } = await served.migrate("status", MERGE);
  expect(stdout).toContain("keys_collide");
  expect(stdout).toContain(`Key (id)=(${id}) already exists`);
  await served.data.query("users1", `DELETE FROM users WHERE id = ${id}`);
  requireDone(await served.migrate("resume", MERGE));
  await until(MERGE, "ready");
  // Each has a row of its own, in the database that it writes to.
  const past = await Promise.all(
    ["users0", "users1"].map(async (database) => {
      const found = await served.data.query(
        database,
        "SELECT max(id)::int8 AS id FROM users WHERE id <= 2000",
      );
      return new Journal({
        connect: () => served.data.connect(database),
        firstId: Number(found.rows[0]?.["id"]),
        rowCount: 1,
        seed: 9,
        pauseMs: 2,
        isDirect: true,
      });
    }),
  );
  await sleep(300);
  requireDone(await served.migrate("cutover", MERGE));
  await sleep(300);
  for (const journal of past) {
    expect(journal.report.refusedBySqlstate.get("25006")).toBeGreaterThan(0);
    expect(journal.report.acknowledged).toBeGreaterThan(20);
    await journal.stop();
  }
  expect(requireDone(await served.migrate("verify", MERGE))).toMatch(
    /: \d{4} rows compared \(exact\), no differences\n$/,
  );
  requireDone(await served.migrate("rollback", MERGE));
  await sleep(inFullRun(1_000, 200));
  // Each row is where it was, and in no other place.
  const between = await usersIn("users0", "users1");
  expect([...between.values()].every(({ length }) => length === 1)).toBe(true);
  for (const database of ["users0", "users1"])
    expect((await usersIn(database)).size).toBeGreaterThan(800);
  requireDone(await served.migrate("resync", MERGE));
  await until(MERGE, "ready");
  requireDone(await served.migrate("cutover", MERGE));
  await sleep(200);
  requireDone(await served.migrate("complete", MERGE));
  await until(MERGE, "completed");
  expect((await run.finished).code).toBe(0);
  for (const journal of journals) {
    const { refusedBySqlstate, unknown, wrongReads, acknowledged } = journal.report;
    expect([[...refusedBySqlstate], unknown, wrongReads]).toEqual([[], 0, []]);
    expect(acknowledged).toBeGreaterThan(50);
  }
  journals.push(...past);
  expect(
    await served.data.query("users0", "SELECT to_regclass('public.users')::text AS t"),
  ).toMatchObject({ rows: [{ t: null }] });
  expect(requireDone(await served.migrate("doctor"))).toBe("nothing is left behind\n");
});

test("nothing that was acknowledged is lost or doubled", async () => {
  for (const journal of journals) await journal.stop();
  const users = await usersIn("users2");
  const invoices = new Map<string, number>();
  for (const { token } of (await served.data.query("main", "SELECT token FROM invoices")).rows)
    invoices.set(String(token), (invoices.get(String(token)) ?? 0) + 1);
  expect(users.size).toBeGreaterThanOrEqual(2_000);
  expect(journals.flatMap((journal) => journal.differences(users, invoices))).toEqual([]);
});
