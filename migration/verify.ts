/**
 * Compares every row of the source with those of the targets while both change.
 *
 * Aligned: a snapshot of the source is taken, then a marker is put into its log. When a target's
 * applier is at the marker, the target has all that the snapshot sees, and is looked at there.
 * What it has beyond that (transactions of these few milliseconds) can make a row differ that is
 * as it should be: so a difference counts when it was seen several times, each time between other
 * snapshots (verify-sightings.ts), and once where `isQuiet` says that nobody writes any more: then tables
 * are compared as a whole first, and rows only of those that differ.
 *
 * It reads, and changes nothing: neither rows nor what the migration does.
 */
import type { DatabaseName } from "../base/ids.ts";
import {
  VERIFY_BUCKETS_READ_MAX,
  VERIFY_DIFFERENCES_MAX,
  VERIFY_SIGHTINGS_MAX,
} from "../base/limits.ts";
import { quoteQualified } from "../base/sql-quoting.ts";
import type { BackendConnection } from "../proxy/backend/backend-connection.ts";
import { targetName } from "./apply-statements.ts";
import { placementId, tableName, type Move, type MovedTable } from "./move.ts";
import { type TargetTable, TargetTables } from "./target-change.ts";
import {
  arrivedRows,
  groupSums,
  keyTexts,
  misplacedRows,
  movedRows,
  rowHashes,
  type VerifyLevel,
} from "./verify-sql.ts";
import { VerifySessions, type VerifySides } from "./verify-sessions.ts";
import { isSettled, seenAgain, withoutBusy } from "./verify-sightings.ts";
import type { Sighted } from "./verify-sightings.ts";
import { compareTotals, tablesAlike } from "./verify-totals.ts";

export interface VerifyOptions extends VerifySides {
  readonly move: Move;
  /** All moves whose rows come to the same tables, this one among them; only this one unless given. */
  readonly together?: readonly Move[];
  readonly level: VerifyLevel;
  /** The source is fenced and the targets have all of it: a difference seen once is one. */
  readonly isQuiet: boolean;
}

export interface VerifyReport {
  readonly level: VerifyLevel;
  /** Rows of the source that were compared. */
  readonly rowCount: number;
  /** Rows that differed at first, and did no longer when they were looked at again. */
  readonly clearedCount: number;
  /** Rows that are written all the time, and could not be judged. */
  readonly busyCount: number;
  readonly differences: readonly Difference[];
  /** More rows differ than are named. */
  readonly isCut: boolean;
}

export interface Difference {
  readonly table: MovedTable;
  readonly kind: "missing" | "extra" | "different" | "misplaced";
  /** As PostgreSQL prints a row of the key's texts: `(7,abc)`. */
  readonly key: string;
  /** Where it was looked for; undefined where the row might have been in any of several. */
  readonly placement: string | undefined;
}

/** A sentence. */
export function printDifference({ table, kind, key, placement }: Difference): string {
  return `row ${key} of ${tableName(table)} is ${kind}${placement === undefined ? "" : ` in ${placement}`}`;
}

export async function verifyMove(
  options: VerifyOptions,
  signal: AbortSignal,
): Promise<VerifyReport> {
  using sessions = await VerifySessions.open(options, signal);
  if (!options.isQuiet) return await verifyRows(sessions, options, signal);
  const { level, move, together = [move] } = options;
  const { rowCount, differing } = await compareTotals(sessions, move, { together, level });
  if (differing.length === 0)
    return { level, rowCount, clearedCount: 0, busyCount: 0, differences: [], isCut: false };
  const some = { ...options, move: { ...move, tables: differing }, together };
  return { ...(await verifyRows(sessions, some, signal)), rowCount };
}

