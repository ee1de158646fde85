/**
 * Holds, by proxies in processes of their own and under load: what is held waits and loses
 * nothing, all else goes on, and whoever cannot be reached serves nothing from before.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { readFleetState } from "../../control/fleet-state.ts";
import { announceHold, endLeased, isQuiet, leasePlacements } from "../../control/holds.ts";
import type { FleetHold, HoldAck } from "../../control/holds.ts";
import { eventually } from "../session/eventually.ts";
import { runCommand, startCommand } from "../support/command.ts";
import {
  bindFrame,
  cstring,
  executeFrame,
  frame,
  parseFrame,
  syncFrame,
} from "../support/raw-frames.ts";
import { inFullRun, IS_FULL_RUN } from "../support/run-mode.ts";
import { startFleet } from "./fleet-servers.ts";
import type { Fleet, FleetProxy } from "./fleet-servers.ts";
import { loadDuring, startLoad } from "./load.ts";
import type { Load, LoadResult } from "./load.ts";

const EAST = "users0.public";
const CLIENTS = 50;
/** What a hold of HOLD_MS may make a client wait. */
const WAIT_MS_MAX = 600;
const HOLD_MS = 500;
/** How long a proxy is stopped: in any case longer than its lease lasts. */
const STOPPED_MS = inFullRun(30_000, 0);

let fleet: Fleet;
/** The third has one connection to each database. */
let proxies: readonly [FleetProxy, FleetProxy, FleetProxy];
let version = 1;
const open: pg.Client[] = [];
const loads: Load[] = [];

beforeAll(async () => {
  fleet = await startFleet([{}, {}, { pool: { size: 1, wait_ms: 60_000 } }]);
  const [first, second, third] = fleet.proxies;
  if (first === undefined || second === undefined || third === undefined) throw new Error("three");
  proxies = [first, second, third];
});

afterAll(async () => {
  await fleet?.stop();
});

afterEach(async () => {
  for (const load of loads.splice(0)) await load.stop();
  for (const client of open.splice(0)) await client.end().catch(() => undefined);
});

async function connect(proxy: FleetProxy): Promise<pg.Client> {
  const client = await proxy.connect();
  // A connection that a test ends abruptly is no failure of another.
  client.on("error", () => undefined);
  open.push(client);
  return client;
}

async function startedLoad(used: readonly FleetProxy[], count: number): Promise<Load> {
  const started = await startLoad(fleet, used, count);
  loads.push(started);
  return started;
}

async function leased<T>(work: (hold: FleetHold) => Promise<T>): Promise<T> {
  await leasePlacements(fleet.database, "test", [EAST]);
  try {
    const request = { name: "test", placements: [EAST], requestedBy: "test" };
    const hold = await announceHold(fleet.database, request);
    try {
      return await work(hold);
    } finally {
      await hold.resume();
    }
  } finally {
    await endLeased(fleet.database, "test");
  }
}

function ackOf(acks: readonly HoldAck[], { port }: FleetProxy): HoldAck | undefined {
  return acks.find(({ address }) => address.endsWith(`:${port}`));
}

/** None where clients are answered soon without a hold; else the machine is too busy to tell what a hold adds. */
function noiseMs({ east, west }: LoadResult): number {
  const usualMs = Math.max(east.worstMs, west.worstMs);
  return usualMs <= WAIT_MS_MAX - HOLD_MS ? 0 : 2 * usualMs;
}

/** `waits`, or what came of it. */
async function outcome(query: Promise<pg.QueryResult>, ms = 60): Promise<string> {
  const ended = query.then(
    ({ rows }) => JSON.stringify(rows),
    (error: Error & { readonly code?: string }) => error.code ?? error.message,
  );
  return await Promise.race([ended, sleep(ms).then(() => "waits")]);
}

test("a hold makes clients of its placement wait as long as it lasts, and nobody else at all", async () => {
  const used = IS_FULL_RUN ? proxies : proxies.slice(0, 1);
  const clients = await startedLoad(used, CLIENTS);
  const words = ["--placements", EAST, "--for", `${HOLD_MS}ms`, "--json"];
  const hold = () => runCommand("hold", "--control", fleet.control.url("postgres"), ...words);
  let attempt = await loadDuring(clients, hold);
  // Two busy cores may be too slow for half a second; a cutover would be tried again, too.
  for (let left = 2; left > 0 && attempt.result.code !== 0; left -= 1)
    attempt = await loadDuring(clients, hold);
  const { before, during } = attempt;
  const { code, stdout, stderr } = attempt.result;
  await clients.stop();
  expect({ code, stderr, errors: clients.errors }).toEqual({ code: 0, stderr: "", errors: [] });
  const { proxies: held } = JSON.parse(stdout) as { readonly proxies: readonly HoldAck[] };
  expect(held).toHaveLength(proxies.length);
  expect(during.east.worstMs).toBeGreaterThan(HOLD_MS / 2);
  // Two busy cores are slow, with a hold and without.
  expect(during.east.worstMs).toBeLessThanOrEqual(WAIT_MS_MAX + noiseMs(before));
  expect(during.west.worstMs).toBeLessThan(HOLD_MS / 2 + noiseMs(before));
  expect(during.west.count).toBeGreaterThan(0);
});

