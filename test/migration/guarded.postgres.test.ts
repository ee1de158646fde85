/**
 * A migration of tables with guards, as `guard install` puts them: two placements become one, the
 * catalog database's own among them, and a group leaves it. There, back, and there for good.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CommandResult, runCommand } from "../support/command.ts";
import { FIRST, requireDone, type Served, startServed } from "./served.ts";

const START = { ...FIRST, users: ["shards: 0-3, database: main", "shards: 4-7, database: users1"] };
const MOVED = { ...START, users: ["shards: 0-7, database: users2"], invoices: "books" };
const NAME = "map_2";

let served: Served;
let client: pg.Client;

beforeAll(async () => {
  served = await startServed(1, START);
  const [proxy] = served.proxies;
  if (proxy === undefined) throw new Error("a proxy");
  client = await proxy.connect();
  await client.query("INSERT INTO users SELECT i, 'u' || i FROM generate_series(1, 500) i");
  await client.query("INSERT INTO orders SELECT i, 1, 'o' FROM generate_series(1, 500) i");
  await client.query("INSERT INTO invoices (token) SELECT i FROM generate_series(1, 100) i");
});

afterAll(async () => {
  await client.end();
  await served[Symbol.asyncDispose]();
});

async function guard(action: string): Promise<CommandResult> {
  return await runCommand("guard", action, "--control", served.control);
}

async function until(...states: readonly string[]): Promise<void> {
  const endMs = performance.now() + 60_000;
  for (;;) {
    const { rows } = await served.data.query(
      "main",
      "SELECT state FROM colonnade.migration WHERE name = $1",
      [NAME],
    );
    const state = String(rows[0]?.["state"]);
    if (states.includes(state)) return;
    if (state === "stopped" || performance.now() > endMs)
      throw new Error(`${state}: ${(await served.migrate("status", NAME)).stdout}`);
    await sleep(50);
  }
}

/** A machine that is too slow for an attempt has it given up, and service is where it was. */
async function switched(command: "cutover" | "rollback", attempts = 5): Promise<void> {
  const result = await served.migrate(command, NAME);
  if (attempts > 1 && result.stderr.includes("was given up")) await switched(command, attempts - 1);
  else requireDone(result);
}

async function counts(): Promise<readonly number[]> {
  const found: number[] = [];
  for (const table of ["users", "orders", "invoices"])
    found.push(Number((await client.query(`SELECT count(*) AS n FROM ${table}`)).rows[0].n));
  return found;
}

async function write(id: number): Promise<void> {
  await client.query("INSERT INTO users SELECT i, 'more' FROM generate_series($1, $1 + 9) i", [id]);
  await client.query("INSERT INTO invoices (token) VALUES ($1)", [`more ${id}`]);
}

test("guarded tables move, come back, and are guarded where they are in the end", async () => {
  expect(await guard("install")).toMatchObject({ code: 0 });
  requireDone(await served.migrate("plan", "--to", served.mapFile(2, MOVED)));
  const run = served.start("migrate", "start", NAME);
  await until("ready");
  await write(1_000);
  await switched("cutover");
  await write(2_000);

  // As where the orchestrator's role is none of a superuser, and has no event triggers.
  await served.data.query("main", "ALTER EVENT TRIGGER colonnade_guard_ddl DISABLE");
  const early = await guard("install");
  expect(early.code).toBe(1);
  expect(early.stdout).toContain(
    `main: public.invoices: is fenced by migration "${NAME}", and is left as it is: install again once that is completed`,
  );
  await served.data.query("main", "ALTER EVENT TRIGGER colonnade_guard_ddl ENABLE");
  expect((await guard("verify")).stdout).toContain(
    `main: public.invoices: is fenced by migration "${NAME}"`,
  );
  await write(3_000);

  await switched("rollback");
  await write(4_000);
  expect(await counts()).toEqual([540, 500, 104]);
  const { rows } = await served.data.query("main", "SELECT count(*)::int AS n FROM invoices");
  expect(rows).toEqual([{ n: 104 }]);
  expect(await guard("verify")).toMatchObject({ code: 0 });

  requireDone(await served.migrate("resync", NAME));
  await until("ready");
  await switched("cutover");
  requireDone(await served.migrate("complete", NAME));
  await until("completed");
  expect((await run.finished).code).toBe(0);
  await write(5_000);
  expect(await counts()).toEqual([550, 500, 105]);

  // Nobody has run `guard install` since.
  expect(await guard("verify")).toMatchObject({ code: 0, stderr: "" });
  for (const sql of [
    "INSERT INTO invoices (token) VALUES ('past the proxy')",
    "INSERT INTO users SELECT i, 'past the proxy' FROM generate_series(9000, 9100) i",
  ])
    await expect(served.data.query("main", sql)).rejects.toMatchObject({
      code: "23514",
      constraint: "colonnade_guard",
    });
  expect(requireDone(await served.migrate("doctor"))).toBe("nothing is left behind\n");
});
