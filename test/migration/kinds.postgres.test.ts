/**
 * Kinds of migrations that take rows out of several databases, or to several at once, as operators
 * run them, while clients write through two proxies and past them: nothing acknowledged is lost or
 * doubled, there and back.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { CommandResult } from "../support/command.ts";
import { IS_FULL_RUN, inFullRun } from "../support/run-mode.ts";
import { Journal } from "./journal.ts";
import { FIRST, requireDone, type Served, startServed } from "./served.ts";

/** Two databases are not in use yet. */
const START = { ...FIRST, databases: ["main", "users0", "users1"], hasCountries: true } as const;

let served: Served;
let countries: Countries;
/** Databases that have users in the end. */
let usersAre: readonly string[];
let invoicesAre: string;
let journals: Journal[];

beforeAll(async () => {
  served = await startServed(2, START);
  const [one, two] = served.proxies;
  if (one === undefined || two === undefined) throw new Error("two proxies");
  const client = await one.connect();
  await client.query("INSERT INTO users SELECT i, 'u' || i FROM generate_series(1, 2000) i");
  await client.query("INSERT INTO orders SELECT i, 1, 'o' FROM generate_series(1, 2000) i");
  await client.end();
  countries = new Countries(await two.connect());
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
  await countries.stop();
  for (const journal of journals) await journal.stop();
  await served[Symbol.asyncDispose]();
});

/** Writes to the reference table, and remembers what was acknowledged. */
class Countries {
  readonly #client: pg.Client;
  readonly #running: Promise<void>;
  readonly errors: string[] = [];
  #isStopped = false;
  #added = 0;
  #counted = 0;

  constructor(client: pg.Client) {
    this.#client = client;
    this.#running = this.#write();
  }

