/**
 * The life of a migration as one pure function: the stored row and what happened give the next
 * row and what is to be done. It reads no clock and reaches nothing; an orchestrator stores the
 * row by compare-and-set first, and only then does what is listed with it.
 *
 * The same function is walked through all interleavings of orchestrators, proxies and writers by
 * the explorer in test/migration/explorer, which asserts what must hold in each.
 */
import { commanded } from "./machine/commands.ts";
import { cutoverObserved } from "./machine/cutover.ts";
import { effectsOf } from "./machine/effects.ts";
import type { Effect } from "./machine/effects.ts";
import type { Claim, Event, Observation } from "./machine/events.ts";
import type { Migration, Parties, Policy } from "./machine/life.ts";
import { moveObserved } from "./machine/moving.ts";
import { IGNORED, moved } from "./machine/outcome.ts";
import type { Outcome } from "./machine/outcome.ts";

export type Step =
  /** To be stored where the row is still the one given, and then done. */
  | {
      readonly kind: "moved";
      readonly migration: Migration;
      readonly effects: readonly Effect[];
    }
  /** A command that cannot be obeyed now; sentences. */
  | { readonly kind: "refused"; readonly because: readonly string[] }
  /** It changes nothing: late, or said before. */
  | { readonly kind: "ignored" };

export function plannedMigration(name: string, parties: Parties, policy: Policy): Migration {
  return { name, epoch: 0, ticket: 0, parties, policy, life: { state: "planned" } };
}

/** `nowMs`: milliseconds by the control database's clock. No promise about rows rests on it. */
export function step(migration: Migration, event: Event, nowMs: number): Step {
  const outcome = outcomeOf(migration, event, nowMs);
  if (outcome.kind !== "moved") return outcome;
  return { ...outcome, effects: effectsOf(outcome.migration) };
}

function outcomeOf(migration: Migration, event: Event, nowMs: number): Outcome {
  switch (event.kind) {
    case "claimed":
      return claimed(migration, event);
    case "start":
    case "pause":
    case "resume":
    case "resync":
    case "throttle":
    case "cutover":
    case "rollback":
    case "complete":
    case "cancel":
      return commanded(migration, event, nowMs);
    default:
      return observed(migration, event, nowMs);
  }
}

/** The state stays: its work is begun again by the new one. What is over is claimed by nobody. */
function claimed(migration: Migration, { epoch }: Claim): Outcome {
  const { state } = migration.life;
  if (epoch <= migration.epoch || state === "completed" || state === "cancelled") return IGNORED;
  return moved({ ...migration, epoch });
}

function observed(migration: Migration, event: Observation, nowMs: number): Outcome {
  switch (migration.life.state) {
    case "pausing":
    case "fenced":
    case "drained":
    case "retreating":
    case "switched":
      return cutoverObserved(migration, event, nowMs);
    default:
      return moveObserved(migration, event);
  }
}
