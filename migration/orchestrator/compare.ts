/** The gate: rows of both sides compared, after verification has shown that it sees what it should. */
import { isCopied, placementId, placementsOf, targetDatabases } from "../move.ts";
import type { Move, PlannedMove, PlannedTable } from "../move.ts";
import { structureDifferences } from "../structure.ts";
import type { DatabaseName } from "../../base/ids.ts";
import { VERIFY_SAMPLE_TABLES } from "../../base/limits.ts";
import { alignByProgress } from "../align-by-progress.ts";
import { reverseMoves } from "../reverse-move.ts";
import { describeMove } from "../source-tables.ts";
import { selfTest } from "../verify-self-test.ts";
import { verifySample } from "../verify-sample.ts";
import { printDifference, verifyMove } from "../verify.ts";
import type { VerifyOptions } from "../verify.ts";
import type { Align } from "../verify-sessions.ts";
import type { VerifyLevel } from "../verify-sql.ts";
import type { Direction } from "../machine/life.ts";
import { databaseOf, Sessions } from "./scene.ts";
import type { Scene } from "./scene.ts";

export interface Comparison {
  readonly rowCount: number;
  /** Sentences; empty where all is well. */
  readonly differences: readonly string[];
  /** There are more than are told. */
  readonly isCut: boolean;
  /** Rows that are written all the time, and could not be judged. */
  readonly busyCount: number;
}

/** `moves`: from the sources to the targets, whoever owns the rows; rows are told apart by their placements. */
export async function compareMoves(
  scene: Pick<Scene, "databases">,
  moves: readonly (Pick<VerifyOptions, "markers" | "align"> & { readonly move: Move })[],
  level: VerifyLevel,
  signal: AbortSignal,
): Promise<Comparison> {
  const [first] = moves.flatMap(({ move }) => targetDatabases(move));
  if (first === undefined) return { rowCount: 0, differences: [], isCut: false, busyCount: 0 };
  const { isSound, missed } = await selfTest(databaseOf(scene, first), signal);
  if (!isSound)
    return {
      rowCount: 0,
      differences: [`verification does not see ${missed.join(", ")}`],
      isCut: false,
      busyCount: 0,
    };
  const differences: string[] = [];
  const together = moves.map(({ move }) => move);
  let rowCount = 0;
  let isCut = false;
  let busyCount = 0;
  for (const { move, markers, align } of moves) {
    const source = databaseOf(scene, move.source);
    const targets = targetDatabases(move).map((name) => databaseOf(scene, name));
    const report = await verifyMove(
      { move, together, source, targets, markers, align, level, isQuiet: false },
      signal,
    );
    rowCount += report.rowCount;
    isCut ||= report.isCut;
    busyCount += report.busyCount;
    differences.push(...report.differences.map(printDifference));
  }
  return { rowCount, differences, isCut, busyCount };
}

/** Of tables, not of their rows: between each source and its targets. */
export async function compareStructures(
  scene: Pick<Scene, "databases"> & Partial<Pick<Scene, "kept">>,
  moves: readonly PlannedMove[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  using sessions = new Sessions(scene, signal);
  const places = moves.flatMap(({ tables }) =>
    tables.flatMap(({ name, destination }) =>
      placementsOf(destination).map((placement) => `${placementId(placement)}.${name}`),
    ),
  );
  const mayHaveMore = new Set(places).size < places.length;
  const differences: string[] = [];
  for (const move of moves)
    for (const name of targetDatabases(move)) {
      const [source, target] = [await sessions.to(move.source), await sessions.to(name)];
      differences.push(...(await structureDifferences(source, target, move, { mayHaveMore })));
    }
  return differences;
}

/** By a process that does not apply the streams itself; `direction` is that of those which run. */
export async function compareFromOutside(
  scene: Pick<Scene, "plan" | "databases">,
  direction: Direction,
  level: VerifyLevel,
  signal: AbortSignal,
): Promise<Comparison> {
  using sessions = new Sessions(scene, signal);
  const streamed = await streamedMoves(scene.plan.moves, direction, sessions);
  const comparison = await compareMoves(scene, streamed, level, signal);
  // After the switch the sources' tables are what they were, whatever has been made of the targets' since.
  const structures =
    direction === "forward" ? await compareStructures(scene, scene.plan.moves, signal) : [];
  return { ...comparison, differences: [...structures, ...comparison.differences] };
}

/** Some rows of some tables, other ones each `round`. Sentences. */
export async function compareSamples(
  scene: Pick<Scene, "plan" | "databases">,
  direction: Direction,
  round: number,
  signal: AbortSignal,
): Promise<readonly string[]> {
  using sessions = new Sessions(scene, signal);
  const found: string[] = [];
  const some = (tables: readonly PlannedTable[]): readonly PlannedTable[] => {
    const start = (round * VERIFY_SAMPLE_TABLES) % tables.length;
    return [...tables.slice(start), ...tables.slice(0, start)].slice(0, VERIFY_SAMPLE_TABLES);
  };
  const streamed = await streamedMoves(scene.plan.moves, direction, sessions, some);
  for (const { move, align, takers } of streamed) {
    const source = databaseOf(scene, move.source);
    const targets = takers.map((name) => databaseOf(scene, name));
    const options = { move, source, targets, markers: undefined, align };
    const differences = await verifySample(options, signal);
    found.push(...differences.map(printDifference));
  }
  return found;
}

interface StreamedMove {
  readonly move: Move;
  /** All of them, as all are aligned, whichever tables are looked at. */
  readonly takers: readonly DatabaseName[];
  readonly markers: undefined;
  readonly align: Align;
}

/** As their tables are now, those that `some` leaves. Once they have switched, copies are written by the proxies, and by no stream. */
async function streamedMoves(
  moves: readonly PlannedMove[],
  direction: Direction,
  sessions: Sessions,
  some = (tables: readonly PlannedTable[]): readonly PlannedTable[] => tables,
): Promise<readonly StreamedMove[]> {
  const compared: StreamedMove[] = [];
  for (const all of moves) {
    const tables = all.tables.filter((table) => direction === "forward" || !isCopied(table));
    if (tables.length === 0) continue;
    const planned = { ...all, tables };
    const source = await sessions.to(planned.source);
    const move = await describeMove(source, { ...planned, tables: some(tables) });
    const streamed = direction === "forward" ? [planned] : reverseMoves(planned);
    const align = alignByProgress(streamed, direction, (database) => sessions.to(database));
    compared.push({ move, takers: targetDatabases(planned), markers: undefined, align });
  }
  return compared;
}
