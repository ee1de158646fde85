/** From preflight to ready, and what ends by itself after the switch: observations of work. */
import { unreachable } from "../../base/invariant.ts";
import type { Observation } from "./events.ts";
import { SETUP_STEPS } from "./life.ts";
import type { In, Life, Migration, Moving, Resumable, State } from "./life.ts";
import { IGNORED, into } from "./outcome.ts";
import type { Outcome } from "./outcome.ts";

const NEXT: Readonly<Record<Moving, Moving | "ready">> = {
  copying: "catchingUp",
  resync: "catchingUp",
  catchingUp: "indexing",
  indexing: "armingReverse",
  armingReverse: "catchingUpAgain",
  catchingUpAgain: "verifying",
  verifying: "ready",
};

export function moveObserved(migration: Migration, event: Observation): Outcome {
  const { life } = migration;
  switch (event.kind) {
    case "inspected":
      return life.state === "preflight" ? inspected(migration, event.errors) : IGNORED;
    case "setUp":
      return life.state === "setup" && life.step === event.step
        ? into(migration, afterSetupStep(life))
        : IGNORED;
    case "done":
      return life.state === event.work ? into(migration, lifeOf(NEXT[event.work])) : IGNORED;
    case "failed":
      return isResumable(life)
        ? into(migration, {
            state: "stopped",
            at: life,
            because: event.because,
            detail: event.detail,
          })
        : IGNORED;
    case "slotLost":
      return slotLost(migration);
    case "finished":
      return life.state === "completing" ? into(migration, { state: "completed" }) : IGNORED;
    case "cleanedUp":
      return life.state === "aborting" ? into(migration, { state: "cancelled" }) : IGNORED;
    case "tick":
    case "proxiesSeen":
    case "fenced":
    case "markersSeen":
    case "checked":
    case "unfenced":
      // Of an attempt to cut over that is not under way (any more).
      return IGNORED;
    default:
      return unreachable(event);
  }
}

function inspected(migration: Migration, errors: readonly string[]): Outcome {
  const { life } = migration;
  if (errors.length === 0) return into(migration, firstSetupStep("copying"));
  if (life.state !== "preflight") return IGNORED;
  return into(migration, {
    state: "stopped",
    at: life,
    because: "preflight_failed",
    detail: errors.join("; "),
  });
}

function afterSetupStep({ step, leadsTo }: In<"setup">): Life {
  const next = SETUP_STEPS[SETUP_STEPS.indexOf(step) + 1];
  return next === undefined ? lifeOf(leadsTo) : { state: "setup", step: next, leadsTo };
}

export function firstSetupStep(leadsTo: In<"setup">["leadsTo"]): Life {
  return { state: "setup", step: SETUP_STEPS[0], leadsTo };
}

function lifeOf(state: Moving | "ready"): Life {
  return state === "ready" ? { state } : { state, isPaused: false };
}

/**
 * Before the switch, WAL between the two sides is missing: both are set up anew and compared.
 * After it, the rows are safe where they are, and only the way back is gone.
 */
function slotLost(migration: Migration): Outcome {
  const { life } = migration;
  switch (life.state) {
    case "setup":
    case "copying":
    case "resync":
    case "catchingUp":
    case "indexing":
    case "armingReverse":
    case "catchingUpAgain":
    case "verifying":
    case "ready":
      return into(migration, firstSetupStep("resync"));
    case "reversible":
      return life.reverse === "lost"
        ? IGNORED
        : into(migration, { state: "reversible", reverse: "lost" });
    default:
      return IGNORED;
  }
}

const RESUMABLE: ReadonlySet<State> = new Set<Resumable["state"]>([
  ...(Object.keys(NEXT) as Moving[]),
  "preflight",
  "setup",
  "ready",
  "reversible",
  "completing",
  "aborting",
]);

export function isResumable(life: Life): life is Resumable {
  return RESUMABLE.has(life.state);
}
