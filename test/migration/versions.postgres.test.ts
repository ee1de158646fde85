/**
 * An upgrade is a move: rows of servers of PostgreSQL 15 go to one of 18 while clients write
 * through two proxies, back to 15 with what was written meanwhile, and to 18 for good.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { TestPostgres } from "../support/postgres.ts";
import { Journal } from "./journal.ts";
import { FIRST, requireDone, type Served, startServed } from "./served.ts";

/** The whole map goes: both placements, and the group. Its catalog database stays where it is. */
const NAME = "map_2";
const NEW = ["users2", "users3", "books"];
const OLD = ["main", "users0", "users1"];
const START = { ...FIRST, databases: OLD };
const NEXT = {
  databases: [...OLD, ...NEW],
  users: ["shards: 0-3, database: users2", "shards: 4-7, database: users3"],
  invoices: "books",
};

const LEVELS = [
  [[], "rows compared (exact), no differences"],
  [["--fast"], "rows compared (fast), no differences"],
] as const;

let served: Served;
let newer: TestPostgres;
let journals: readonly Journal[] = [];

beforeAll(async () => {
  served = await startServed(2, START, NEW);
  const [one, two] = served.proxies;
  if (one === undefined || two === undefined || served.newer === undefined)
    throw new Error("two proxies, and a newer server");
  newer = served.newer;
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
  await served?.[Symbol.asyncDispose]();
});

async function versionOf(server: TestPostgres): Promise<string> {
  const { rows } = await server.query("postgres", "SHOW server_version_num");
  return String(rows[0]?.["server_version_num"]).slice(0, 2);
}

async function stateNow(): Promise<unknown> {
  const { rows } = await served.data.query("main", "SELECT state FROM colonnade.migration");
  return rows[0]?.["state"];
}

/** Every user that the databases have, and how often each invoice is there. */
async function differences(): Promise<readonly string[]> {
  const users = new Map<number, number[]>();
  for (const database of ["users2", "users3"]) {
    const { rows } = await newer.query(database, "SELECT id::int8, n FROM users");
    for (const { id, n } of rows)
      users.set(Number(id), [...(users.get(Number(id)) ?? []), Number(n)]);
  }
  const invoices = new Map<string, number>();
  for (const { token } of (await newer.query("books", "SELECT token FROM invoices")).rows)
    invoices.set(String(token), (invoices.get(String(token)) ?? 0) + 1);
  const lost = users.size < 2_000 ? [`${users.size} users`] : [];
  return [...lost, ...journals.flatMap((journal) => journal.differences(users, invoices))];
}

test("from PostgreSQL 15 to 18, back with all that was written, and for good", async () => {
  expect([await versionOf(served.data), await versionOf(newer)]).toEqual(["15", "18"]);
  requireDone(await served.migrate("plan", "--to", served.mapFile(2, NEXT)));
  requireDone(await served.migrate("preflight"));
  const run = served.start("migrate", "start", NAME);
  await run.untilPrinted(": ready (");
  expect(requireDone(await served.migrate("verify", NAME, "--exact", "--dry-run"))).toBe(
    `${NAME}: every row of both sides would be compared (exact)\n`,
  );
  expect((await served.migrate("verify", NAME, "--exact", "--fast")).stderr).toContain(
    "'--fast' cannot be used with option '--exact'",
  );
  expect(requireDone(await served.migrate("verify", NAME, "--inject", "--dry-run"))).toMatch(
    /^(?:\w+: a flipped byte, .* would be put into a copy, looked for, and taken away\n){3}$/,
  );
  await sleep(500);
  requireDone(await served.migrate("cutover", NAME));
  for (const [level, shown] of LEVELS)
    expect(requireDone(await served.migrate("verify", NAME, ...level))).toContain(shown);
  await sleep(500);
  requireDone(await served.migrate("rollback", NAME));
  await sleep(500);
  requireDone(await served.migrate("resync", NAME));
  while ((await stateNow()) !== "ready") await sleep(100);
  requireDone(await served.migrate("cutover", NAME));
  await sleep(500);
  requireDone(await served.migrate("complete", NAME));
  expect((await run.finished).code).toBe(0);
  for (const journal of journals) await journal.stop();
  expect(await differences()).toEqual([]);
  for (const { report } of journals) {
    expect([[...report.refusedBySqlstate], report.unknown, report.wrongReads]).toEqual([[], 0, []]);
    expect(report.acknowledged).toBeGreaterThan(50);
  }
  expect(requireDone(await served.migrate("doctor"))).toBe("nothing is left behind\n");
});
