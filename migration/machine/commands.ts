/**
 * What operators ask for. Each command is idempotent: asked for what is so already, it changes
 * nothing; asked for what cannot be, it is refused with the reason and what can be asked instead.
 */
import { isDeepStrictEqual } from "node:util";
import { unreachable } from "../../base/invariant.ts";
import { retreated } from "./cutover.ts";
import type { Command } from "./events.ts";
import { ownerOf } from "./life.ts";
import type { Direction, Migration, Throttle } from "./life.ts";
import { firstSetupStep, isResumable } from "./moving.ts";
import { IGNORED, into, moved, refused, withNewTicket } from "./outcome.ts";
import type { Outcome } from "./outcome.ts";

export function commanded(migration: Migration, command: Command, nowMs: number): Outcome {
  switch (command.kind) {
    case "start":
      return started(migration);
    case "pause":
      return paused(migration);
    case "resume":
      return resumed(migration);
    case "resync":
      return resynchronised(migration);
    case "throttle":
      return throttled(migration, command.throttle);
    case "cutover": {
      const { fencesReads, blockers } = command;
      const policy = { ...migration.policy, fencesReads };
      return cutOver({ ...migration, policy }, "forward", blockers, nowMs);
    }
    case "rollback":
      return cutOver(migration, "back", command.blockers, nowMs);
    case "complete":
      return completed(migration, command.blockers);
    case "cancel":
      return cancelled(migration, nowMs);
    default:
      return unreachable(command);
  }
}

function started(migration: Migration): Outcome {
  const { state } = migration.life;
  if (state === "cancelled") return refused("it is cancelled: plan it again, under another name");
  return state === "planned" ? into(migration, { state: "preflight" }) : IGNORED;
}

function paused(migration: Migration): Outcome {
  const { life } = migration;
  if (!("isPaused" in life))
    return refused(`a migration that is ${life.state} has no work to pause`);
  return life.isPaused ? IGNORED : into(migration, { ...life, isPaused: true });
}

/** What neither stopped nor was paused goes on already. */
function resumed(migration: Migration): Outcome {
  const { life } = migration;
  if (life.state === "stopped") return into(migration, life.at);
  const isPaused = "isPaused" in life && life.isPaused;
  return isPaused ? into(migration, { ...life, isPaused: false }) : IGNORED;
}

/** At once, also in the middle of copying. */
function throttled(migration: Migration, throttle: Throttle): Outcome {
  const { life, policy } = migration;
  if (life.state === "completed" || life.state === "cancelled")
    return refused(`a migration that is ${life.state} copies nothing any more`);
  const isSame = isDeepStrictEqual(policy.throttle, throttle);
  return isSame ? IGNORED : moved({ ...migration, policy: { ...policy, throttle } });
}

/** Both sides are set up anew, and only the ranges that differ are copied. */
function resynchronised(migration: Migration): Outcome {
  const { life } = migration;
  const isStoppedBefore = life.state === "stopped" && ownerOf(migration) === "sources";
  // What is given up is half taken away.
  const isPossible =
    life.state === "rolledBack" || (isStoppedBefore && life.at.state !== "aborting");
  if (isPossible) return into(migration, firstSetupStep("resync"));
  if (life.state === "resync" || (life.state === "setup" && life.leadsTo === "resync"))
    return IGNORED;
  return refused(
    `a migration that is ${life.state} is not compared anew: only one that stopped before the switch, or was rolled back`,
  );
}

function cutOver(
  migration: Migration,
  direction: Direction,
  blockers: readonly string[],
  nowMs: number,
): Outcome {
  const { life, policy } = migration;
  if ("direction" in life && life.direction === direction && life.state !== "retreating")
    return IGNORED;
  if (life.state === (direction === "forward" ? "reversible" : "rolledBack")) return IGNORED;
  if (life.state !== (direction === "forward" ? "ready" : "reversible"))
    return refused(
      direction === "forward"
        ? `a migration that is ${life.state} cannot be cut over: it has to be ready`
        : `a migration that is ${life.state} cannot be rolled back: it has to be reversible`,
    );
  if (life.state === "reversible" && life.reverse === "lost")
    return refused(
      "the stream back to the sources is lost, so they miss writes: there is no way back",
    );
  if (blockers.length > 0) return refused(...blockers);
  return withNewTicket(migration, {
    state: "pausing",
    direction,
    phase: "holding",
    deadlineMs: nowMs + policy.pauseMs - policy.reserveMs,
  });
}

function completed(migration: Migration, blockers: readonly string[]): Outcome {
  const { life } = migration;
  if (life.state === "completing" || life.state === "completed") return IGNORED;
  if (life.state === "stopped" && life.at.state === "completing") return into(migration, life.at);
  // The targets own the rows; what stopped is the way back, which is given up.
  if (life.state === "stopped" && life.at.state === "reversible")
    return into(migration, { state: "completing" });
  if (life.state !== "reversible")
    return refused(
      `a migration that is ${life.state} cannot be completed: it has to be reversible`,
    );
  return blockers.length > 0 ? refused(...blockers) : into(migration, { state: "completing" });
}

/** Up to the switch everything is undone; from it on, `rollback` is the way back. */
function cancelled(migration: Migration, nowMs: number): Outcome {
  const { life } = migration;
  switch (life.state) {
    case "planned":
      return into(migration, { state: "cancelled" });
    case "cancelled":
    case "aborting":
      return IGNORED;
    case "rolledBack":
      return into(migration, { state: "aborting" });
    case "pausing":
    case "fenced":
    case "drained":
      return life.direction === "forward"
        ? retreated(migration, life.direction, { kind: "abort" }, nowMs)
        : refused("a rollback is under way: let it end first");
    case "retreating":
      if (life.direction === "back")
        return refused("a rollback is being given up: let that end first");
      return life.leadsTo.kind === "abort"
        ? IGNORED
        : into(migration, { ...life, leadsTo: { kind: "abort" } });
    case "switched":
    case "reversible":
    case "completing":
    case "completed":
      return refused(
        `a migration that is ${life.state} is not cancelled: its targets own the rows`,
      );
    default:
      break;
  }
  const isBeforeSwitch = ownerOf(migration) === "sources";
  if (isBeforeSwitch && (isResumable(life) || life.state === "stopped"))
    return into(migration, { state: "aborting" });
  return refused(
    "a migration that stopped after its switch is not cancelled: its targets own the rows",
  );
}
