/** What the commands of `colonnade migrate` share: the stored rows with their plans, and a step made and stored. */
import type { ControlDatabase } from "../../control/control-database.ts";
import { controlNowMs, listMigrations, readMigration } from "../../control/migration-store.ts";
import type { StoredMigration } from "../../control/migration-store.ts";
import { step } from "../../migration/machine.ts";
import type { Command } from "../../migration/machine/events.ts";
import type { Migration } from "../../migration/machine/life.ts";
import { decodePlan } from "../../migration/plan/plan-document.ts";
import type { StoredPlan } from "../../migration/plan/plan-document.ts";
import { storeStep } from "../../migration/orchestrator/transition.ts";
import { CommandFailure } from "../failure.ts";

export interface KnownMigration {
  readonly stored: StoredMigration<Migration>;
  readonly plan: StoredPlan;
}

export async function knownMigrations(
  database: ControlDatabase,
  names: readonly string[] = [],
): Promise<readonly KnownMigration[]> {
  if (names.length > 0)
    return await Promise.all(names.map((name) => knownMigration(database, name)));
  const stored = await listMigrations<Migration>(database);
  return stored.map((each) => ({ stored: each, plan: decodePlan(each.plan) }));
}

export async function knownMigration(
  database: ControlDatabase,
  name: string,
): Promise<KnownMigration> {
  const stored = await readMigration<Migration>(database, name);
  return { stored, plan: decodePlan(stored.plan) };
}

/** `changed`: false where it was so already. Exit code 1 where it is refused, 2 where somebody else acted meanwhile. */
export async function obey(
  database: ControlDatabase,
  { stored, plan }: KnownMigration,
  command: Command,
  mode: { readonly isDry: boolean },
): Promise<{ readonly migration: Migration; readonly changed: boolean }> {
  const before = stored.document;
  const result = step(before, command, await controlNowMs(database));
  if (result.kind === "refused")
    throw new CommandFailure(
      [
        `${before.name} is not to ${command.kind}:`,
        ...result.because.map((because) => `  ${because}`),
      ].join("\n"),
      1,
    );
  if (result.kind === "ignored") return { migration: before, changed: false };
  const { migration } = result;
  if (mode.isDry) return { migration, changed: true };
  const place = { row: stored, plan };
  const outcome = await storeStep(database, place, migration, { what: command.kind });
  if (outcome.kind !== "stored")
    throw new CommandFailure(
      `${before.name} has been changed by somebody else meanwhile: look, and try again`,
    );
  return { migration, changed: true };
}
