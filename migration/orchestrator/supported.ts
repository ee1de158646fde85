/** What an orchestrator does not run: sentences, said before anything is made. */
import type { MigrationRow } from "./transition.ts";
import { decodePlan } from "../plan/plan-document.ts";
import type { StoredPlan } from "../plan/plan-document.ts";

/** `all`: every migration of the control schema. */
export function unsupported(plan: StoredPlan, all: readonly MigrationRow[]): readonly string[] {
  const found: string[] = [];
  if (plan.moves.length > 1)
    found.push(
      `its rows come from ${plan.moves.length} databases, and the way back would have to tell them apart: move them one database at a time`,
    );
  if (plan.kind === "reference")
    found.push(
      "reference tables are not copied by a migration yet: make them in the new database first",
    );
  const others = all
    .filter(({ document }) => document.name !== plan.name && document.life.state !== "cancelled")
    .filter((row) => {
      const { mapFrom, mapTo } = decodePlan(row.plan);
      return mapFrom === plan.mapFrom && mapTo === plan.mapTo;
    });
  if (others.length > 0)
    found.push(
      `the next shard map also needs ${others.map(({ document }) => document.name).join(", ")}, and it is put in force whole: plan maps that need one migration each, one after the other`,
    );
  return found;
}
