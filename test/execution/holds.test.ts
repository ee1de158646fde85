/** What waits, what goes on and what is refused while placements are held or leased: with a clock of the test's own. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { FLEET_LEASE_DRIFT } from "../../base/limits.ts";
import { Metrics } from "../../base/metrics.ts";
import { parseShardMap } from "../../shardmap/schema.ts";
import { Holds } from "../../proxy/execution/holds.ts";
import type { FleetDemands } from "../../proxy/execution/holds.ts";
import { namesOfPlacement, wholeDatabase } from "../../proxy/execution/placement-use.ts";
import type { PlacementUse } from "../../proxy/execution/placement-use.ts";

const [EAST, WEST] = ["east.public", "west.public"];
const LEASE_MS = 1_000;
const LEASE = { sentMs: 0, leaseMs: LEASE_MS };
const never = new AbortController().signal;
const NOTHING: FleetDemands = { holds: [], leased: [] };
const ON_EAST: FleetDemands = {
  holds: [{ name: "move", attempt: 1, placements: [EAST] }],
  leased: [EAST],
};

class Clock {
  ms = 0;
}

function holdsOf(
  clock = new Clock(),
  limits = { statementsMax: 10, bytesMax: 1_000, waitMs: 5_000 },
  waitsForDemands = false,
) {
  const metrics = new Metrics();
  const lost: (readonly string[])[] = [];
  const holds = new Holds({
    now: () => clock.ms,
    random: () => 1,
    namesOf: (placement) => [placement, wholeDatabase(placement.split(".")[0] ?? "")],
    metrics,
    onLeaseLost: (placements) => lost.push(placements),
    waitsForDemands,
    limits,
  });
  return { holds, clock, metrics, lost };
}

/** `waits`, `passed`, or the id of the error, within a moment. */
async function outcome(passing: Promise<void>): Promise<string> {
  const ended = passing.then(
    () => "passed",
    (error: Error & { readonly id?: string }) => error.id ?? error.message,
  );
  return await Promise.race([ended, sleep(30).then(() => "waits")]);
}

function waiting(holds: Holds, use: PlacementUse, places = [EAST], bytes = 10): Promise<void> {
  return holds.wait({ places, bytes, sinceMs: holds.nowMs }, use, never);
}

/** Of whatever throws. */
function idOf(act: () => unknown): string {
  try {
    act();
    return "nothing";
  } catch (error) {
    return (error as { readonly id: string }).id;
  }
}

async function valueOf(metrics: Metrics, name: string): Promise<number> {
  const { text } = await metrics.render();
  return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
}

test("what is new on a held placement waits, all else goes on, and so does what waited once it is over", async () => {
  const { holds, metrics } = holdsOf();
  const [first, second] = [holds.newUse(), holds.newUse()];
  expect(holds.isQuiet).toBe(true);
  holds.follow(ON_EAST, LEASE);
  expect(holds.isQuiet).toBe(false);
  expect(first.enter([EAST], false)).toBe(false);
  expect(first.enter([WEST], false)).toBe(true);
  // A scatter waits as a whole, and so does DDL of the database.
  expect(second.enter([WEST, EAST], false)).toBe(false);
  expect(second.enter([wholeDatabase("east")], false)).toBe(false);
  expect(second.enter([wholeDatabase("west")], false)).toBe(true);
  const passing = waiting(holds, first);
  expect(await outcome(passing)).toBe("waits");
  expect(await valueOf(metrics, "colonnade_held_statements")).toBe(1);
  expect(await valueOf(metrics, "colonnade_held_bytes")).toBe(10);
  expect(holds.reports).toMatchObject([{ name: "move", attempt: 1, open: 0, waiting: 1 }]);
  holds.follow({ holds: [], leased: [EAST] }, LEASE);
  expect(await outcome(passing)).toBe("passed");
  expect(first.enter([EAST], false)).toBe(true);
  expect(await valueOf(metrics, "colonnade_held_statements")).toBe(0);
  expect(await valueOf(metrics, "colonnade_held_seconds_count")).toBe(1);
});

