/**
 * `colonnade migrate waves`: the maps that lead from the one in force to the next one in steps of a bounded size.
 * They are files, to be read, kept and planned one after the other; nothing is stored.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { planMigrations } from "../../migration/plan/plan.ts";
import { sourceDatabases, targetDatabasesOf } from "../../migration/plan/planned-migration.ts";
import type { MigrationPlan, PlannedMigration } from "../../migration/plan/planned-migration.ts";
import { wavesOf } from "../../migration/plan/waves.ts";
import type { Wave } from "../../migration/plan/waves.ts";
import { loadParser } from "../../planner/parse.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import { withControl } from "../control-access.ts";
import type { ControlFlags } from "../control-access.ts";
import { CommandFailure, reasonOf } from "../failure.ts";
import { requireMap } from "../input-files.ts";
import { readLiveCatalog } from "../live-databases.ts";
import { printJson, printLines } from "../output.ts";
import { tableLines } from "../table-lines.ts";
import { mapInForce } from "./plan.ts";
import { waveMaps } from "./wave-maps.ts";

export interface WavesFlags extends ControlFlags {
  /** The map that the last of them is. */
  readonly to: string;
  /** Placements that rows leave in one step. */
  readonly size: number;
  /** A directory. */
  readonly out: string;
  readonly dryRun?: true;
}

interface Step {
  readonly path: string;
  readonly map: ShardMap;
  readonly migration: PlannedMigration;
  readonly placements: number;
}

/** Exit code 1 where something has to move that cannot, or where waves of another cut are there; nothing is written then. */
export async function wavesCommand(flags: WavesFlags): Promise<void> {
  const { to, size, out } = flags;
  if (size < 1) throw new CommandFailure("--size is at least 1");
  const next = requireMap(to);
  await loadParser();
  const steps = await withControl(flags, async (database) => {
    const before = await mapInForce(database);
    const catalog = await readLiveCatalog(before);
    requirePossible(planMigrations(before, next, catalog));
    const waves = wavesOf(before, next, size);
    const maps = waveMaps(before, next, waves);
    return maps.map((map, index): Step => {
      const plan = planMigrations(maps[index - 1] ?? before, map, catalog);
      const path = join(out, fileName(index, maps.length));
      return { path, map, migration: requirePossible(plan), placements: leaving(waves[index]) };
    });
  });
  attempt(out, () => {
    requireFree(out, steps);
    if (flags.dryRun !== true) write(out, steps);
  });
  if (flags.json === true) printJson({ maps: steps.map(report) });
  else printLines(lines(steps));
}

function requirePossible({ from, to, migration, refusals }: MigrationPlan): PlannedMigration {
  if (refusals.length > 0)
    throw new CommandFailure(
      [
        `from version ${from} to version ${to}, this cannot be moved:`,
        ...refusals.map(({ object, because }) => `  ${object}: ${because}`),
      ].join("\n"),
      1,
    );
  if (migration === undefined)
    throw new CommandFailure(`from version ${from} to version ${to}, no rows have to move`, 1);
  return migration;
}

function leaving(wave: Wave = []): number {
  return wave.reduce((count, { from }) => count + from.length, 0);
}

/** In the order in which they are planned, also where they are listed by name. */
function fileName(index: number, count: number): string {
  return `wave-${String(index + 1).padStart(String(count).length, "0")}.yaml`;
}

const WAVE_FILE = /^wave-\d+\.yaml$/;

/**
 * A file that is there already is one that somebody may have planned by: only the very same is left as it is. Waves
 * of another cut are in the way under any number, as whoever takes one file after the other would take them, too.
 */
function requireFree(directory: string, steps: readonly Step[]): void {
  const texts = new Map(steps.map(({ path, map }) => [path, map.text]));
  for (const name of namesIn(directory)) {
    const path = join(directory, name);
    if (WAVE_FILE.test(name) && readFileSync(path, "utf8") !== texts.get(path))
      throw new CommandFailure(
        `${path} is there already, with another map: name another directory`,
        1,
      );
  }
}

function namesIn(directory: string): readonly string[] {
  return existsSync(directory) ? readdirSync(directory).toSorted() : [];
}

function write(directory: string, steps: readonly Step[]): void {
  mkdirSync(directory, { recursive: true });
  for (const { path, map } of steps)
    if (!existsSync(path)) writeFileSync(path, map.text, { flag: "wx" });
}

function attempt(directory: string, work: () => void): void {
  try {
    work();
  } catch (cause) {
    if (cause instanceof CommandFailure) throw cause;
    throw new CommandFailure(`cannot write to ${directory}: ${reasonOf(cause)}`, 2, { cause });
  }
}

function report({ path, map, migration, placements }: Step): unknown {
  return {
    file: path,
    version: map.version,
    migration: migration.name,
    kind: migration.kind,
    placements,
    sources: sourceDatabases(migration),
    targets: targetDatabasesOf(migration),
  };
}

function lines(steps: readonly Step[]): readonly string[] {
  const rows = steps.map(({ path, map, migration, placements }) => [
    path,
    String(map.version),
    migration.name,
    String(placements),
    sourceDatabases(migration).join(", "),
    targetDatabasesOf(migration).join(", "),
  ]);
  return tableLines(["map", "version", "migration", "placements", "from", "to"], rows);
}
