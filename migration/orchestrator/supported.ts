/** What an orchestrator does not run: sentences, said before anything is made. */
import { decodePlan } from "../plan/plan-document.ts";
import type { StoredPlan } from "../plan/plan-document.ts";
import { claimedObjects } from "../plan/planned-migration.ts";

/** `plans`: of every migration of the control schema, also of those that are over. */
export function unsupported(plan: StoredPlan, plans: readonly unknown[]): readonly string[] {
  const found: string[] = [];
  if (plan.moves.length > 1)
    found.push(
      `its rows come from ${plan.moves.length} databases, and the way back would have to tell them apart: move them one database at a time`,
    );
  if (plan.kind === "reference")
    found.push(
      "reference tables are not copied by a migration: make them in the new database first",
    );
  const others = plans.map(decodePlan).filter((other) => isOtherPart(plan, other));
  if (others.length > 0)
    found.push(
      `the next shard map also needs ${others.map(({ name }) => name).join(", ")}, and it is put in force whole: plan maps that need one migration each, one after the other`,
    );
  return found;
}

/** Of the same difference of two maps, also where it was cancelled: its rows are not where the next map says. */
function isOtherPart(plan: StoredPlan, other: StoredPlan): boolean {
  const isSameMap = plan.mapFrom === other.mapFrom && plan.nextMap === other.nextMap;
  return isSameMap && claimedObjects(plan).join() !== claimedObjects(other).join();
}
