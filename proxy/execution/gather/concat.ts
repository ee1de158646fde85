/**
 * Rows whose order the statement leaves open: runs are passed on whole, from whichever
 * shard has one. A shard is asked again only once its run is taken, so one run for each
 * shard is all that is held.
 */
import { SqlError } from "../../../base/sql-error.ts";
import type { ColumnDescription } from "../../protocol/backend/row-description.ts";
import type { DataRowRun, ShardRows } from "../shard-rows.ts";
import type { RowWindow } from "./row-window.ts";
import { checkClientColumns } from "./shard-columns.ts";

export async function* concatRows(
  shards: readonly ShardRows[],
  output: readonly ColumnDescription[],
  window: RowWindow,
): AsyncGenerator<DataRowRun> {
  const runs = interleavedRuns(shards, (shard, columns) =>
    checkClientColumns(shard, columns, output, 0),
  );
  for await (const { run } of runs) {
    const wanted = window.cut(run);
    if (wanted !== undefined) yield wanted;
    if (window.isSatisfied) return;
  }
}

/**
 * Every database did the same write: the first one's rows are the answer, the others' are
 * read to their end, since a write must not be stopped, and must be as many.
 */
export async function* agreeingRows(
  shards: readonly ShardRows[],
  output: readonly ColumnDescription[],
): AsyncGenerator<DataRowRun> {
  const counts = shards.map(() => 0);
  const runs = interleavedRuns(shards, (shard, columns) =>
    checkClientColumns(shard, columns, output, 0),
  );
  for await (const { run, index } of runs) {
    counts[index] = (counts[index] ?? 0) + run.count;
    if (index === 0) yield run;
  }
  const differing = counts.findIndex((count) => count !== counts[0]);
  if (differing === -1) return;
  throw new SqlError(
    "reference_copies_differ",
    `databases disagree on a reference table: "${shards[0]?.placementId}" returned ${counts[0]} rows, "${shards[differing]?.placementId}" ${counts[differing]}`,
  );
}

interface ShardRun {
  readonly index: number;
  readonly run: DataRowRun;
}

type Arrival =
  | { readonly kind: "run"; readonly index: number; readonly run: DataRowRun }
  | { readonly kind: "end"; readonly index: number }
  | { readonly kind: "failure"; readonly index: number; readonly error: unknown };

/**
 * The runs of all shards in order of arrival. `check` sees a shard's columns before its
 * first run. Whatever ends the iteration (an error, a reader that has enough) stops the
 * shards that have not ended.
 */
export async function* interleavedRuns(
  shards: readonly ShardRows[],
  check: (shard: ShardRows, columns: readonly ColumnDescription[]) => void,
): AsyncGenerator<ShardRun> {
  const arrivals: Arrival[] = [];
  let wake: () => void = () => undefined;
  const arrive = (arrival: Arrival): void => {
    arrivals.push(arrival);
    wake();
  };
  const ask = (index: number, run: Promise<DataRowRun | undefined>): void => {
    run.then(
      (value) =>
        arrive(value === undefined ? { kind: "end", index } : { kind: "run", index, run: value }),
      (error: unknown) => arrive({ kind: "failure", index, error }),
    );
  };

  const reading = new Set(shards.keys());
  try {
    for (const [index, shard] of shards.entries()) ask(index, firstRun(shard, check));
    while (reading.size > 0) {
      const arrival = arrivals.shift();
      if (arrival === undefined) {
        // oxlint-disable-next-line no-loop-func -- one waiter at a time, replaced on each turn
        await new Promise<void>((resolve) => (wake = resolve));
        continue;
      }
      if (arrival.kind === "failure") throw arrival.error;
      if (arrival.kind === "end") {
        reading.delete(arrival.index);
        continue;
      }
      yield arrival;
      ask(arrival.index, (shards[arrival.index] as ShardRows).next());
    }
  } finally {
    for (const index of reading) shards[index]?.stop();
  }
}

async function firstRun(
  shard: ShardRows,
  check: (shard: ShardRows, columns: readonly ColumnDescription[]) => void,
): Promise<DataRowRun | undefined> {
  check(shard, await shard.columns());
  return await shard.next();
}
