/**
 * `colonnade hold`: a hold that nothing is done under. It shows how long clients of some
 * placements would wait in a cutover, which proxies obey, and what keeps them from it.
 */
import { randomBytes } from "node:crypto";
import { userInfo } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { FLEET_ACK_POLL_MS, REHEARSAL_ABANDONED_MS } from "../base/limits.ts";
import { SqlError } from "../base/sql-error.ts";
import type { ControlDatabase } from "../control/control-database.ts";
import {
  announceHold,
  endAbandonedLeases,
  endLeased,
  isQuiet,
  leasePlacements,
} from "../control/holds.ts";
import type { FleetHold, HoldAck } from "../control/holds.ts";
import { currentMap } from "../control/map-versions.ts";
import { parseShardMap } from "../shardmap/schema.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";
import { withControl } from "./control-access.ts";
import type { ControlFlags } from "./control-access.ts";
import { CommandFailure } from "./failure.ts";
import { printJson, printLines } from "./output.ts";
import { tableLines } from "./table-lines.ts";

export interface HoldFlags extends ControlFlags {
  readonly placements: readonly string[];
  /** Milliseconds. */
  readonly for: number;
}

/** All times are from the hold's start. */
interface HeldProxy extends HoldAck {
  readonly obeyedAfterMs: number | null;
  /** When it first told of the hold. */
  readonly openAtFirst: number;
  readonly drainedAfterMs: number | null;
  readonly waitingMax: number;
}

interface HoldResult {
  readonly name: string;
  readonly placements: readonly string[];
  readonly preparedMs: number;
  readonly heldMs: number;
  readonly proxies: readonly HeldProxy[];
}

/** Exit code 1 where a cutover would not have come about: a proxy did not obey in time, or something stayed open. */
export async function hold(flags: HoldFlags): Promise<void> {
  using interruption = new Interruption();
  const { signal } = interruption;
  const result = await withControl(flags, (database) => rehearse(database, flags, signal)).catch(
    (error: unknown) => {
      throw signal.aborted ? signal.reason : calledOff(error);
    },
  );
  if (flags.json === true) printJson(result);
  else printLines(resultLines(result));
  if (isQuiet(result.proxies)) return;
  throw new CommandFailure(
    "not every proxy obeyed, with nothing left open, in time: a cutover would have been called off",
    1,
  );
}

/** A proxy that stands in the way is an answer: so it would in a cutover. */
function calledOff(error: unknown): unknown {
  if (!(error instanceof CommandFailure && error.cause instanceof SqlError)) return error;
  const { id } = error.cause;
  if (id !== "hold_not_possible" && id !== "hold_taken") return error;
  return new CommandFailure(error.message, 1, { cause: error.cause });
}

const OWNER_PREFIX = "rehearsal-";

async function rehearse(
  database: ControlDatabase,
  flags: HoldFlags,
  signal: AbortSignal,
): Promise<HoldResult> {
  const { placements } = flags;
  await requirePlacements(database, placements);
  await endAbandonedLeases(database, OWNER_PREFIX, REHEARSAL_ABANDONED_MS);
  const name = `${OWNER_PREFIX}${randomBytes(4).toString("hex")}`;
  const startMs = performance.now();
  await leasePlacements(database, name, placements, { signal });
  try {
    const request = { name, placements, requestedBy: userInfo().username };
    const held = await announceHold(database, request, { signal });
    try {
      const preparedMs = Math.round(performance.now() - startMs);
      const during = await watchHold(held, flags.for, signal);
      return { name, placements, preparedMs, ...during };
    } finally {
      await held.resume();
    }
  } finally {
    await endLeased(database, name);
  }
}