async function verifyRows(
  sessions: VerifySessions,
  options: VerifyOptions,
  signal: AbortSignal,
): Promise<VerifyReport> {
  let rowCount = 0;
  const suspects: Suspects[] = [];
  await sessions.aligned(signal, async () => {
    for (const table of options.move.tables)
      for (const [index, side] of sidesOf(options.move, table).entries()) {
        const seen = await compareSums(sessions, options, side);
        if (index === 0) rowCount += seen.rowCount;
        const found = await readDiffering(sessions, options, side, seen.buckets);
        suspects.push({ side, found, isCut: seen.buckets.length > VERIFY_BUCKETS_READ_MAX });
      }
  });
  const first = countOf(suspects);
  const sightings = options.isQuiet ? 1 : VERIFY_SIGHTINGS_MAX;
  const isDoubted = (): boolean =>
    suspects.some(({ found }) =>
      [...found.values()].some(({ sightings: seen }) => !isSettled(seen)),
    );
  for (let sighting = 1; sighting < sightings && isDoubted(); sighting += 1)
    await sessions.aligned(signal, async () => {
      for (const suspect of suspects) {
        const buckets = [...new Set([...suspect.found.values()].map(({ bucket }) => bucket))];
        const again = await readDiffering(sessions, options, suspect.side, buckets);
        seenAgain(suspect.found, again);
      }
    });
  // Under the fence one look is enough.
  const busyCount = options.isQuiet
    ? 0
    : suspects.reduce((sum, { found }) => sum + withoutBusy(found), 0);
  const misplaced = await findMisplaced(sessions, options);
  const differences = [...misplaced, ...suspects.flatMap(differencesOf)];
  return {
    level: options.level,
    rowCount,
    clearedCount: first - countOf(suspects) - busyCount,
    busyCount,
    differences: differences.slice(0, VERIFY_DIFFERENCES_MAX),
    isCut: differences.length > VERIFY_DIFFERENCES_MAX || suspects.some(({ isCut }) => isCut),
  };
}

/** A table of the source and the tables of the targets that together have its rows. */
export interface Side {
  readonly table: MovedTable;
  readonly targets: readonly TargetTable[];
}

interface Suspect extends Sighted {
  readonly bucket: string;
  readonly kind: "missing" | "extra" | "different";
}

interface Suspects {
  readonly side: Side;
  /** By key. */
  readonly found: Map<string, Suspect>;
  readonly isCut: boolean;
}

export function sidesOf(move: Move, table: MovedTable): readonly Side[] {
  const targets = new TargetTables(move).of(table);
  // Each has all rows, so each is compared by itself.
  if (table.destination.kind === "everywhere")
    return targets.map((target) => ({ table, targets: [target] }));
  return [{ table, targets }];
}

function countOf(suspects: readonly Suspects[]): number {
  return suspects.reduce((sum, { found }) => sum + found.size, 0);
}

function differencesOf({ side, found }: Suspects): readonly Difference[] {
  const [only, another] = side.targets;
  const placement = only !== undefined && another === undefined ? placementId(only) : undefined;
  return [...found].map(([key, { kind }]) => ({ table: side.table, kind, key, placement }));
}

interface Sums {
  readonly count: bigint;
  readonly hash: bigint;
}

async function compareSums(
  sessions: VerifySessions,
  { level }: VerifyOptions,
  { table, targets }: Side,
): Promise<{ readonly rowCount: number; readonly buckets: readonly string[] }> {
  const [where, arrived] = [movedRows(table), arrivedRows(table)];
  const [wanted, ...found] = await Promise.all([
    readSums(sessions.source, groupSums(table, level, sourceName(table), where)),
    ...byDatabase(targets).map(async ([database, tables]) => {
      const sums = new Map<string, Sums>();
      for (const target of tables)
        addSums(
          sums,
          await readSums(
            sessions.target(database),
            groupSums(table, level, targetName(target), arrived),
          ),
        );
      return sums;
    }),
  ]);
  const union = new Map<string, Sums>();
  for (const sums of found) addSums(union, sums);
  const buckets = new Set<string>([...wanted.keys(), ...union.keys()]);
  const differing = [...buckets].filter(
    (bucket) => printSums(wanted.get(bucket)) !== printSums(union.get(bucket)),
  );
  let rowCount = 0;
  for (const { count } of wanted.values()) rowCount += Number(count);
  return { rowCount, buckets: differing };
}

