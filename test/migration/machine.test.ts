/** The whole life of a migration: every state met, every way out, every command in every state. */
import { expect, test } from "vitest";
import { UNTHROTTLED } from "./unthrottled.ts";
import { plannedMigration, step } from "../../migration/machine.ts";
import { effectsOf } from "../../migration/machine/effects.ts";
import type { Command, Event, ProxySeen } from "../../migration/machine/events.ts";
import {
  claimsItsObjects,
  isTrafficHeld,
  ownerOf,
  SETUP_STEPS,
  STOP_REASONS,
} from "../../migration/machine/life.ts";
import type { Migration, Moving, State } from "../../migration/machine/life.ts";

const PLANNED = plannedMigration(
  "split_users",
  { sources: ["users0"], targets: ["users1", "users2"] },
  { pauseMs: 2_000, reserveMs: 200, ...UNTHROTTLED },
);

const IDENTITY = { database: "users0", systemId: "7", timeline: 1 };

const MOVING: readonly Moving[] = [
  "copying",
  "resync",
  "catchingUp",
  "indexing",
  "armingReverse",
  "catchingUpAgain",
  "verifying",
];

const COMMANDS: readonly Command[] = [
  { kind: "start" },
  { kind: "pause" },
  { kind: "resume" },
  { kind: "resync" },
  { kind: "throttle", throttle: { rowsPerSecond: 7, replicaLagMs: 1, activeSessions: 2 } },
  { kind: "cutover", blockers: [], fencesReads: false },
  { kind: "rollback", blockers: [] },
  { kind: "complete", blockers: [] },
  { kind: "cancel" },
];

/** Everything that can be said to a migration, of its present ticket and of the one before. */
function eventsFor({ ticket, epoch, parties }: Migration): readonly Event[] {
  const identities = [...parties.sources, ...parties.targets].map((database) => ({
    ...IDENTITY,
    database,
  }));
  const markers = (of: number): Event => ({
    kind: "markersSeen",
    markers: parties.sources.flatMap((one) =>
      parties.targets.flatMap((other) => [
        { giver: one, taker: other, ticket: of },
        { giver: other, taker: one, ticket: of },
      ]),
    ),
  });
  const ofTicket = (of: number): readonly Event[] => [
    { kind: "proxiesSeen", ticket: of, proxies: [] },
    { kind: "fenced", ticket: of, givers: identities },
    markers(of),
    { kind: "checked", ticket: of, differences: [], fencedGivers: identities },
    { kind: "checked", ticket: of, differences: ["two rows differ"], fencedGivers: identities },
    { kind: "checked", ticket: of, differences: [], fencedGivers: [] },
    { kind: "unfenced", ticket: of },
  ];
  return [
    ...COMMANDS,
    { kind: "claimed", epoch: Math.min(epoch + 1, 2) },
    { kind: "inspected", errors: [] },
    { kind: "inspected", errors: ["wal_level is replica"] },
    ...SETUP_STEPS.map((each): Event => ({ kind: "setUp", step: each })),
    ...MOVING.map((work): Event => ({ kind: "done", work })),
    { kind: "failed", because: "apply_not_exact", detail: "key 7" },
    { kind: "slotLost", detail: "invalidated" },
    { kind: "tick" },
    { kind: "finished" },
    { kind: "cleanedUp" },
    ...ofTicket(ticket),
    ...ofTicket(ticket - 1),
  ];
}

interface Walk {
  readonly refusals: readonly string[];
  readonly reached: ReadonlyMap<string, Migration>;
  readonly next: ReadonlyMap<string, readonly string[]>;
}

/** The machine up to its second ticket: one attempt and its retreat. */
let short: Walk | undefined;

function shortWalk(): Walk {
  return (short ??= walk(2));
}

