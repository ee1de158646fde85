/** A step of the state machine, stored with all that goes with it: claims of tables, and the next map at the switch. */
import type { ControlDatabase } from "../../control/control-database.ts";
import { storeMigration } from "../../control/migration-store.ts";
import type { Change, Stored, StoredMigration } from "../../control/migration-store.ts";
import { claimsItsObjects, storableUntilMs } from "../machine/life.ts";
import type { Migration } from "../machine/life.ts";
import { claimedObjects } from "../plan/planned-migration.ts";
import type { PlannedMigration } from "../plan/planned-migration.ts";

export type MigrationRow = StoredMigration<Migration>;

export async function storeStep(
  database: ControlDatabase,
  { row, plan }: { readonly row: MigrationRow; readonly plan: Pick<PlannedMigration, "moves"> },
  after: Migration,
  more: Pick<Change<Migration>, "what" | "publish" | "within">,
): Promise<Stored<Migration>> {
  const before = row.document;
  return await storeMigration(database, row, {
    ...more,
    document: after,
    notAfterMs: storableUntilMs(before, after),
    claims: claimsAfter(before, after, plan),
  });
}

function claimsAfter(
  before: Migration,
  after: Migration,
  plan: Pick<PlannedMigration, "moves">,
): Change<Migration>["claims"] {
  if (claimsItsObjects(before) === claimsItsObjects(after)) return "keep";
  return claimsItsObjects(after) ? { objects: claimedObjects(plan) } : "release";
}