async function readSums(connection: BackendConnection, sql: string): Promise<Map<string, Sums>> {
  const { rows } = await connection.query(sql);
  return new Map(
    rows.map(([bucket, count, hash]) => [
      bucket ?? "",
      { count: BigInt(count ?? 0), hash: BigInt(hash ?? 0) },
    ]),
  );
}

function addSums(into: Map<string, Sums>, sums: ReadonlyMap<string, Sums>): void {
  for (const [bucket, { count, hash }] of sums) {
    const before = into.get(bucket) ?? { count: 0n, hash: 0n };
    into.set(bucket, { count: before.count + count, hash: before.hash + hash });
  }
}

function printSums(sums: Sums | undefined): string {
  return sums === undefined ? "" : `${sums.count} ${sums.hash}`;
}

/** Row by row, those of the groups that are not alike on both sides. */
async function readDiffering(
  sessions: VerifySessions,
  { level }: VerifyOptions,
  { table, targets }: Side,
  buckets: readonly string[],
): Promise<Map<string, Suspect>> {
  const found = new Map<string, Suspect>();
  if (buckets.length === 0) return found;
  const [where, arrived] = [movedRows(table), arrivedRows(table)];
  const some = buckets.slice(0, VERIFY_BUCKETS_READ_MAX);
  const wanted = new Map<string, { readonly bucket: string; readonly hash: string }>();
  const source = rowHashes(table, level, sourceName(table), where, some);
  for (const [key, bucket, hash] of (await sessions.source.query(source)).rows)
    wanted.set(key ?? "", { bucket: bucket ?? "", hash: hash ?? "" });
  for (const target of targets) {
    const sql = rowHashes(table, level, targetName(target), arrived, some);
    for (const [name, group, hash] of (await sessions.target(target.database).query(sql)).rows) {
      const key = name ?? "";
      const row = wanted.get(key);
      const bucket = group ?? "";
      const seen = { bucket, values: `${row?.hash ?? ""} ${hash ?? ""}`, sightings: 1 };
      // A key that was found before is there twice.
      if (row === undefined) found.set(key, { ...seen, kind: "extra" });
      else if (row.hash !== hash) found.set(key, { ...seen, kind: "different" });
      wanted.delete(key);
    }
  }
  for (const [key, { bucket, hash }] of wanted)
    found.set(key, { bucket, values: hash, sightings: 1, kind: "missing" });
  return found;
}

async function findMisplaced(
  sessions: VerifySessions,
  options: VerifyOptions,
): Promise<readonly Difference[]> {
  const tables = new TargetTables(options.move);
  const all = options.move.tables.flatMap((table) => tables.of(table));
  const found = await Promise.all(
    byDatabase(all).map(async ([database, targets]) => {
      const own: Difference[] = [];
      for (const target of targets)
        own.push(...(await misplacedIn(sessions.target(database), options, target)));
      return own;
    }),
  );
  return found.flat();
}

async function misplacedIn(
  connection: BackendConnection,
  { move, together = [move] }: VerifyOptions,
  target: TargetTable,
): Promise<readonly Difference[]> {
  const table = target.source;
  const where = misplacedRows(table, target, tablesAlike(together, table));
  if (where === undefined) return [];
  const { rows } = await connection.query(
    `SELECT ROW(${keyTexts(table)})::text FROM ${targetName(target)} WHERE ${where} LIMIT ${VERIFY_DIFFERENCES_MAX}`,
  );
  const placement = placementId(target);
  return rows.map(([key]) => ({ table, kind: "misplaced", key: key ?? "", placement }));
}

function sourceName({ schema, name }: MovedTable): string {
  return quoteQualified(schema, name);
}

function byDatabase(
  targets: readonly TargetTable[],
): readonly (readonly [DatabaseName, readonly TargetTable[]])[] {
  const grouped = Map.groupBy(targets, ({ database }) => database);
  return [...grouped];
}