test("transactions on it go on and are counted; new ones, scatters, DDL and COPY wait, in order", async () => {
  const [proxy] = proxies;
  const [east, west] = [fleet.east[0], fleet.west[0]];
  const [inside, fresh, scatter, ddl] = [
    await connect(proxy),
    await connect(proxy),
    await connect(proxy),
    await connect(proxy),
  ];
  const [pipeline, copying] = [await proxy.raw(), await proxy.raw()];
  // Which is over when the transaction begins, and no part of it.
  await fresh.query(`SELECT name FROM users WHERE id = ${east}`);
  await inside.query("BEGIN");
  await inside.query(`DECLARE c CURSOR FOR SELECT id FROM users WHERE id = ${east}`);
  copying.write(frame("Q", cstring("COPY users FROM STDIN")));
  while ((await copying.receive()).type !== "G") continue;
  await leased(async (hold) => {
    await hold.start(20_000);
    await eventually(async () => {
      const acks = await hold.acks();
      expect(acks.every(({ state }) => state === "obeys")).toBe(true);
      expect(ackOf(acks, proxy)).toMatchObject({ open: 2 });
    });
    expect(await outcome(inside.query("FETCH ALL FROM c"), 2_000)).toBe(`[{"id":"${east}"}]`);
    expect(await outcome(inside.query(`SELECT id FROM users WHERE id = ${east}`), 2_000)).toBe(
      `[{"id":"${east}"}]`,
    );
    await fresh.query("BEGIN");
    await fresh.query(`UPDATE users SET name = 'seen' WHERE id = ${west}`);
    const waiting = [
      fresh.query(`SELECT name FROM users WHERE id = ${east}`),
      scatter.query("SELECT count(*)::int AS n FROM users"),
      ddl.query("CREATE INDEX users_name ON users (name)"),
    ];
    pipeline.write(
      Buffer.concat(
        [west, east, west].flatMap((id) => [
          parseFrame("", `SELECT ${id}::int AS n FROM users WHERE id = ${id}`, []),
          bindFrame("", "", [], []),
          executeFrame("", 0),
          syncFrame(),
        ]),
      ),
    );
    const answers: string[] = [];
    const answered = (async () => {
      for (let index = 0; index < 3; index += 1) {
        const { messages } = await pipeline.untilReady();
        answers.push(messages.map(({ type }) => type).join(""));
      }
    })();
    for (const each of waiting) expect(await outcome(each)).toBe("waits");
    expect(answers).toEqual(["12DCZ"]);
    expect(await proxy.metric("colonnade_held_statements")).toBe(4);
    await inside.query("COMMIT");
    copying.write(Buffer.concat([frame("d", Buffer.from("1000001\tcopied\n")), frame("c")]));
    await copying.untilReady();
    expect(isQuiet(await hold.untilQuiet(5_000))).toBe(true);
    await hold.resume();
    expect((await waiting[0])?.rows).toHaveLength(1);
    await fresh.query("COMMIT");
    expect((await waiting[1])?.rows).toEqual([{ n: 201 }]);
    await waiting[2];
    await answered;
    expect(answers).toEqual(["12DCZ", "12DCZ", "12DCZ"]);
  });
  await scatter.query("DELETE FROM users WHERE id = 1000001; DROP INDEX users_name");
  await pipeline.close();
  await copying.close();
});

