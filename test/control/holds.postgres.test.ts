/** Leases and holds as rows: what proxies have to agree to, who ends what, and what is never concluded from silence. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { FLEET_LEASE_DRIFT, FLEET_LEASE_MARGIN_MS } from "../../base/limits.ts";
import { ControlDatabase } from "../../control/control-database.ts";
import { CONTROL_UPGRADES, setSchemaVersion } from "../../control/control-schema.ts";
import { readFleetState, renewLease } from "../../control/fleet-state.ts";
import type { FleetState, HoldAnswer } from "../../control/fleet-state.ts";
import {
  announceHold,
  endAbandonedLeases,
  endExpiredHolds,
  endLeased,
  isQuiet,
  leasePlacements,
} from "../../control/holds.ts";
import { LeaseWatch } from "../../control/lease-watch.ts";
import { upgradeControlSchema } from "../../control/schema-versions.ts";
import { parseBackendAddress } from "../../proxy/backend/backend-address.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

const IDS = ["0b8f2a4e-0000-4000-8000-000000000001", "0b8f2a4e-0000-4000-8000-000000000002"];

let server: TestPostgres;
let database: ControlDatabase;
/** A proxy's own connection. */
let proxies: ControlDatabase;

beforeAll(async () => {
  server = await startPostgres();
  const address = parseBackendAddress(server.url("postgres"));
  database = await ControlDatabase.open(address);
  await server.query("postgres", "CREATE ROLE fleet LOGIN");
  proxies = await ControlDatabase.open(parseBackendAddress(server.url("postgres", "fleet")));
});

afterAll(async () => {
  database.connection.close();
  proxies.connection.close();
  await server.stop();
});

beforeEach(async () => {
  await database.query("DROP SCHEMA IF EXISTS colonnade CASCADE");
  await upgradeControlSchema(database, "fleet");
});

/** What `leasePlacements` does where no proxy has to agree. */
async function lease(...placements: readonly string[]): Promise<void> {
  for (const placement of placements)
    await database.query(`INSERT INTO colonnade.leased VALUES ('${placement}', 'test')`);
}

interface Told {
  readonly revision?: number;
  readonly leaseMs?: number;
  readonly holds?: readonly HoldAnswer[];
  readonly problem?: string;
}

/** A renewal as a proxy makes it; `told` is what it has applied. */
async function renew(index: number, told: Told = {}): Promise<FleetState> {
  return await renewLease(
    proxies,
    {
      id: IDS[index] ?? "",
      name: `proxy${index}`,
      address: `127.0.0.1:${6432 + index}`,
      processId: 1,
      programVersion: "1",
      leaseMs: told.leaseMs ?? 2_000,
      mapVersion: 1,
      appliedRevision: told.revision ?? 0,
      holds: told.holds ?? [],
      problem: told.problem,
    },
    AbortSignal.timeout(5_000),
  );
}

const SOON = { timeoutMs: 60 };
const REQUEST = { name: "move", placements: ["users0.public"], requestedBy: "ada" };

/** Renews until what the schema says is applied, as a proxy does, with these holds' answers. */
async function follow(index: number, holds: readonly HoldAnswer[] = []): Promise<FleetState> {
  const { revision } = await renew(index);
  return await renew(index, { revision, holds });
}

// hold_not_possible
test("a placement is leased once every proxy has agreed, and not while one is silent or cannot follow", async () => {
  await leasePlacements(database, "move", REQUEST.placements);
  expect((await readFleetState(database)).leased).toEqual(REQUEST.placements);
  await endLeased(database, "move");
  await renew(0);
  await expect(leasePlacements(database, "move", REQUEST.placements, SOON)).rejects.toMatchObject({
    id: "hold_not_possible",
    message: expect.stringContaining("proxy0 (127.0.0.1:6432) has not agreed"),
    detail: expect.stringContaining(IDS[0] ?? ""),
    hint: expect.not.stringContaining("DELETE"),
  });
  // Of one that has been silent, what deletes its row can be pasted.
  await database.query("UPDATE colonnade.proxy SET renewed_at = renewed_at - interval '1 minute'");
  await expect(leasePlacements(database, "move", REQUEST.placements, SOON)).rejects.toMatchObject({
    detail: expect.stringMatching(/has been silent for \d+\.\d s\.$/),
    hint: expect.stringContaining(`DELETE FROM colonnade.proxy WHERE id IN ('${IDS[0]}');`),
  });
  expect((await readFleetState(database)).leased).toEqual([]);
  const leasing = leasePlacements(database, "move", REQUEST.placements);
  await renewUntil(0, ({ leased }) => leased.length > 0);
  await leasing;
  await expect(leasePlacements(database, "other", ["users1.public"], SOON)).rejects.toMatchObject({
    id: "hold_not_possible",
  });
  await renew(0, { revision: 1_000, problem: "cannot follow" });
  await expect(leasePlacements(database, "third", REQUEST.placements, SOON)).rejects.toMatchObject({
    detail: expect.stringContaining("cannot follow"),
  });
});

