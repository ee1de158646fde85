/** `colonnade migrate verify`: every row of both sides compared, while both change. It changes nothing. */
import type { ControlDatabase } from "../../control/control-database.ts";
import { ownerOf } from "../../migration/machine/life.ts";
import type { Direction, State } from "../../migration/machine/life.ts";
import { compareFromOutside } from "../../migration/orchestrator/compare.ts";
import type { Comparison } from "../../migration/orchestrator/compare.ts";
import { databaseOf } from "../../migration/orchestrator/scene.ts";
import { targetDatabasesOf } from "../../migration/plan/planned-migration.ts";
import { INJECTED_FAULTS, selfTest } from "../../migration/verify-self-test.ts";
import { databasesOf } from "../../migration/orchestrator/run-migration.ts";
import { backendAddresses } from "../../proxy/topology/backend-addresses.ts";
import { withControl } from "../control-access.ts";
import type { ControlFlags } from "../control-access.ts";
import { CommandFailure } from "../failure.ts";
import { printJson, printLines } from "../output.ts";
import { Interruption } from "./run.ts";
import { knownMigration } from "./stored-migrations.ts";
import type { KnownMigration } from "./stored-migrations.ts";

export interface VerifyFlags extends ControlFlags {
  /** Values as their types compare them; else their texts. */
  readonly fast?: true;
  /** Put known faults into a copy, and see that they are found. */
  readonly inject?: true;
  /** Only say what would be compared, or why it cannot be. */
  readonly dryRun?: true;
}

/** States in which both sides have all rows, and a stream keeps them alike. */
const COMPARABLE: ReadonlySet<State> = new Set([
  "catchingUpAgain",
  "verifying",
  "ready",
  "reversible",
]);

/** Exit code 1 where rows differ, or where there is nothing to compare yet. */
export async function verifyCommand(name: string, flags: VerifyFlags): Promise<void> {
  if (flags.inject === true) return await injectFaults(name, flags);
  using interruption = new Interruption();
  const level = flags.fast === true ? "fast" : "exact";
  const comparison = await withControl(flags, async (database) => {
    const known = await knownMigration(database, name);
    if (flags.dryRun === true) return requireComparable(known);
    return await compared(database, known, level, interruption.signal);
  });
  if (comparison === undefined)
    return flags.json === true
      ? printJson({ name, level })
      : printLines([`${name}: every row of both sides would be compared (${level})`]);
  const { rowCount, differences, isCut, busyCount } = comparison;
  if (flags.json === true) printJson({ name, level, rowCount, differences, isCut, busyCount });
  else
    printLines([
      `${name}: ${rowCount} rows compared (${level}), ${differences.length === 0 ? "no" : `${isCut ? "more than " : ""}${differences.length}`} differences`,
      ...(busyCount === 0
        ? []
        : [`  ${busyCount} rows are written all the time: the pause of a switch compares them`]),
      ...differences.map((difference) => `  ${difference}`),
    ]);
  if (differences.length > 0) throw new CommandFailure(`${name}: rows differ`, 1);
}

/**
 * In each of the targets, in schemas that are made for it and dropped again: no row of anybody's is
 * touched. Exit code 1 where a fault is not found.
 */
async function injectFaults(name: string, flags: VerifyFlags): Promise<void> {
  using interruption = new Interruption();
  const results = await withControl(flags, async (database) => {
    const { plan } = await knownMigration(database, name);
    const { databases } = await databasesOf(backendAddresses, database, plan);
    const found: SelfTested[] = [];
    for (const target of targetDatabasesOf(plan)) {
      if (flags.dryRun === true) {
        found.push({ database: target });
        continue;
      }
      const { missed } = await selfTest(databaseOf({ databases }, target), interruption.signal);
      found.push({ database: target, missed });
    }
    return found;
  });
  if (flags.json === true) printJson({ name, faults: INJECTED_FAULTS, results });
  else
    printLines(
      results.map(({ database, missed }) => {
        if (missed === undefined)
          return `${database}: ${INJECTED_FAULTS.join(", ")} would be put into a copy, looked for, and taken away`;
        if (missed.length === 0)
          return `${database}: found ${INJECTED_FAULTS.join(", ")}; all of it is taken away again`;
        return `${database}: verification does not see ${missed.join(", ")}`;
      }),
    );
  if (results.some(({ missed = [] }) => missed.length > 0))
    throw new CommandFailure(`${name}: verification is not to be trusted`, 1);
}

interface SelfTested {
  readonly database: string;
  /** Faults that were not found; undefined where none was put there. */
  readonly missed?: readonly string[];
}

/** Exit code 1 where one side does not follow the other. */
function requireComparable({ stored, plan }: KnownMigration): void {
  const { life } = stored.document;
  const isComparable =
    COMPARABLE.has(life.state) && !(life.state === "reversible" && life.reverse === "lost");
  if (!isComparable)
    throw new CommandFailure(
      `${plan.name} is ${life.state}: both sides have the same rows only while one follows the other`,
      1,
    );
}

/** From who owns the rows to who follows. */
export async function compared(
  database: ControlDatabase,
  known: KnownMigration,
  level: "fast" | "exact",
  signal: AbortSignal,
): Promise<Comparison> {
  requireComparable(known);
  const { stored, plan } = known;
  const direction: Direction = ownerOf(stored.document) === "sources" ? "forward" : "back";
  const { databases } = await databasesOf(backendAddresses, database, plan);
  return await compareFromOutside({ plan, databases }, direction, level, signal);
}