// map_changed and snapshot_before_map_change
test("what waited while its placement was moved is answered from the new place; an older snapshot is refused", async () => {
  const [proxy] = proxies;
  const [east, west] = [fleet.east[1], fleet.west[1]];
  const client = (): Promise<pg.Client> => connect(proxy);
  const [simple, prepared, several] = [await client(), await client(), await client()];
  const [cursor, named, snapshot] = [await client(), await client(), await client()];
  const writer = await client();
  const sql = `SELECT name FROM users WHERE id = ${east}`;
  await named.query(`PREPARE named AS ${sql}`);
  await cursor.query("BEGIN");
  await snapshot.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
  await snapshot.query(`SELECT id FROM users WHERE id = ${west}`);
  const text = { name: "kept", text: "SELECT name FROM users WHERE id = $1", values: [east] };
  await prepared.query(text);
  await leased(async (hold) => {
    await hold.start(20_000);
    await eventually(async () => expect(isQuiet(await hold.acks())).toBe(true));
    const waiting = [
      simple.query(sql),
      prepared.query(text),
      named.query("EXECUTE named"),
      several.query(`SET LOCAL work_mem = '1MB'; ${sql}`),
      cursor.query(`DECLARE c CURSOR FOR ${sql}`),
      writer.query(`UPDATE users SET name = 'written' WHERE id = ${fleet.east[2]}`),
    ];
    const old = outcome(snapshot.query(sql), 30_000);
    await eventually(async () =>
      expect(await proxy.metric("colonnade_held_statements")).toBe(waiting.length + 1),
    );
    for (const id of fleet.east)
      await fleet.data.query("main", `INSERT INTO users VALUES (${id}, 'moved')`);
    await fleet.database.transaction(async () => await hold.keep(20_000));
    await publish("main");
    await hold.resume();
    expect(await old).toBe("40001");
    const rows = [{ name: "moved" }];
    const [first, second, third, both] = await Promise.all(waiting);
    expect([first?.rows, second?.rows, third?.rows]).toEqual([rows, rows, rows]);
    expect((both as unknown as pg.QueryResult[])[1]?.rows).toEqual(rows);
    expect((await cursor.query("FETCH ALL FROM c")).rows).toEqual(rows);
    await cursor.query("COMMIT");
    const written = await fleet.data.query("main", "SELECT id FROM users WHERE name = 'written'");
    expect(written.rows).toEqual([{ id: String(fleet.east[2]) }]);
  });
  await publish("users0");
  await fleet.data.query("main", "TRUNCATE users");
});

/** Under the next number, and in force in every proxy. */
async function publish(home: string): Promise<void> {
  version += 1;
  await fleet.publish(version, home);
  await eventually(async () => {
    for (const proxy of proxies) expect(await proxy.metric("colonnade_map_version")).toBe(version);
  });
}

test("a proxy that is stopped meanwhile is waited for, and serves nothing from before when it goes on", async () => {
  const stopped = proxies[2];
  const [east] = fleet.east;
  const sql = `SELECT name FROM users WHERE id = ${east}`;
  await fleet.data.query("users0", "UPDATE users SET name = 'old'");
  const clients = await startedLoad(proxies.slice(0, 2), inFullRun(CLIENTS, 8));
  const [snapshot, queued, later, elsewhere] = [
    await connect(stopped),
    await connect(stopped),
    await connect(stopped),
    await connect(stopped),
  ];
  for (const client of [queued, later, elsewhere]) await client.query(sql);
  await leasePlacements(fleet.database, "test", [EAST]);
  await snapshot.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
  expect((await snapshot.query(sql)).rows).toEqual([{ name: "old" }]);
  // It has entered, and waits for the connection that the transaction has.
  const waiting = outcome(queued.query(sql), 100_000);
  await sleep(100);

  const request = { name: "test", placements: [EAST], requestedBy: "test" };
  const first = await announceHold(fleet.database, request);
  stopped.command.child.kill("SIGSTOP");
  await first.start(200);
  const acks = await first.untilQuiet(150);
  expect([isQuiet(acks), ackOf(acks, stopped)?.state]).toEqual([false, "unknown"]);
  await first.resume();

  const second = await announceHold(fleet.database, request);
  clients.restart();
  await sleep(300);
  await clients.settle();
  const before = clients.restart();
  await second.start(HOLD_MS);
  const startedMs = performance.now();
  const quiet = await second.untilQuiet(HOLD_MS - 50);
  expect(quiet.map(({ state }) => state).toSorted()).toEqual(["obeys", "obeys", "refuses"]);
  expect(isQuiet(quiet)).toBe(true);
  // What a cutover does: from here on, the old rows are history.
  await fleet.data.query("users0", `UPDATE users SET name = 'new' WHERE id = ${east}`);
  await sleep(Math.max(0, startedMs + HOLD_MS - performance.now()));
  await second.resume();
  await clients.settle();
  const during = clients.restart();
  await sleep(STOPPED_MS);

  const old = outcome(snapshot.query(sql), 20_000);
  const fresh = outcome(later.query(sql), 20_000);
  const other = outcome(
    elsewhere.query(`SELECT id FROM users WHERE id = ${fleet.west[0]}`),
    20_000,
  );
  stopped.command.child.kill("SIGCONT");
  expect(await old).toBe("57P03");
  await snapshot.query("ROLLBACK");
  expect(await waiting).toBe("57P03");
  // Where it comes after the new lease, it may wait for the connection that the transaction had.
  expect(['[{"name":"new"}]', "57P03"]).toContain(await fresh);
  expect(await other).toBe(`[{"id":"${fleet.west[0]}"}]`);
  await eventually(async () => expect((await later.query(sql)).rows).toEqual([{ name: "new" }]));
  expect(stopped.command.output()).toContain("the lease has run out");
  expect(await stopped.metric("colonnade_leases_lost_total")).toBe(1);
  await endLeased(fleet.database, "test");
  await clients.stop();
  expect(clients.errors).toEqual([]);
  expect(during.east.worstMs).toBeLessThanOrEqual(WAIT_MS_MAX + noiseMs(before));
});