async function renewUntil(index: number, isSo: (state: FleetState) => boolean): Promise<void> {
  for (;;) {
    const state = await renew(index);
    if (isSo(state)) return void (await renew(index, { revision: state.revision }));
    await sleep(5);
  }
}

test("who gives up waiting has leased and announced nothing; what a dead owner leased is given back", async () => {
  await renew(0, { leaseMs: 30_000 });
  const signal = AbortSignal.timeout(40);
  await expect(
    leasePlacements(database, "move", REQUEST.placements, { signal }),
  ).rejects.toMatchObject({ name: "AbortError" });
  expect((await readFleetState(database)).leased).toEqual([]);
  await expect(announceHold(database, REQUEST)).rejects.toMatchObject({
    id: "hold_malformed",
    message: 'placement "users0.public" is not leased, so that it cannot be held',
  });
  await lease(...REQUEST.placements);
  await expect(announceHold(database, REQUEST, SOON)).rejects.toMatchObject({
    id: "hold_not_possible",
    message: expect.stringContaining("has not made its lease short"),
  });
  expect((await readFleetState(database)).holds).toEqual([]);
  await database.query("INSERT INTO colonnade.leased VALUES ('a.b', 'dead-1'), ('a.c', 'other')");
  await endAbandonedLeases(database, "dead-", 60_000);
  expect((await readFleetState(database)).leased).toEqual(["a.b", "a.c", "users0.public"]);
  await endAbandonedLeases(database, "dead-", 0);
  expect((await readFleetState(database)).leased).toEqual(["a.c", "users0.public"]);
});

test("a hold is announced, started and ended, and each proxy's answer is told", async () => {
  await lease(...REQUEST.placements);
  await renew(0);
  const announcing = announceHold(database, REQUEST);
  await renewUntil(0, ({ holds }) => holds.length > 0);
  const hold = await announcing;
  expect((await readFleetState(database)).holds).toMatchObject([
    { name: "move", attempt: 1, placements: REQUEST.placements, isStarted: false },
  ]);
  await hold.start(5_000);
  expect(await hold.acks()).toMatchObject([{ state: "unknown", open: 0 }]);
  // It follows the revision, and says nothing of the hold: that is no acknowledgement.
  await follow(0);
  expect(await hold.acks()).toMatchObject([{ state: "unknown" }]);
  await follow(0, [{ name: "move", attempt: 1, open: 2, waiting: 7 }]);
  expect(await hold.acks()).toMatchObject([{ state: "obeys", open: 2, waiting: 7 }]);
  expect(isQuiet(await hold.acks())).toBe(false);
  await follow(0, [{ name: "move", attempt: 1, open: 0, waiting: 9 }]);
  expect(isQuiet(await hold.untilQuiet(1_000))).toBe(true);
  await database.transaction(async () => await hold.keep(5_000));
  await hold.resume();
  await hold.resume();
  expect((await readFleetState(database)).holds).toEqual([]);
  // hold_over
  await expect(hold.keep(1_000)).rejects.toMatchObject({ id: "hold_over" });
  await expect(hold.start(1_000)).rejects.toMatchObject({ id: "hold_over" });
});

test("a proxy that is silent refuses by itself, but only once its lease has certainly run out", async () => {
  await lease(...REQUEST.placements);
  await renew(0, { leaseMs: 150 });
  const startMs = performance.now();
  const hold = await announceHold(database, REQUEST);
  expect(performance.now() - startMs).toBeGreaterThan(150 * (1 + FLEET_LEASE_DRIFT));
  await hold.start(5_000);
  expect(await hold.acks()).toMatchObject([{ state: "refuses" }]);
  expect(isQuiet(await hold.acks())).toBe(true);
  // It is back: what it does from now on is what it is told.
  await renew(0, { leaseMs: 150 });
  expect(await hold.acks()).toMatchObject([{ state: "unknown" }]);
  await hold.resume();
});

