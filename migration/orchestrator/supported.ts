/** Plans of older versions, which an orchestrator does not run: sentences, said before anything is made. */
import { placementId, placementsOf } from "../move.ts";
import { decodePlan } from "../plan/plan-document.ts";
import type { StoredPlan } from "../plan/plan-document.ts";
import { claimedObjects } from "../plan/planned-migration.ts";

/** `plans`: of every migration of the control schema, also of those that are over. */
export function unsupported(plan: StoredPlan, plans: readonly unknown[]): readonly string[] {
  const found: string[] = [];
  for (const table of sharedWithoutHomes(plan))
    found.push(
      `rows of several tables come to ${table}, and its plan, of an older version, does not tell them apart: cancel it, and plan it again`,
    );
  const others = plans.map(decodePlan).filter((other) => isOtherPart(plan, other));
  if (others.length > 0)
    found.push(
      `the next shard map also needs ${others.map(({ name }) => name).join(", ")}, and it is put in force whole: cancel them, and plan the map again`,
    );
  return found;
}

function sharedWithoutHomes({ moves }: StoredPlan): readonly string[] {
  const tables = moves.flatMap((move) =>
    move.tables
      .filter(({ home }) => home === undefined)
      .flatMap(({ name, destination }) =>
        placementsOf(destination).map((placement) => `${placementId(placement)}.${name}`),
      ),
  );
  return [...new Set(tables.filter((table, index) => tables.indexOf(table) !== index))];
}

/** Of the same difference of two maps, also where it was cancelled: its rows are not where the next map says. */
function isOtherPart(plan: StoredPlan, other: StoredPlan): boolean {
  const isSameMap = plan.mapFrom === other.mapFrom && plan.nextMap === other.nextMap;
  return isSameMap && claimedObjects(plan).join() !== claimedObjects(other).join();
}
