/**
 * From the pause to the switch, and back out of it: the rules of MIGRATIONS 4.7. Before the
 * switch every way out is a retreat, which takes the fence away under a new ticket before
 * statements pass again; after it there is only the way forward.
 */
import { unreachable } from "../../base/invariant.ts";
import type { MarkerSeen, Observation, ProxySeen } from "./events.ts";
import { givingSide, takingSide } from "./life.ts";
import type {
  AfterRetreat,
  Direction,
  In,
  Life,
  Migration,
  Parties,
  Retreat,
  ServerIdentity,
} from "./life.ts";
import { IGNORED, into, withNewTicket } from "./outcome.ts";
import type { Outcome } from "./outcome.ts";

/** For a migration that is pausing, fenced, drained, retreating or switched. */
export function cutoverObserved(migration: Migration, event: Observation, nowMs: number): Outcome {
  const { life } = migration;
  switch (life.state) {
    case "retreating":
      return retreatObserved(migration, life, event, nowMs);
    case "switched":
      return switchObserved(migration, life, event);
    case "pausing":
    case "fenced":
    case "drained":
      break;
    default:
      return IGNORED;
  }
  const { direction } = life;
  if (event.kind === "failed")
    return retreated(migration, direction, { ...event, kind: "stop" }, nowMs);
  // Without its slot the stream cannot reach the marker. Once service is back, the slot is looked for again.
  if (event.kind === "slotLost" || nowMs >= life.deadlineMs)
    return retreated(migration, direction, { kind: "tryAgain" }, nowMs);
  switch (life.state) {
    case "pausing":
      return pauseObserved(migration, life, event);
    case "fenced":
      return event.kind === "markersSeen" &&
        isDrained(migration.parties, life.direction, event.markers, migration.ticket)
        ? into(migration, { state: "drained", ...attemptOf(life), givers: life.givers })
        : IGNORED;
    case "drained":
      return checkObserved(migration, life, event, nowMs);
    default:
      return unreachable(life);
  }
}

function attemptOf({ direction, deadlineMs }: { direction: Direction; deadlineMs: number }) {
  return { direction, deadlineMs };
}

function pauseObserved(migration: Migration, life: In<"pausing">, event: Observation): Outcome {
  const { ticket, parties } = migration;
  if (event.kind === "proxiesSeen" && event.ticket === ticket && life.phase === "holding")
    return event.proxies.every(cannotRead)
      ? into(migration, { ...life, phase: "fencing" })
      : IGNORED;
  if (event.kind === "fenced" && event.ticket === ticket && life.phase === "fencing") {
    const givers = parties[givingSide(life.direction)];
    const isWhole = givers.every((giver) =>
      event.givers.some(({ database }) => database === giver),
    );
    return isWhole
      ? into(migration, { state: "fenced", ...attemptOf(life), givers: event.givers })
      : IGNORED;
  }
  return IGNORED;
}

/** Nothing that passed before can read the moved rows from here on, and nothing new passes. */
function cannotRead({ hasFollowed, openTransactions, isLeaseDead }: ProxySeen): boolean {
  return isLeaseDead || (hasFollowed && openTransactions === 0);
}

/** Also of a stream that had nothing to apply: the marker itself has to be there (R16). */
function isDrained(
  parties: Parties,
  direction: Direction,
  markers: readonly MarkerSeen[],
  due: number,
): boolean {
  const [givers, takers] = [parties[givingSide(direction)], parties[takingSide(direction)]];
  return givers.every((giver) =>
    takers.every((taker) =>
      markers.some((seen) => seen.giver === giver && seen.taker === taker && seen.ticket >= due),
    ),
  );
}

function checkObserved(
  migration: Migration,
  life: In<"drained">,
  event: Observation,
  nowMs: number,
): Outcome {
  if (event.kind !== "checked" || event.ticket !== migration.ticket) return IGNORED;
  const { direction, givers } = life;
  const stop = (because: "rows_differ" | "source_replaced", detail: string): Outcome =>
    retreated(migration, direction, { kind: "stop", because, detail }, nowMs);
  const replaced = givers.filter(
    (giver) => !event.fencedGivers.some((seen) => isSameServer(seen, giver)),
  );
  // R37: a standby that took over may lack the fence, and commits that came before it.
  if (replaced.length > 0)
    return stop(
      "source_replaced",
      `${replaced.map(({ database }) => database).join(", ")} no longer is the server that was fenced`,
    );
  if (event.differences.length > 0) return stop("rows_differ", event.differences.join("; "));
  return into(migration, { state: "switched", direction, isFollowed: false });
}

function isSameServer(one: ServerIdentity, other: ServerIdentity): boolean {
  return (
    one.database === other.database &&
    one.systemId === other.systemId &&
    one.timeline === other.timeline
  );
}

/**
 * The new owner takes writes, from anybody, only once no proxy can read the rows where they were. One that
 * holds them back cannot: so one that is frozen since is not waited for, with all clients of the others.
 */
function switchObserved(migration: Migration, life: In<"switched">, event: Observation): Outcome {
  if ("ticket" in event && event.ticket !== migration.ticket) return IGNORED;
  if (event.kind === "proxiesSeen" && !life.isFollowed) {
    const isFollowed = event.proxies.every(
      ({ hasFollowed, isHolding, isLeaseDead }) => hasFollowed || isHolding || isLeaseDead,
    );
    return isFollowed ? into(migration, { ...life, isFollowed }) : IGNORED;
  }
  if (event.kind !== "unfenced" || !life.isFollowed) return IGNORED;
  return into(
    migration,
    life.direction === "forward"
      ? { state: "reversible", reverse: "live" }
      : { state: "rolledBack" },
  );
}

/** Also where nobody knows whether a fence came about: the new ticket shuts out one that is under way. */
export function retreated(
  migration: Migration,
  direction: Direction,
  leadsTo: AfterRetreat,
  nowMs: number,
): Outcome {
  const deadlineMs = nowMs + migration.policy.reserveMs;
  return withNewTicket(migration, {
    state: "retreating",
    direction,
    leadsTo,
    isHeld: true,
    deadlineMs,
  });
}

function retreatObserved(
  migration: Migration,
  life: Retreat,
  event: Observation,
  nowMs: number,
): Outcome {
  if (event.kind === "unfenced" && event.ticket === migration.ticket)
    return into(migration, afterRetreat(life));
  if (event.kind === "failed" && life.leadsTo.kind === "tryAgain")
    return into(migration, { ...life, leadsTo: { ...event, kind: "stop" } });
  if (life.isHeld && nowMs >= life.deadlineMs) return into(migration, { ...life, isHeld: false });
  return IGNORED;
}

function afterRetreat({ direction, leadsTo }: Retreat): Life {
  const before: In<"ready"> | In<"reversible"> =
    direction === "forward" ? { state: "ready" } : { state: "reversible", reverse: "live" };
  switch (leadsTo.kind) {
    case "tryAgain":
      return before;
    case "abort":
      return { state: "aborting" };
    case "stop":
      return { state: "stopped", at: before, because: leadsTo.because, detail: leadsTo.detail };
    default:
      return unreachable(leadsTo);
  }
}
