/**
 * The last look at the rows of both sides, while the giving one is fenced and the taking one has
 * all of it: what got lost since the last verification is seen here. Clients wait meanwhile, so it
 * is bounded: rows of small tables are all compared, of larger ones they are counted, and of the
 * largest some are compared, chosen anew each time.
 */
import type { DatabaseName } from "../../base/ids.ts";
import {
  FENCED_COMPARE_BYTES_MAX,
  FENCED_COUNT_BYTES_MAX,
  FENCED_SAMPLE_ROWS,
} from "../../base/limits.ts";
import { quoteLiteral, quoteQualified } from "../../base/sql-quoting.ts";
import type { BackendConnection } from "../../proxy/backend/backend-connection.ts";
import { targetName } from "../apply-statements.ts";
import type { Direction } from "../machine/life.ts";
import { isCopied, tableName, targetDatabases } from "../move.ts";
import type { Move, MovedTable } from "../move.ts";
import { describeMove } from "../source-tables.ts";
import { TargetTables } from "../target-change.ts";
import type { TargetTable } from "../target-change.ts";
import { printDifference, verifyMove } from "../verify.ts";
import { arrivedRows, movedRows, rowCount, rowsByKey, someRows } from "../verify-sql.ts";
import { databaseOf, Sessions } from "./scene.ts";
import type { Scene } from "./scene.ts";

/**
 * Sentences; empty where all is well. `direction`: once they have switched, copies are the proxies'
 * own. `described`: the plan's moves, where they are known as their tables are now.
 */
export async function compareFenced(
  scene: Place,
  direction: Direction,
  signal: AbortSignal,
  described?: readonly Move[],
  bounds: Bounds = BOUNDS,
): Promise<readonly string[]> {
  using sessions = new Sessions(scene, signal);
  const moves = described ?? (await describedMoves(scene, sessions));
  const sized: SizedTable[] = [];
  for (const move of moves) {
    const tables = move.tables.filter((table) => direction === "forward" || !isCopied(table));
    if (tables.length === 0) continue;
    const bytes = await bytesOf(await sessions.to(move.source), tables);
    sized.push(...tables.map((table, index) => ({ move, table, bytes: bytes[index] ?? 0 })));
  }
  const { compared, counted, sampled } = divided(sized, bounds);
  const found = await Promise.all([
    ...moves.map((move) => differingRows(scene, move, { compared, together: moves }, signal)),
    missingRows(sessions, counted, sampled),
  ]);
  return found.flat();
}

async function describedMoves({ plan }: Place, sessions: Sessions): Promise<readonly Move[]> {
  const moves: Move[] = [];
  for (const planned of plan.moves)
    moves.push(await describeMove(await sessions.to(planned.source), planned));
  return moves;
}

type Place = Pick<Scene, "plan" | "databases"> & Partial<Pick<Scene, "kept">>;

/** Bytes of tables that are read whole. */
export interface Bounds {
  readonly compared: number;
  readonly counted: number;
}

const BOUNDS: Bounds = { compared: FENCED_COMPARE_BYTES_MAX, counted: FENCED_COUNT_BYTES_MAX };

interface SizedTable {
  readonly move: Move;
  readonly table: MovedTable;
  readonly bytes: number;
}

/** With what is stored apart of large values, and with all partitions. */
async function bytesOf(
  source: BackendConnection,
  tables: readonly MovedTable[],
): Promise<readonly number[]> {
  const queries = tables.map((table) => {
    const name = quoteLiteral(quoteQualified(table.schema, table.name));
    return `SELECT coalesce(sum(pg_table_size(relid)), pg_table_size(${name}::regclass)) FROM pg_partition_tree(${name})`;
  });
  const { rows } = await source.query(queries.join(";\n"));
  return rows.map(([bytes]) => Number(bytes));
}

/** The smallest first, as far as each bound goes. */
function divided(
  tables: readonly SizedTable[],
  bounds: Bounds,
): {
  readonly compared: ReadonlySet<MovedTable>;
  readonly counted: readonly SizedTable[];
  readonly sampled: readonly SizedTable[];
} {
  const compared = new Set<MovedTable>();
  const counted: SizedTable[] = [];
  const sampled: SizedTable[] = [];
  let bytes = 0;
  for (const each of tables.toSorted((one, other) => one.bytes - other.bytes)) {
    bytes += each.bytes;
    if (bytes <= bounds.compared) compared.add(each.table);
    else {
      if (bytes <= bounds.counted) counted.push(each);
      sampled.push(each);
    }
  }
  return { compared, counted, sampled };
}