  /** What every database has to have. */
  get expected(): { readonly rows: number; readonly n: number } {
    return { rows: 1 + this.#added, n: this.#counted };
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    await this.#running;
    await this.#client.end();
  }

  async #write(): Promise<void> {
    while (!this.#isStopped)
      try {
        await this.#client.query("INSERT INTO countries (code) VALUES ($1)", [`c${this.#added}`]);
        this.#added += 1;
        await this.#client.query("UPDATE countries SET n = n + 1 WHERE code = 'ch'");
        this.#counted += 1;
        await sleep(10);
      } catch (error) {
        this.errors.push(String(error));
        await sleep(10);
      }
  }
}

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

/** Attempts that a busy machine was too slow for: service was back where it was, and they were tried again. */
let givenUp = 0;

/** Cuts over so much later; a machine that takes longer to start a process is given more. */
async function atTime(name: string, ms: number): Promise<void> {
  const dueMs = Date.now() + ms;
  const at = new Date(dueMs).toISOString();
  const result = await served.migrate("cutover", name, "--fence-reads", "--at", at);
  const isLate = result.stderr.includes("is over");
  expect(isLate || Date.now() >= dueMs).toBe(true);
  if (!isLate && !isGivenUp(result)) requireDone(result);
  else await atTime(name, isLate ? 3 * ms : ms);
}

async function switched(command: "cutover" | "rollback", name: string): Promise<void> {
  const result = await served.migrate(command, name);
  if (isGivenUp(result)) await switched(command, name);
  else requireDone(result);
}

function isGivenUp({ stderr }: CommandResult): boolean {
  const isSo = stderr.includes("was given up");
  if (isSo) givenUp += 1;
  if (givenUp > 5) throw new Error(stderr);
  return isSo;
}

/** A merge, a group, and reference tables for the new databases of both. */
const MERGE = "map_2";

test("two placements become one while a group leaves, are told apart again by a rollback, and new databases have the reference tables", async () => {
  requireDone(
    await served.migrate(
      "plan",
      "--to",
      served.mapFile(2, {
        ...START,
        databases: [...START.databases, "users2", "books"],
        users: ["shards: 0-7, database: users2"],
        invoices: "books",
      }),
    ),
  );
  expect(
    requireDone(await served.migrate("throttle", MERGE, "--rows-per-second", "none")),
  ).toContain(`${MERGE} copies as fast as it can\n`);
  const slowly = ["--rows-per-second", "1000", "--replica-lag", "9s"];
  expect(requireDone(await served.migrate("throttle", MERGE, ...slowly))).toBe(
    `${MERGE} copies at most 1000 rows a second\n  and waits while a standby is more than 9000 ms behind, or more than 100 sessions are at work\n`,
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
  for (const database of ["users0", "users2"])
    await expect(served.data.query(database, "TRUNCATE orders")).rejects.toMatchObject({
      code: expect.stringMatching(database === "users0" ? "55000" : /55000|25006/),
      message: expect.stringContaining(`migration "${MERGE}"`),
    });
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
  expect(requireDone(await served.migrate("verify", MERGE, "--inject"))).toMatch(
    /^(?:(?:users2|books): found a flipped byte, a lost row, an extra row, a misrouted row, values of two rows swapped; all of it is taken away again\n){2}$/,
  );
  const late = await served.migrate("cutover", MERGE, "--at", "2020-01-01T00:00:00Z");
  expect([late.code, late.stderr]).toEqual([1, expect.stringContaining("is over")]);
  await served.data.query("users0", "CREATE ROLE reader; GRANT SELECT ON users TO reader");
  await atTime(MERGE, 3_000);
  const read = "SET ROLE reader; SELECT FROM users LIMIT 1";
  await expect(served.data.query("users0", read)).rejects.toMatchObject({ code: "42501" });
  for (const journal of past) {
    expect(journal.report.refusedBySqlstate.get("25006")).toBeGreaterThan(0);
    expect(journal.report.acknowledged).toBeGreaterThan(20);
    await journal.stop();
  }
  expect(requireDone(await served.migrate("verify", MERGE))).toMatch(
    /: \d{4} rows compared \(exact\), no differences\n$/,
  );
  await switched("rollback", MERGE);
  await served.data.query("users0", read);
  await sleep(inFullRun(1_000, 200));
  // Each row is where it was, and in no other place.
  const between = await usersIn("users0", "users1");
  expect([...between.values()].every(({ length }) => length === 1)).toBe(true);
  for (const database of ["users0", "users1"])
    expect((await usersIn(database)).size).toBeGreaterThan(800);
  if (IS_FULL_RUN) {
    requireDone(await served.migrate("resync", MERGE));
    await until(MERGE, "ready");
    await switched("cutover", MERGE);
    await sleep(200);
    requireDone(await served.migrate("complete", MERGE));
    await until(MERGE, "completed");
  } else requireDone(await served.migrate("cancel", MERGE));
  expect((await run.finished).code).toBe(0);
  for (const journal of journals) {
    const { refusedBySqlstate, unknown, wrongReads, acknowledged } = journal.report;
    const refused = [...refusedBySqlstate.keys()].filter(
      (code) => givenUp === 0 || code !== "25006",
    );
    expect([refused, unknown, wrongReads]).toEqual([[], 0, []]);
    expect(acknowledged).toBeGreaterThan(50);
  }
  journals.push(...past);
  const [gone = "", ...homes] = IS_FULL_RUN ? ["users0", "users2"] : ["users2", "users0", "users1"];
  usersAre = homes;
  invoicesAre = IS_FULL_RUN ? "books" : "main";
  for (const table of ["users", ...(IS_FULL_RUN ? [] : ["countries"])])
    expect(
      (await served.data.query(gone, `SELECT to_regclass('public.${table}')::text AS t`)).rows,
    ).toEqual([{ t: null }]);
  expect(requireDone(await served.migrate("doctor"))).toBe("nothing is left behind\n");
});

test("nothing that was acknowledged is lost or doubled", async () => {
  await countries.stop();
  // Where an attempt takes too long, writes meet the fence before it is taken away.
  const strange = countries.errors.filter(
    (error) => givenUp === 0 || !error.includes("cannot write to table"),
  );
  expect(strange).toEqual([]);
  for (const database of ["main", ...usersAre])
    expect(
      (
        await served.data.query(
          database,
          "SELECT count(*)::int AS rows, sum(n)::int AS n FROM countries",
        )
      ).rows,
    ).toEqual([countries.expected]);
  for (const journal of journals) await journal.stop();
  const users = await usersIn(...usersAre);
  const invoices = new Map<string, number>();
  for (const { token } of (await served.data.query(invoicesAre, "SELECT token FROM invoices")).rows)
    invoices.set(String(token), (invoices.get(String(token)) ?? 0) + 1);
  expect(invoices.size).toBeGreaterThan(20);
  expect(users.size).toBeGreaterThanOrEqual(2_000);
  expect(journals.flatMap((journal) => journal.differences(users, invoices))).toEqual([]);
});