test("a lease counts from when its renewal was seen, and one with a problem is no renewal", async () => {
  const watch = new LeaseWatch();
  const proxy = { id: "a", renewal: 3, leaseMs: 1_000 };
  const endMs = 1_000 * (1 + FLEET_LEASE_DRIFT) + FLEET_LEASE_MARGIN_MS;
  watch.observe([proxy], 500);
  watch.observe([proxy], 900);
  expect(watch.hasRunOut(proxy, 500 + endMs)).toBe(false);
  expect(watch.hasRunOut(proxy, 501 + endMs)).toBe(true);
  watch.observe([{ ...proxy, renewal: 4 }], 2_000);
  expect(watch.hasRunOut({ ...proxy, renewal: 4 }, 501 + endMs)).toBe(false);
  expect(watch.hasRunOut({ id: "never seen", renewal: 0, leaseMs: 1 }, 1e9)).toBe(false);
  const renewals = async (): Promise<unknown> =>
    (await database.query("SELECT renewal FROM colonnade.proxy"))[0]?.[0];
  await renew(0);
  await renew(0);
  expect(await renewals()).toBe("1");
  await renew(0, { problem: "a map that it cannot serve" });
  expect(await renewals()).toBe("1");
});

// hold_taken and hold_malformed
test("one hold at a time of a name, and of a placement", async () => {
  await lease("users0.public", "users1.public");
  const hold = await announceHold(database, REQUEST);
  await expect(announceHold(database, REQUEST)).rejects.toMatchObject({ id: "hold_taken" });
  await expect(announceHold(database, { ...REQUEST, name: "other" })).rejects.toMatchObject({
    id: "hold_taken",
    message: 'hold "move" is not over yet',
  });
  const elsewhere = await announceHold(database, {
    ...REQUEST,
    name: "other",
    placements: ["users1.public"],
  });
  await hold.resume();
  const again = await announceHold(database, REQUEST);
  expect(again.attempt).toBe(2);
  for (const forMs of [0, -1, 60_001, Number.NaN])
    await expect(again.start(forMs)).rejects.toMatchObject({ id: "hold_malformed" });
  await expect(announceHold(database, { ...REQUEST, placements: [] })).rejects.toMatchObject({
    id: "hold_malformed",
  });
  await expect(leasePlacements(database, "x", [])).rejects.toMatchObject({ id: "hold_malformed" });
  await elsewhere.resume();
});

test("after its deadline anybody ends a hold, and before it nobody; who keeps it comes first or fails", async () => {
  await lease(...REQUEST.placements);
  const hold = await announceHold(database, REQUEST);
  await hold.start(100);
  await endExpiredHolds(proxies);
  expect((await readFleetState(database)).holds).toHaveLength(1);
  // The change under the hold has locked its row: who would end it waits, and finds it kept.
  await database.query("BEGIN");
  await hold.keep(60_000);
  await sleep(120);
  const ending = endExpiredHolds(proxies);
  await sleep(30);
  await database.query("COMMIT");
  await ending;
  expect((await readFleetState(database)).holds).toHaveLength(1);
  await database.query("UPDATE colonnade.hold SET deadline = clock_timestamp()");
  await endExpiredHolds(proxies);
  expect((await readFleetState(database)).holds).toEqual([]);
  await expect(hold.keep(1_000)).rejects.toMatchObject({ id: "hold_over" });
});

test("a change waits for renewals that began before it, so that nobody overlooks their proxies", async () => {
  await lease(...REQUEST.placements);
  await proxies.query("BEGIN");
  expect((await renew(1, { leaseMs: 100 })).holds).toEqual([]);
  const announcing = announceHold(database, REQUEST);
  expect(await Promise.race([announcing, sleep(60).then(() => "waits")])).toBe("waits");
  await proxies.query("COMMIT");
  const hold = await announcing;
  expect(await hold.acks()).toMatchObject([{ id: IDS[1], state: "refuses" }]);
  expect((await renew(1)).holds).toHaveLength(1);
});

test("proxies may end holds, and change nothing else of them", async () => {
  await lease(...REQUEST.placements);
  await announceHold(database, REQUEST);
  for (const sql of [
    "DELETE FROM colonnade.hold",
    "UPDATE colonnade.hold SET deadline = now()",
    "INSERT INTO colonnade.leased VALUES ('a.b', 'c')",
    "DELETE FROM colonnade.leased",
  ])
    await expect(proxies.query(sql)).rejects.toThrow("permission denied");
});

test("who ran proxies on the first version of the schema may do so on this one", async () => {
  await database.query("DROP SCHEMA colonnade CASCADE");
  await database.query(CONTROL_UPGRADES[0] ?? "");
  await database.query(`${setSchemaVersion(1)};
GRANT USAGE ON SCHEMA colonnade TO fleet;
GRANT SELECT ON colonnade.control, colonnade.map TO fleet;
GRANT SELECT, INSERT, UPDATE, DELETE ON colonnade.proxy TO fleet`);
  expect(await upgradeControlSchema(database, undefined)).toMatchObject({ from: 1 });
  expect(await renew(0)).toMatchObject({ revision: 0, holds: [], leased: [] });
  await endExpiredHolds(proxies);
});
