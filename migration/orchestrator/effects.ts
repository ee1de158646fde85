/** Each effect of the state machine as work on real servers: it tells what it sees, and ends when there is no more to see. */
import { setTimeout as sleep } from "node:timers/promises";
import { unreachable } from "../../base/invariant.ts";
import { MIGRATION_CUTOVER_POLL_MS, VERIFY_SAMPLE_PAUSE_MS } from "../../base/limits.ts";
import { findHold } from "../../control/holds.ts";
import { lastStartedHold } from "../../control/kept-hold.ts";
import type { LeaseWatch } from "../../control/lease-watch.ts";
import { listMigrations } from "../../control/migration-store.ts";
import { preflight } from "../preflight/preflight.ts";
import type { Effect } from "../machine/effects.ts";
import type { Observation } from "../machine/events.ts";
import type { Direction, Migration } from "../machine/life.ts";
import { cleanUp, dropStreams, dropStreamsOf, finish } from "./clean-up.ts";
import {
  check,
  fence,
  openSessions,
  proxiesOfHold,
  proxiesOfRevision,
  unfence,
  watchMarkers,
} from "./cutover.ts";
import { compareSamples } from "./compare.ts";
import { nextMap } from "./next-map.ts";
import type { NextMap } from "./next-map.ts";
import type { Scene } from "./scene.ts";
import { setUp } from "./setup.ts";
import { unsupported } from "./supported.ts";
import type { Streams } from "./streams.ts";
import type { MigrationRow } from "./transition.ts";
import { armReverse, buildIndexes, catchUp, copyRows, verifyAll } from "./work.ts";

export interface EffectContext {
  readonly scene: Scene;
  readonly streams: Streams;
  /** As it was stored when the effect was listed. */
  readonly row: MigrationRow;
  readonly tell: (event: Observation) => void;
  /** What a switch will put in force. */
  readonly keepMap: (map: NextMap) => void;
  /** What this process has seen of proxies' leases. */
  readonly watch: LeaseWatch;
  readonly signal: AbortSignal;
}

/** Rejects with what went wrong, or with the signal's reason. */
export async function perform(effect: Effect, context: EffectContext): Promise<void> {
  const { scene, streams, row, tell, signal } = context;
  switch (effect.do) {
    case "inspect":
      return await inspect(context);
    case "setUp":
      return await settingUp(context);
    case "stream":
      return await streams.run(effect.direction, signal);
    case "copy":
      await copyRows(streams, effect.comparing, signal);
      return done(context);
    case "reportWhenCaughtUp":
      await catchUp(scene, streams, signal);
      return done(context);
    case "buildIndexes":
      await buildIndexes(scene, streams, signal);
      return done(context);
    case "armReverse":
      await armReverse(scene, signal);
      return done(context);
    case "verify":
      return await verifying(context);
    case "watchRows":
      return await watchRows(context, effect.direction);
    case "watchProxies":
      return await watchProxies(context, effect.ticket);
    case "fence": {
      const givers = await fence(scene, effect.side, row.document, signal);
      if (givers !== undefined) tell({ kind: "fenced", ticket: effect.ticket, givers });
      return undefined;
    }
    case "watchMarkers":
      return await watchMarkers(
        scene,
        effect.direction,
        effect.ticket,
        (markers) => tell({ kind: "markersSeen", markers }),
        signal,
      );
    case "check":
      return tell(await check(scene, streams, effect, signal));
    case "unfence":
      await unfence(scene, effect.side, effect.ticket, signal);
      return tell({ kind: "unfenced", ticket: effect.ticket });
    case "finish":
      await finish(scene, row.document.ticket, signal);
      return tell({ kind: "finished" });
    case "dropStreams":
      return effect.which === "all"
        ? await dropStreams(scene, signal)
        : await dropStreamsOf(scene, "forward", signal);
    case "cleanUp":
      await cleanUp(scene, row.document.ticket, signal);
      return tell({ kind: "cleanedUp" });
    default:
      return unreachable(effect);
  }
}