test("the same hold again changes nothing; another attempt is another hold", async () => {
  const { holds } = holdsOf();
  holds.follow(ON_EAST, LEASE);
  const passing = waiting(holds, holds.newUse());
  holds.follow(ON_EAST, LEASE);
  expect(await outcome(passing)).toBe("waits");
  const [hold] = ON_EAST.holds;
  holds.follow({ ...ON_EAST, holds: hold === undefined ? [] : [{ ...hold, attempt: 2 }] }, LEASE);
  // It is to enter again, and waits behind the second one then.
  expect(await outcome(passing)).toBe("passed");
  expect(holds.reports).toMatchObject([{ attempt: 2, open: 0, waiting: 0 }]);
});

test("transactions that have touched a placement go on with it, and are counted until they end", async () => {
  const { holds } = holdsOf();
  let drained = 0;
  holds.onDrained = () => (drained += 1);
  const [inside, elsewhere, idle] = [holds.newUse(), holds.newUse(), holds.newUse()];
  inside.isActive = () => true;
  elsewhere.isActive = () => true;
  expect(inside.enter([EAST], true)).toBe(true);
  expect(elsewhere.enter([WEST], true)).toBe(true);
  // Its statement is over, and what it used is only forgotten at the next one.
  expect(idle.enter([EAST], false)).toBe(true);
  holds.follow(
    { ...ON_EAST, holds: [{ name: "move", attempt: 1, placements: [EAST, WEST] }] },
    LEASE,
  );
  expect(holds.reports).toMatchObject([{ open: 2 }]);
  expect(inside.enter([EAST], true)).toBe(true);
  expect(inside.enter([WEST], true)).toBe(true);
  expect(idle.enter([EAST], false)).toBe(false);
  inside.clear();
  await sleep(30);
  expect([holds.reports[0]?.open, drained]).toEqual([1, 0]);
  elsewhere.end();
  await sleep(30);
  expect([holds.reports[0]?.open, drained]).toEqual([0, 1]);
  expect(inside.enter([EAST], true)).toBe(false);
  holds.close();
});

test("statements sent behind one are open until the last of them is over, whatever became of the first", () => {
  const { holds, clock } = holdsOf();
  const use = holds.newUse();
  use.isActive = () => true;
  expect(use.isQuiet).toBe(true);
  expect(use.enter([WEST], false)).toBe(true);
  use.enterBehind([WEST, EAST]);
  holds.follow(ON_EAST, LEASE);
  expect(use.isQuiet).toBe(false);
  // The rollback of the first.
  use.clear();
  expect(holds.reports).toMatchObject([{ open: 1 }]);
  expect(use.enter([WEST], false)).toBe(true);
  expect(use.enter([EAST], false)).toBe(true);
  clock.ms = LEASE_MS;
  expect(idOf(() => use.enter([EAST], false))).toBe("placement_lease_lost");
  // What began before the lease was lost stays refused, though there is another.
  holds.follow(ON_EAST, { sentMs: clock.ms, leaseMs: LEASE_MS });
  use.clear();
  expect(idOf(() => use.enter([EAST], false))).toBe("placement_lease_lost");
  use.endBehind();
  use.clear();
  expect(holds.reports).toMatchObject([{ open: 0 }]);
  holds.close();
});

test("a statement that waits in no transaction is not open on what it used before", () => {
  const { holds } = holdsOf();
  const use = holds.newUse();
  use.isActive = () => true;
  expect(use.enter([EAST], false)).toBe(true);
  holds.follow(ON_EAST, LEASE);
  expect(holds.reports).toMatchObject([{ open: 1 }]);
  expect(use.enter([EAST], false)).toBe(false);
  expect(holds.reports).toMatchObject([{ open: 0 }]);
  holds.close();
});

