/**
 * Whole tables as one number each, while nobody writes: one message a server tells whether there is
 * anything to look for. The number is the sum of the rows' hashes, which verification adds up by
 * group otherwise, so it sees what the groups see. Which rows they are, verify.ts finds.
 */
import type { DatabaseName } from "../base/ids.ts";
import { quoteQualified } from "../base/sql-quoting.ts";
import type { BackendConnection } from "../proxy/backend/backend-connection.ts";
import { targetName } from "./apply-statements.ts";
import { isCopied } from "./move.ts";
import type { Move, MovedTable } from "./move.ts";
import { TargetTables } from "./target-change.ts";
import type { TargetTable } from "./target-change.ts";
import { arrivedRows, misplacedRows, movedRows, rowCount, sumOf } from "./verify-sql.ts";
import type { VerifyLevel } from "./verify-sql.ts";
import type { VerifySessions } from "./verify-sessions.ts";

export interface ComparedTotals {
  /** Of the source. */
  readonly rowCount: number;
  /** Some of its rows differ, or are in a wrong place. */
  readonly differing: readonly MovedTable[];
}

interface Totals {
  readonly count: bigint;
  readonly sum: bigint;
  readonly misplaced: bigint;
}

/** `together`: all moves whose rows come to the same tables. */
export async function compareTotals(
  sessions: VerifySessions,
  move: Move,
  { together, level }: { readonly together: readonly Move[]; readonly level: VerifyLevel },
): Promise<ComparedTotals> {
  const tables = new TargetTables(move);
  const placed = move.tables.flatMap((table) => tables.of(table));
  const [due, ...arrived] = await Promise.all([
    dueTotals(sessions.source, move.tables, level),
    ...[...Map.groupBy(placed, ({ database }) => database)].map(
      async ([database, own]: [DatabaseName, readonly TargetTable[]]) =>
        await arrivedTotals(sessions.target(database), own, together, level),
    ),
  ]);
  const there = new Map(arrived.flatMap((totals) => [...totals]));
  let count = 0;
  const differing = move.tables.filter((table) => {
    const wanted = due.get(table);
    count += Number(wanted?.count ?? 0n);
    const each = placed.filter(({ source }) => source === table).map((one) => there.get(one));
    const found = isCopied(table) ? each : [added(each)];
    return found.some((totals) => printTotals(totals) !== printTotals(wanted));
  });
  return { rowCount: count, differing };
}

async function dueTotals(
  source: BackendConnection,
  tables: readonly MovedTable[],
  level: VerifyLevel,
): Promise<ReadonlyMap<MovedTable, Totals>> {
  const queries = tables.map((table) =>
    sumOf(table, level, quoteQualified(table.schema, table.name), movedRows(table)),
  );
  const { rows } = await source.query(queries.join(";\n"));
  return new Map(
    tables.map((table, index) => {
      const [count, sum] = rows[index] ?? [];
      return [table, { count: BigInt(count ?? -1), sum: BigInt(sum ?? 0), misplaced: 0n }];
    }),
  );
}

async function arrivedTotals(
  target: BackendConnection,
  tables: readonly TargetTable[],
  together: readonly Move[],
  level: VerifyLevel,
): Promise<ReadonlyMap<TargetTable, Totals>> {
  const queries = tables.flatMap((table) => {
    const { source } = table;
    const name = targetName(table);
    const misplaced = misplacedRows(source, table, tablesAlike(together, source));
    return [
      sumOf(source, level, name, arrivedRows(source)),
      misplaced === undefined ? "SELECT 0" : rowCount(name, misplaced),
    ];
  });
  const { rows } = await target.query(queries.join(";\n"));
  return new Map(
    tables.map((table, index) => {
      const [[count, sum] = [], [misplaced] = []] = rows.slice(2 * index);
      const totals = { count: BigInt(count ?? -1), sum: BigInt(sum ?? 0) };
      return [table, { ...totals, misplaced: BigInt(misplaced ?? -1) }];
    }),
  );
}

/** Every table whose rows come into those of this one, which is among them. */
export function tablesAlike(
  together: readonly Move[],
  { name }: MovedTable,
): readonly MovedTable[] {
  return together.flatMap(({ tables }) => tables).filter((table) => table.name === name);
}

function added(each: readonly (Totals | undefined)[]): Totals {
  let [count, sum, misplaced] = [0n, 0n, 0n];
  for (const totals of each) {
    count += totals?.count ?? 0n;
    sum += totals?.sum ?? 0n;
    misplaced += totals?.misplaced ?? 0n;
  }
  return { count, sum, misplaced };
}

function printTotals(totals: Totals | undefined): string {
  return totals === undefined ? "" : `${totals.count} ${totals.sum} ${totals.misplaced}`;
}