type WithWork = Extract<Migration["life"], { readonly isPaused: boolean }>;

function done({ row, tell }: EffectContext): void {
  const { life } = row.document;
  if ("isPaused" in life) tell({ kind: "done", work: (life satisfies WithWork).state });
}

async function inspect({ scene, tell }: EffectContext): Promise<void> {
  const all = await listMigrations<Migration>(scene.control);
  const refused = unsupported(
    scene.plan,
    all.map(({ plan }) => plan),
  );
  if (refused.length > 0) return tell({ kind: "inspected", errors: refused });
  const { findings } = await preflight({
    migration: scene.plan,
    addresses: new Map([...scene.databases].map(([name, { address }]) => [name, address])),
    referenceTables: scene.referenceTables,
  });
  const errors = findings
    .filter(({ severity }) => severity === "error")
    .map(({ id, database, object, message }) => `${id}: ${database}: ${object} ${message}`);
  tell({ kind: "inspected", errors });
}

async function settingUp({ scene, row, tell, signal }: EffectContext): Promise<void> {
  const { life, ticket } = row.document;
  if (life.state !== "setup") return;
  await setUp(scene, life, ticket, signal);
  tell({ kind: "setUp", step: life.step });
}

/** The exact level: what follows is a switch. */
async function verifying(context: EffectContext): Promise<void> {
  const { scene, streams, tell, signal } = context;
  const differences = await verifyAll(scene, streams, signal);
  if (differences.length === 0) return done(context);
  tell(differing(differences));
}

/** Whoever owns them, what the other side lacks would be lost by the next switch: it is told before somebody asks for one. */
async function watchRows(
  { scene, tell, signal }: EffectContext,
  direction: Direction,
): Promise<void> {
  for (let round = 0; ; round += 1) {
    await sleep(VERIFY_SAMPLE_PAUSE_MS, undefined, { signal });
    const differences = await compareSamples(scene, direction, round, signal).catch(
      (error: unknown) => {
        // The stream is far behind: the next time, perhaps.
        if (!signal.aborted && (error as Error).name === "TimeoutError") return [];
        throw error;
      },
    );
    if (differences.length > 0) return tell(differing(differences));
  }
}

function differing(differences: readonly string[]): Observation {
  const [first = ""] = differences;
  const more = differences.length > 1 ? ` (and ${differences.length - 1} more)` : "";
  return { kind: "failed", because: "rows_differ", detail: `${first}${more}` };
}

/** Before the fence they have to hold back; after the switch, to serve the map that it has put in force, or to hold back still. */
async function watchProxies(context: EffectContext, ticket: number): Promise<void> {
  const { scene, row, tell, keepMap, watch, signal } = context;
  const { life, policy } = row.document;
  if (life.state === "switched") {
    const kept = await lastStartedHold(scene.control, scene.plan.name);
    for (;;) {
      const proxies = await proxiesOfRevision(scene, row.revision ?? 0, kept, watch);
      tell({ kind: "proxiesSeen", ticket, proxies });
      await sleep(MIGRATION_CUTOVER_POLL_MS, undefined, { signal });
    }
  }
  if (life.state === "pausing") {
    const [map] = await Promise.all([nextMap(scene, life.direction), openSessions(scene, signal)]);
    keepMap(map);
  }
  const found = await findHold(scene.control, scene.plan.name, watch);
  // It is announced by who asks for a cutover. Where it is over, the attempt's deadline ends it.
  if (found === undefined) return;
  if (!found.isStarted) await found.hold.start(policy.pauseMs);
  for (;;) {
    tell({ kind: "proxiesSeen", ticket, proxies: await proxiesOfHold(found.hold) });
    await sleep(MIGRATION_CUTOVER_POLL_MS, undefined, { signal });
  }
}