test("the rehearsal says what would have called a cutover off, and leaves nothing behind", async () => {
  const client = await connect(proxies[1]);
  await client.query("BEGIN");
  await client.query(`UPDATE users SET name = 'open' WHERE id = ${fleet.east[0]}`);
  const control = ["--control", fleet.control.url("postgres")];
  const open_ = await runCommand("hold", ...control, "--placements", EAST, "--for", "0.3s");
  expect(open_).toMatchObject({ code: 1, stderr: expect.stringContaining("called off") });
  const line = open_.stdout.split("\n").find((each) => each.includes(`:${proxies[1].port}`));
  expect(line).toMatch(/obeyed +\d+ ms +1 +0$/);
  await client.query("ROLLBACK");
  const unknown = await runCommand("hold", ...control, "--placements", "users9.public");
  expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining(EAST) });
  const interrupted = startCommand("hold", ...control, "--placements", EAST, "--for", "10s");
  await eventually(async () =>
    expect(await proxies[0].metric("colonnade_leased_placements")).toBe(1),
  );
  interrupted.child.kill("SIGINT");
  expect((await interrupted.finished).stderr).toContain("nothing is held any more");
  expect(await readFleetState(fleet.database)).toMatchObject({ holds: [], leased: [] });
});

test("a hold that nobody ends is over at its deadline", async () => {
  const client = await connect(proxies[1]);
  await leased(async (hold) => {
    await hold.start(300);
    await eventually(async () => expect(isQuiet(await hold.acks())).toBe(true));
    const startedMs = performance.now();
    await client.query(`SELECT id FROM users WHERE id = ${fleet.east[0]}`);
    expect(performance.now() - startedMs).toBeLessThan(3_000);
    await expect(hold.keep(1_000)).rejects.toMatchObject({ id: "hold_over" });
    const { rows } = await fleet.control.query(
      "postgres",
      "SELECT ended_by FROM colonnade.hold ORDER BY requested_at DESC LIMIT 1",
    );
    expect(rows).toEqual([{ ended_by: "deadline" }]);
  });
});

test("without the control schema what is held or leased is refused in the end, and all else is served", async () => {
  const [proxy] = proxies;
  const [held, other] = [await connect(proxy), await connect(proxy)];
  const [east, west] = [fleet.east[0], fleet.west[0]];
  await leasePlacements(fleet.database, "test", [EAST]);
  const request = { name: "test", placements: [EAST], requestedBy: "test" };
  const hold = await announceHold(fleet.database, request);
  await hold.start(20_000);
  await eventually(async () => expect(isQuiet(await hold.acks())).toBe(true));
  const waiting = outcome(held.query(`SELECT id FROM users WHERE id = ${east}`), 20_000);
  await fleet.control.kill9();
  const lostMs = performance.now();
  expect(await waiting).toBe("57P03");
  expect(performance.now() - lostMs).toBeLessThan(8_000);
  await expect(held.query(`SELECT id FROM users WHERE id = ${east}`)).rejects.toMatchObject({
    code: "57P03",
    message: `placement "${EAST}" is being moved, and this proxy's lease on it has run out`,
  });
  expect((await other.query(`SELECT id FROM users WHERE id = ${west}`)).rows).toHaveLength(1);
  await fleet.control.restart();
  // The row outlives the server: it holds until its deadline, or whoever ends it.
  await fleet.control.query(
    "postgres",
    "UPDATE colonnade.hold SET ended_at = now(), ended_by = 'test' WHERE ended_at IS NULL",
  );
  await eventually(
    async () =>
      expect((await held.query(`SELECT id FROM users WHERE id = ${east}`)).rows).toHaveLength(1),
    15_000,
  );
});