/** Tickets are bounded, so that the walk ends. */
function walk(ticketMax: number): Walk {
  const reached = new Map<string, Migration>();
  const next = new Map<string, string[]>();
  const refusals: string[] = [];
  const queue = [PLANNED];
  for (const migration of queue) {
    const key = JSON.stringify(migration);
    if (reached.has(key)) continue;
    reached.set(key, migration);
    const nextKeys: string[] = [];
    next.set(key, nextKeys);
    for (const event of eventsFor(migration))
      for (const nowMs of [0, 60_000]) {
        const result = step(migration, event, nowMs);
        if (result.kind === "refused") refusals.push(...result.because);
        if (result.kind !== "moved" || result.migration.ticket > ticketMax) continue;
        expectSound(migration, event, result.migration);
        expect(result.effects).toEqual(effectsOf(result.migration));
        nextKeys.push(JSON.stringify(result.migration));
        queue.push(result.migration);
      }
  }
  return { refusals, reached, next };
}

function expectSound(before: Migration, event: Event, after: Migration): void {
  const way = `${JSON.stringify(before.life)} by ${JSON.stringify(event)}`;
  expect(after.epoch, way).toBeGreaterThanOrEqual(before.epoch);
  expect(after.ticket - before.ticket, way).toBeOneOf([0, 1]);
  if (ownerOf(before) !== ownerOf(after))
    expect([before.life.state, after.life.state], way).toEqual(["drained", "switched"]);
  if (isTrafficHeld(before) && !isTrafficHeld(after))
    expect(before.life.state, way).toBeOneOf(["retreating", "switched"]);
  if (event.kind === "claimed") expect(after.life, way).toEqual(before.life);
}

test("whatever is said in whatever state, the rules hold, and an end can be reached", () => {
  const { refusals, reached, next } = walk(3);
  expect(refusals.filter((sentence) => !/^[a-z].+[^.]$/.test(sentence))).toEqual([]);
  const states = new Set<State>([...reached.values()].map(({ life }) => life.state));
  console.info(`the machine alone: ${reached.size} rows in ${states.size} states`);
  expect([...states].toSorted()).toEqual(
    [
      ...MOVING,
      "planned",
      "preflight",
      "setup",
      "ready",
      "pausing",
      "fenced",
      "drained",
      "retreating",
      "switched",
      "reversible",
      "completing",
      "completed",
      "rolledBack",
      "stopped",
      "aborting",
      "cancelled",
    ].toSorted(),
  );
  const ends = new Set(
    [...reached].flatMap(([key, { life }]) =>
      life.state === "completed" || life.state === "cancelled" ? [key] : [],
    ),
  );
  for (let before = 0; before !== ends.size;) {
    before = ends.size;
    for (const [key, keys] of next) if (keys.some((to) => ends.has(to))) ends.add(key);
  }
  // A retreat of the last ticket that the walk allows is where it was cut off.
  const stuck = [...reached].filter(([key, { ticket }]) => !ends.has(key) && ticket < 3);
  expect(stuck.map(([, { life }]) => life)).toEqual([]);
});

test("what holds objects, and what does something, in each state", () => {
  for (const migration of shortWalk().reached.values()) {
    const { state } = migration.life;
    const isQuiet = ["planned", "completed", "cancelled", "stopped"].includes(state);
    expect(effectsOf(migration).length > 0, state).toBe(!isQuiet);
    expect(claimsItsObjects(migration)).toBe(
      !["planned", "completed", "cancelled"].includes(state),
    );
  }
});

/** A row in the wanted state, along the shortest way from the plan. */
function inState(wanted: State): Migration {
  for (const migration of shortWalk().reached.values())
    if (migration.life.state === wanted) return migration;
  throw new Error(`${wanted} is not reached`);
}

test("setup goes in the order that the argument for correctness needs", () => {
  let migration = inState("setup");
  const seen: string[] = [];
  while (migration.life.state === "setup") {
    seen.push(migration.life.step);
    const result = step(migration, { kind: "setUp", step: migration.life.step }, 0);
    if (result.kind !== "moved") throw new Error("setup does not go on");
    migration = result.migration;
  }
  expect(seen).toEqual([...SETUP_STEPS]);
  expect(migration.life).toEqual({ state: "copying", isPaused: false });
});

