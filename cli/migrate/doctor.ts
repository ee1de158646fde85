/**
 * `colonnade migrate doctor`: what migrations have left in databases, though none that is under
 * way needs it. A slot that nobody reads keeps WAL until the disk is full; a fence or a guard that
 * nobody takes away refuses what people ask for.
 */
import type { ControlDatabase } from "../../control/control-database.ts";
import { currentMap } from "../../control/map-versions.ts";
import { forgetObject, listObjects } from "../../control/migration-objects.ts";
import { movesOf } from "../../migration/orchestrator/scene.ts";
import { parseShardMap } from "../../shardmap/schema.ts";
import { withControl } from "../control-access.ts";
import type { ControlFlags } from "../control-access.ts";
import { CommandFailure } from "../failure.ts";
import { askDatabases } from "../live-databases.ts";
import { printJson, printLines } from "../output.ts";
import { leftoversIn } from "./leftovers.ts";
import type { Leftover, Needed } from "./leftovers.ts";
import { knownMigrations } from "./stored-migrations.ts";

export interface DoctorFlags extends ControlFlags {
  /** Take away what is found. */
  readonly clean?: true;
  /** Though `clean` is given, only tell. */
  readonly dryRun?: true;
}

/** Exit code 1 where something is left. */
export async function doctorCommand(flags: DoctorFlags): Promise<void> {
  const cleans = flags.clean === true && flags.dryRun !== true;
  const found = await withControl(flags, async (database) => {
    const left = await leftovers(database, cleans);
    await forgetRemoved(database, left);
    return left;
  });
  if (flags.json === true) printJson(found);
  else printLines(found.length === 0 ? ["nothing is left behind"] : found.map(line));
  const staying = found.filter(({ outcome }) => outcome.kind !== "removed");
  if (staying.length > 0)
    throw new CommandFailure(
      `${staying.length} objects are left behind${cleans ? "" : ": colonnade migrate doctor --clean takes them away"}`,
      1,
    );
}

async function leftovers(database: ControlDatabase, clean: boolean): Promise<readonly Leftover[]> {
  const current = await currentMap(database);
  if (current === undefined) return [];
  const result = parseShardMap(current.yaml, `version ${current.version}`);
  if (!("map" in result))
    throw new CommandFailure(`version ${current.version} of the shard map cannot be read`);
  const alive = (await knownMigrations(database)).filter(
    ({ stored }) => !["completed", "cancelled"].includes(stored.document.life.state),
  );
  const needed: Needed = {
    migrations: new Set(alive.map(({ plan }) => plan.name)),
    moves: new Set(
      alive.flatMap(({ plan }) =>
        [...movesOf({ plan }, "forward"), ...movesOf({ plan }, "back")].map(({ name }) => name),
      ),
    ),
  };
  const names = [...result.map.databases.keys()];
  const found = await askDatabases(
    result.map,
    names,
    (name) => name,
    async (connection) => await leftoversIn(connection, needed, clean),
  );
  return found.flat();
}

/** What the control schema says of it goes with it. */
async function forgetRemoved(database: ControlDatabase, left: readonly Leftover[]): Promise<void> {
  const gone = left.filter(({ outcome }) => outcome.kind === "removed");
  for (const object of await listObjects(database))
    if (gone.some((each) => isSame(each, object))) await forgetObject(database, object);
}

function isSame(
  one: { readonly database: string; readonly kind: string; readonly name: string },
  other: { readonly database: string; readonly kind: string; readonly name: string },
): boolean {
  return one.database === other.database && one.kind === other.kind && one.name === other.name;
}

function line({ database, kind, name, outcome }: Leftover): string {
  const what = `${database}: ${kind} ${name}`;
  switch (outcome.kind) {
    case "found":
      return `${what} belongs to no migration that is under way`;
    case "removed":
      return `${what} is removed`;
    case "stays":
      return `${what} stays: ${outcome.because}`;
  }
}