async function watchHold(
  held: FleetHold,
  forMs: number,
  signal: AbortSignal,
): Promise<Pick<HoldResult, "heldMs" | "proxies">> {
  const startMs = performance.now();
  const seen = new Map<string, HeldProxy>();
  await held.start(forMs);
  for (;;) {
    // No look begins that could make the hold longer than it was to be.
    const leftMs = startMs + forMs - performance.now();
    if (leftMs <= FLEET_ACK_POLL_MS) {
      await sleep(Math.max(0, leftMs), undefined, { signal });
      break;
    }
    const acks = await held.acks();
    const afterMs = Math.round(performance.now() - startMs);
    for (const ack of acks) seen.set(ack.id, heldProxy(ack, seen.get(ack.id), afterMs));
    await sleep(FLEET_ACK_POLL_MS / 2, undefined, { signal });
  }
  await held.resume();
  return { heldMs: Math.round(performance.now() - startMs), proxies: [...seen.values()] };
}

function heldProxy(ack: HoldAck, before: HeldProxy | undefined, afterMs: number): HeldProxy {
  const obeys = ack.state === "obeys";
  const isFirst = obeys && (before?.obeyedAfterMs ?? null) === null;
  const isDrained = obeys && ack.open === 0;
  return {
    ...ack,
    obeyedAfterMs: isFirst ? afterMs : (before?.obeyedAfterMs ?? null),
    openAtFirst: isFirst ? ack.open : (before?.openAtFirst ?? 0),
    drainedAfterMs: before?.drainedAfterMs ?? (isDrained ? afterMs : null),
    waitingMax: Math.max(before?.waitingMax ?? 0, ack.waiting),
  };
}

async function requirePlacements(
  database: ControlDatabase,
  wanted: readonly string[],
): Promise<void> {
  const published = await currentMap(database);
  if (published === undefined)
    throw new CommandFailure("no shard map is published yet: colonnade map publish FILE", 1);
  const result = parseShardMap(published.yaml, `version ${published.version}`);
  if (!("map" in result))
    throw new CommandFailure(`version ${published.version} of the shard map has mistakes`, 1);
  const known = placementsOf(result.map);
  const unknown = wanted.filter((name) => !known.has(name));
  if (unknown.length === 0) return;
  throw new CommandFailure(
    `version ${published.version} of the shard map has no placement ${unknown.join(", ")}; it has ${[...known].join(", ")}`,
    1,
  );
}

/** Every (database, schema) that the map puts tables into, that of reference tables aside. */
function placementsOf(map: ShardMap): ReadonlySet<string> {
  return new Set([
    ...[...map.colocations.values()].flatMap(({ placements }) => placements.map(({ id }) => id)),
    ...[...map.groups.values()].map(({ database, schema }) => `${database}.${schema}`),
    `${map.catalog}.${map.canonicalSchema}`,
  ]);
}

const STATES: Readonly<Record<HoldAck["state"], string>> = {
  obeys: "obeyed",
  refuses: "refuses by itself",
  unknown: "did not obey",
};

function resultLines(result: HoldResult): readonly string[] {
  const { name, placements, preparedMs, heldMs, proxies } = result;
  const after = (ms: number | null): string => (ms === null ? "" : `${ms} ms`);
  return [
    `${name}: ${placements.join(", ")} held for ${heldMs} ms, after ${preparedMs} ms of preparation`,
    ...(proxies.length === 0
      ? ["no proxy follows the control schema"]
      : tableLines(
          ["proxy", "address", "state", "obeyed after", "open", "none after", "held back"],
          proxies.map((proxy) => [
            proxy.name,
            proxy.address,
            STATES[proxy.state],
            after(proxy.obeyedAfterMs),
            String(proxy.openAtFirst),
            after(proxy.drainedAfterMs),
            String(proxy.waitingMax),
          ]),
        )),
  ];
}

/** Ctrl-C ends the hold, and then the command. */
class Interruption implements Disposable {
  readonly #controller = new AbortController();

  constructor() {
    process.on("SIGINT", this.#on);
    process.on("SIGTERM", this.#on);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  readonly #on = (): void => {
    this.#controller.abort(new CommandFailure("interrupted: nothing is held any more"));
  };

  [Symbol.dispose](): void {
    process.off("SIGINT", this.#on);
    process.off("SIGTERM", this.#on);
  }
}