test("it is ready only once the way back is armed, and the rows compared after that", () => {
  let migration: Migration = { ...PLANNED, life: { state: "copying", isPaused: false } };
  const seen: string[] = [];
  while ("isPaused" in migration.life) {
    const { state } = migration.life;
    seen.push(state);
    const result = step(migration, { kind: "done", work: state }, 0);
    if (result.kind !== "moved") throw new Error("it does not go on");
    migration = result.migration;
  }
  const way = ["copying", "catchingUp", "indexing", "armingReverse", "catchingUpAgain"];
  expect([...seen, migration.life.state]).toEqual([...way, "verifying", "ready"]);
  // No other way leads there: but back from an attempt, or from where it stopped.
  const { reached, next } = shortWalk();
  const before = [...next].flatMap(([key, keys]) =>
    keys.some((to) => reached.get(to)?.life.state === "ready") ? [reached.get(key)] : [],
  );
  expect(new Set(before.map((from) => from?.life.state))).toEqual(
    new Set(["ready", "retreating", "stopped", "verifying"]),
  );
  const stopped = before.flatMap((from) => (from?.life.state === "stopped" ? [from.life.at] : []));
  expect(stopped.map(({ state }) => state)).toEqual(stopped.map(() => "ready"));
  const back = { do: "stream", direction: "back", discarding: true };
  expect(effectsOf(migration)).toContainEqual(back);
});

test("where the slot of the way back is lost, the rows stay, and a rollback is refused by that name", () => {
  const reversible = inState("reversible");
  const lost = step(reversible, { kind: "slotLost", detail: "invalidated" }, 0);
  if (lost.kind !== "moved") throw new Error("it is not told");
  expect(lost.migration.life).toEqual({ state: "reversible", reverse: "lost" });
  expect(ownerOf(lost.migration)).toBe("targets");
  expect(lost.effects).not.toContainEqual(expect.objectContaining({ do: "stream" }));
  expect(step(lost.migration, { kind: "rollback", blockers: [] }, 0)).toEqual({
    kind: "refused",
    because: ["the stream back to the sources is lost, so they miss writes: there is no way back"],
  });
  const completing = step(lost.migration, { kind: "complete", blockers: [] }, 0);
  expect(completing).toMatchObject({ migration: { life: { state: "completing" } } });
});

test.each(STOP_REASONS)("stopped by %s, and resumed where it was", (because) => {
  const copying: Migration = { ...PLANNED, life: { state: "copying", isPaused: false } };
  const stopped = step(copying, { kind: "failed", because, detail: "key 7 at 0/1" }, 0);
  if (stopped.kind !== "moved") throw new Error("it does not stop");
  expect(stopped.migration.life).toMatchObject({ state: "stopped", because });
  expect(stopped.effects).toEqual([]);
  const resumed = step(stopped.migration, { kind: "resume" }, 0);
  expect(resumed).toMatchObject({ kind: "moved", migration: copying });
});

test("what stands in the way of a cutover is told, and nothing is paused", () => {
  const ready: Migration = { ...PLANNED, life: { state: "ready" } };
  const blockers = ["proxy a has been silent for 9 s", "transaction of pid 7 is open for 600 s"];
  expect(step(ready, { kind: "cutover", blockers, fencesReads: false }, 0)).toEqual({
    kind: "refused",
    because: blockers,
  });
  expect(step(PLANNED, { kind: "cutover", blockers: [], fencesReads: false }, 0)).toMatchObject({
    kind: "refused",
  });
});