// statement_held_too_long
test("too many, too large or for too long: the one that has waited longest is refused", async () => {
  const { holds, metrics } = holdsOf(new Clock(), { statementsMax: 2, bytesMax: 100, waitMs: 60 });
  holds.follow(ON_EAST, LEASE);
  const uses = [holds.newUse(), holds.newUse(), holds.newUse()] as const;
  const byCount = uses.map((use) => waiting(holds, use));
  expect(await outcome(byCount[0] ?? Promise.resolve())).toBe("statement_held_too_long");
  await expect(byCount[0]).rejects.toMatchObject({
    sqlstate: "57P03",
    detail: "More than 2 statements wait, and it has waited longest.",
  });
  const large = waiting(holds, uses[0], [EAST], 95);
  await expect(byCount[1]).rejects.toMatchObject({
    detail: expect.stringContaining("2 statements"),
  });
  await expect(byCount[2]).rejects.toMatchObject({
    detail: "More than 100 bytes of statements wait, and it has waited longest.",
  });
  await expect(large).rejects.toMatchObject({ detail: "It has waited for 60 ms." });
  const { text } = await metrics.render();
  for (const [reason, count] of [
    ["count", 2],
    ["bytes", 1],
    ["time", 1],
  ])
    expect(text).toContain(`colonnade_held_evictions_total{reason="${reason}"} ${count}`);
});

test("the patience is one for all holds that a statement meets", async () => {
  const { holds, clock } = holdsOf(new Clock(), { statementsMax: 9, bytesMax: 99, waitMs: 100 });
  holds.follow(ON_EAST, LEASE);
  clock.ms = 90;
  const late = holds.wait({ places: [EAST], bytes: 1, sinceMs: 0 }, holds.newUse(), never);
  expect(await outcome(late)).toBe("statement_held_too_long");
});

test("a cancelled one, and all of them when the proxy stops, are told so", async () => {
  const { holds } = holdsOf();
  holds.follow(ON_EAST, LEASE);
  const cancelled = new AbortController();
  const statement = { places: [EAST], bytes: 1, sinceMs: 0 };
  const passing = holds.wait(statement, holds.newUse(), cancelled.signal);
  cancelled.abort(new Error("canceling statement"));
  expect(await outcome(passing)).toBe("canceling statement");
  await expect(holds.wait(statement, holds.newUse(), cancelled.signal)).rejects.toThrow(
    "canceling",
  );
  const other = waiting(holds, holds.newUse());
  holds.close();
  expect(await outcome(other)).toBe("proxy_shutdown");
  expect(await outcome(waiting(holds, holds.newUse()))).toBe("proxy_shutdown");
});

// placement_lease_lost
test("a lease that has run out refuses what is leased, and nothing else, until it is renewed", () => {
  const { holds, clock, lost } = holdsOf();
  holds.follow({ holds: [], leased: [EAST] }, LEASE);
  const use = holds.newUse();
  const endMs = LEASE_MS * (1 - FLEET_LEASE_DRIFT);
  clock.ms = endMs;
  expect(use.enter([EAST], false)).toBe(true);
  use.maySend([EAST]);
  clock.ms = endMs + 1;
  expect(idOf(() => use.maySend([EAST]))).toBe("placement_lease_lost");
  expect(idOf(() => use.enter([EAST], false))).toBe("placement_lease_lost");
  expect(use.enter([WEST], false)).toBe(true);
  use.maySend([WEST]);
  expect(lost).toEqual([[EAST]]);
  holds.follow({ holds: [], leased: [EAST] }, { sentMs: clock.ms, leaseMs: LEASE_MS });
  expect(use.enter([EAST], false)).toBe(true);
  expect(lost).toHaveLength(1);
  holds.close();
});