async function differingRows(
  scene: Place,
  move: Move,
  {
    compared,
    together,
  }: { readonly compared: ReadonlySet<MovedTable>; readonly together: readonly Move[] },
  signal: AbortSignal,
): Promise<readonly string[]> {
  const tables = move.tables.filter((table) => compared.has(table));
  if (tables.length === 0) return [];
  const part = { ...move, tables };
  // Both sides are read at once, also where they are in one database.
  using giving = new Sessions(scene, signal);
  using taking = new Sessions(scene, signal);
  const names = targetDatabases(part);
  const [source, ...targets] = await Promise.all([
    giving.to(move.source),
    ...names.map(async (name) => [name, await taking.to(name)] as const),
  ]);
  const { differences } = await verifyMove(
    {
      move: part,
      together,
      source: databaseOf(scene, move.source),
      targets: names.map((name) => databaseOf(scene, name)),
      lent: { source, targets: new Map(targets) },
      markers: undefined,
      level: "exact",
      isQuiet: true,
    },
    signal,
  );
  return differences.map(printDifference);
}

async function missingRows(
  sessions: Sessions,
  counted: readonly SizedTable[],
  sampled: readonly SizedTable[],
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const { move, table } of counted)
    for (const targets of sidesOf(move, table))
      found.push(...(await differingCount(sessions, move, table, targets)));
  for (const { move, table, bytes } of sampled)
    for (const targets of sidesOf(move, table))
      found.push(...(await differingSample(sessions, move, { table, bytes }, targets)));
  return found;
}

/** Tables that together have the source's rows: each copy by itself. */
function sidesOf(move: Move, table: MovedTable): readonly (readonly TargetTable[])[] {
  const targets = new TargetTables(move).of(table);
  return isCopied(table) ? targets.map((target) => [target]) : [targets];
}

async function differingCount(
  sessions: Sessions,
  move: Move,
  table: MovedTable,
  targets: readonly TargetTable[],
): Promise<readonly string[]> {
  const due = await countIn(sessions, move.source, [rowCount(sourceName(table), movedRows(table))]);
  const there = await Promise.all(
    [...Map.groupBy(targets, ({ database }) => database)].map(async ([database, own]) =>
      countIn(
        sessions,
        database,
        own.map((target) => rowCount(targetName(target), arrivedRows(table))),
      ),
    ),
  );
  const arrived = there.reduce((sum, count) => sum + count, 0n);
  if (due === arrived) return [];
  return [`${tableName(table)} has ${due} rows to move, and ${arrived} are in the targets`];
}

async function countIn(
  sessions: Sessions,
  database: DatabaseName,
  counts: readonly string[],
): Promise<bigint> {
  const all = counts.map((sql) => `(${sql})`).join(" + ");
  const { rows } = await (await sessions.to(database)).query(`SELECT ${all}`);
  return BigInt(rows[0]?.[0] ?? -1);
}

const PAGE_BYTES = 8_192;
/** Where each page has a row of the move, and some are empty. */
const SAMPLE_PAGES = 2 * FENCED_SAMPLE_ROWS;

async function differingSample(
  sessions: Sessions,
  move: Move,
  { table, bytes }: { readonly table: MovedTable; readonly bytes: number },
  targets: readonly TargetTable[],
): Promise<readonly string[]> {
  const percent = Math.min(100, (100 * SAMPLE_PAGES * PAGE_BYTES) / bytes);
  const size = { percent, limit: FENCED_SAMPLE_ROWS };
  const source = await sessions.to(move.source);
  const { rows } = await source.query(someRows(table, sourceName(table), movedRows(table), size));
  if (rows.length === 0) return [];
  const keys = rows.map(([, , ...key]) => key.map((value) => value ?? ""));
  const found = new Map<string, string[]>();
  for (const target of targets) {
    const connection = await sessions.to(target.database);
    const there = await connection.query(rowsByKey(table, targetName(target), keys));
    for (const [key, hash] of there.rows)
      found.set(key ?? "", [...(found.get(key ?? "") ?? []), hash ?? ""]);
  }
  return rows.flatMap(([key, hash]) => {
    const there = found.get(key ?? "") ?? [];
    if (there.length === 1 && there[0] === hash) return [];
    return [
      `row ${key ?? ""} of ${tableName(table)} is ${there.length === 0 ? "missing" : "different"}`,
    ];
  });
}

function sourceName({ schema, name }: MovedTable): string {
  return quoteQualified(schema, name);
}