test("of several sources each is fenced and drained before the rows switch, and each taker has every marker", () => {
  const parties = { sources: ["a", "b"], targets: ["c", "d"] };
  const pausing: Migration = {
    ...PLANNED,
    parties,
    ticket: 3,
    life: { state: "pausing", direction: "forward", phase: "fencing", deadlineMs: 100 },
  };
  const giver = (database: string) => ({ ...IDENTITY, database });
  const fencedBy = (...names: readonly string[]) =>
    step(pausing, { kind: "fenced", ticket: 3, givers: names.map(giver) }, 0);
  expect(fencedBy("a")).toEqual({ kind: "ignored" });
  const fenced = fencedBy("a", "b");
  if (fenced.kind !== "moved") throw new Error("both are fenced");
  const seen = (tickets: Readonly<Record<string, number>>) => ({
    kind: "markersSeen" as const,
    markers: Object.entries(tickets).map(([pair, ticket]) => ({
      giver: pair.charAt(0),
      taker: pair.charAt(1),
      ticket,
    })),
  });
  for (const tickets of [
    { ac: 3, ad: 3, bc: 3 },
    { ac: 3, ad: 3, bc: 3, bd: 2 },
  ])
    expect(step(fenced.migration, seen(tickets), 0)).toEqual({ kind: "ignored" });
  const drained = step(fenced.migration, seen({ ac: 3, ad: 3, bc: 3, bd: 4 }), 0);
  if (drained.kind !== "moved") throw new Error("all is drained");
  expect(drained.migration.life.state).toBe("drained");
  // One of them is not fenced any more: nothing switches.
  const checked = {
    kind: "checked",
    ticket: 3,
    differences: [],
    fencedGivers: [giver("a")],
  } as const;
  expect(step(drained.migration, checked, 0)).toMatchObject({
    migration: {
      life: { state: "retreating", leadsTo: { kind: "stop", because: "source_replaced" } },
    },
  });
});

test("after the switch a proxy is waited for that serves the older map, and none that holds back or has no lease", () => {
  const { reached } = shortWalk();
  const switched = [...reached.values()].filter(
    ({ life }) => life.state === "switched" && !life.isFollowed,
  );
  expect(switched.length).toBeGreaterThan(0);
  const nothing = { hasFollowed: false, openTransactions: 0, isHolding: false, isLeaseDead: false };
  for (const migration of switched) {
    const { ticket } = migration;
    const see = (what: Partial<ProxySeen>, of = ticket): string => {
      const proxies = [
        { ...nothing, name: "one", hasFollowed: true },
        { ...nothing, name: "other", ...what },
      ];
      return step(migration, { kind: "proxiesSeen", ticket: of, proxies }, 0).kind;
    };
    expect(see({})).toBe("ignored");
    for (const safe of ["hasFollowed", "isHolding", "isLeaseDead"] as const) {
      expect(see({ [safe]: true })).toBe("moved");
      expect(see({ [safe]: true }, ticket - 1)).toBe("ignored");
    }
  }
});

test("a difference, or another server, before the switch ends in a stop with service restored", () => {
  const drained: Migration = {
    ...PLANNED,
    ticket: 1,
    life: { state: "drained", direction: "forward", deadlineMs: 1_800, givers: [IDENTITY] },
  };
  const checked = { kind: "checked", ticket: 1, differences: [], fencedGivers: [] } as const;
  for (const [event, because] of [
    [{ ...checked, fencedGivers: [IDENTITY], differences: ["key 7"] }, "rows_differ"],
    [{ ...checked, fencedGivers: [{ ...IDENTITY, timeline: 2 }] }, "source_replaced"],
    [checked, "source_replaced"],
  ] as const) {
    const retreat = step(drained, event, 500);
    expect(retreat).toMatchObject({ migration: { ticket: 2, life: { state: "retreating" } } });
    if (retreat.kind !== "moved") continue;
    const after = step(retreat.migration, { kind: "unfenced", ticket: 2 }, 600);
    expect(after).toMatchObject({ migration: { life: { state: "stopped", because } } });
  }
});

test("the machine alone does not wait for ever with statements held", () => {
  const pausing = inState("pausing");
  const late = step(pausing, { kind: "tick" }, 60_000);
  if (late.kind !== "moved") throw new Error("it does not give up");
  const stillHeld = late.migration;
  expect(isTrafficHeld(stillHeld)).toBe(true);
  const letGo = step(stillHeld, { kind: "tick" }, 120_000);
  expect(letGo).toMatchObject({ migration: { life: { state: "retreating", isHeld: false } } });
});