test("nothing from before a lost lease is sent, even where a new lease came first, and even where nothing is leased any more", () => {
  for (const leased of [[EAST], []]) {
    const { holds, clock } = holdsOf();
    holds.follow({ holds: [], leased: [EAST] }, LEASE);
    const [statement, transaction, other] = [holds.newUse(), holds.newUse(), holds.newUse()];
    statement.enter([EAST], false);
    transaction.enter([EAST], true);
    other.enter([WEST], true);
    // Stopped for a minute; the first thing that is done then is a renewal.
    clock.ms = 60_000;
    holds.follow({ holds: [], leased }, { sentMs: clock.ms, leaseMs: LEASE_MS });
    expect(idOf(() => statement.maySend([EAST]))).toBe("placement_lease_lost");
    expect(idOf(() => transaction.enter([EAST], true))).toBe("placement_lease_lost");
    other.maySend([WEST]);
    // What is new is served, also in a transaction that had used other placements only.
    expect(other.enter([EAST], true)).toBe(true);
    other.maySend([EAST]);
    statement.enter([EAST], false);
    statement.maySend([EAST]);
    transaction.clear();
    expect(transaction.enter([EAST], true)).toBe(true);
    holds.close();
  }
});

test("a renewal whose answer took longer than the lease lasts does not prolong it", () => {
  const { holds, clock } = holdsOf();
  holds.follow({ holds: [], leased: [EAST] }, LEASE);
  clock.ms = 5_000;
  holds.follow({ holds: [], leased: [EAST] }, { sentMs: 10, leaseMs: LEASE_MS });
  expect(idOf(() => holds.newUse().enter([EAST], false))).toBe("placement_lease_lost");
  expect(holds.leaseMs).toBeLessThan(0);
});

test("a lease is shortened at once, and never prolonged that way", () => {
  const { holds, clock } = holdsOf();
  holds.follow({ holds: [], leased: [EAST] }, { sentMs: 0, leaseMs: 30_000 });
  holds.shortenLease(2_000);
  expect(holds.leaseMs).toBe(2_000 * (1 - FLEET_LEASE_DRIFT));
  holds.shortenLease(30_000);
  clock.ms = 2_000;
  expect(idOf(() => holds.newUse().enter([EAST], false))).toBe("placement_lease_lost");
});

test("what waits is refused when the lease runs out, also where nothing else happens", async () => {
  const clock = new Clock();
  const { holds, metrics } = holdsOf(clock);
  holds.follow(ON_EAST, { sentMs: 0, leaseMs: 20 });
  const passing = waiting(holds, holds.newUse());
  clock.ms = 21;
  await expect(passing).rejects.toMatchObject({ id: "placement_lease_lost" });
  expect(await valueOf(metrics, "colonnade_leases_lost_total")).toBe(1);
});

test("a proxy of a fleet serves nothing before it knows what it may", async () => {
  const { holds } = holdsOf(new Clock(), undefined, true);
  const use = holds.newUse();
  expect(use.enter([WEST], false)).toBe(false);
  const passing = waiting(holds, use, [WEST]);
  expect(await outcome(passing)).toBe("waits");
  holds.follow(NOTHING, LEASE);
  expect(await outcome(passing)).toBe("passed");
  expect([use.enter([WEST], false), holds.isQuiet]).toEqual([true, true]);
});

test("a group is held with the canonical schema of its database, which is all that a fragment tells", () => {
  const result = parseShardMap(
    `version: 1
catalog: main
databases: { main: { primary: "postgres://u@h/main" }, users0: { primary: "postgres://u@h/users0" } }
colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: 1
    tables: { users: id }
    placements: [{ shards: 0, database: users0, schema: shard_0 }]
groups:
  billing: { database: main, schema: billing, tables: [invoices] }
`,
    "map",
  );
  if (!("map" in result)) throw new Error("the map has mistakes");
  expect(namesOfPlacement(result.map, "users0.shard_0")).toEqual(["users0.shard_0", "users0.*"]);
  expect(namesOfPlacement(result.map, "main.billing")).toEqual([
    "main.billing",
    "main.*",
    "main.public",
  ]);
});

test("who waits is told of a lost lease though the timer comes before the lease has run out", async () => {
  const { holds, clock } = holdsOf();
  holds.follow(ON_EAST, { sentMs: 0, leaseMs: 20 });
  const passing = waiting(holds, holds.newUse());
  clock.ms = 10;
  expect(await outcome(passing)).toBe("waits");
  clock.ms = 25;
  expect(await outcome(passing)).toBe("placement_lease_lost");
});
