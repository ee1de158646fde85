/**
 * ORDER BY over shards that each come sorted: a heap of their next rows gives the first of
 * all. Rows with equal keys come in the shards' order.
 *
 * A shard is asked for its next run only when its current one is used up, so one run for
 * each shard is held. All shards are asked for their first run at once, and none gives a row
 * before each has: whoever runs two of them on one connection must hold the rows of the first.
 */
import { SqlError } from "../../../base/sql-error.ts";
import type { SortKey } from "../../../planner/logical-plan.ts";
import type { ColumnDescription } from "../../protocol/backend/row-description.ts";
import type { DataRowRun, ShardRows } from "../shard-rows.ts";
import { rowEnd, RunWriter } from "./data-row.ts";
import { Heap } from "./heap.ts";
import type { RowWindow } from "./row-window.ts";
import { checkClientColumns, checkSameColumns } from "./shard-columns.ts";
import { compareRows, sortOrder, SortedRow } from "./sort-order.ts";
import type { SortOrder } from "./sort-order.ts";
import type { GatherTypes } from "./values/type-lookup.ts";

export interface MergeRequest {
  readonly shards: readonly ShardRows[];
  readonly sort: readonly SortKey[];
  /** Columns at the end of the shards' rows that the client must not see. */
  readonly hiddenColumns: number;
  readonly output: readonly ColumnDescription[];
  readonly window: RowWindow;
  readonly types: GatherTypes;
}

export async function* mergeRows(request: MergeRequest): AsyncGenerator<DataRowRun> {
  const { shards, window } = request;
  const reading = new Set<ShardRows>(shards);
  try {
    const columns = await agreedColumns(request);
    // One server's order is the order, whatever the proxy knows of it.
    const order = sortOrder(shards.length === 1 ? [] : request.sort, columns, request.types);
    const cursors = shards.map((shard, index) => new SortedCursor(shard, index, order, columns));
    const hasRow = await Promise.all(cursors.map(async (cursor) => await cursor.load()));
    const heap = new Heap(
      cursors.filter((_, index) => hasRow[index]),
      (a, b) => compareRows(order, a.row, b.row) || a.index - b.index,
    );
    for (const [index, shard] of shards.entries()) if (!hasRow[index]) reading.delete(shard);

    const writer = new RunWriter();
    for (let top = heap.first; top !== undefined && !window.isSatisfied; top = heap.first) {
      if (window.admit()) top.writeRow(writer, request.output.length);
      if (top.step()) {
        heap.firstChanged();
      } else {
        // Nothing is held back from the client while a shard is waited for.
        yield* taken(writer);
        if (await top.load()) {
          heap.firstChanged();
        } else {
          heap.removeFirst();
          reading.delete(top.shard);
        }
      }
      if (writer.isFull) yield* taken(writer);
    }
    yield* taken(writer);
  } finally {
    for (const shard of reading) shard.stop();
  }
}

function* taken(writer: RunWriter): Generator<DataRowRun> {
  const run = writer.take();
  if (run !== undefined) yield run;
}

/** Reads every shard's columns, and throws before any row where they differ. */
async function agreedColumns({
  shards,
  output,
  hiddenColumns,
}: MergeRequest): Promise<readonly ColumnDescription[]> {
  const described = await Promise.all(shards.map(async (shard) => await shard.columns()));
  const [first = []] = described;
  for (const [index, shard] of shards.entries()) {
    const columns = described[index] ?? [];
    checkClientColumns(shard, columns, output, hiddenColumns);
    checkSameColumns(shard, columns, first);
  }
  return first;
}

/** One shard's next row. */
class SortedCursor {
  readonly shard: ShardRows;
  readonly index: number;
  readonly #order: SortOrder;
  readonly #columnCount: number;
  /** The next row, and room for the one after it: they change places. */
  #row: SortedRow;
  #before: SortedRow;
  #bytes: Buffer = Buffer.alloc(0);
  #hasBegun = false;

  constructor(
    shard: ShardRows,
    index: number,
    order: SortOrder,
    columns: readonly ColumnDescription[],
  ) {
    this.shard = shard;
    this.index = index;
    this.#order = order;
    this.#columnCount = columns.length;
    this.#row = new SortedRow(order, columns.length);
    this.#before = new SortedRow(order, columns.length);
  }

  get row(): SortedRow {
    return this.#row;
  }

  /** Fetches the next run and stands on its first row; false after the last. */
  async load(): Promise<boolean> {
    const run = await this.shard.next();
    if (run === undefined) return false;
    this.#bytes = run.bytes;
    return this.#place(0) || (await this.load());
  }

  /** Goes to the run's next row; false where the run is used up. */
  step(): boolean {
    return this.#place(this.#row.end);
  }

  #place(start: number): boolean {
    if (start >= this.#bytes.length) return false;
    const row = this.#before;
    row.place(this.#bytes, start, rowEnd(this.#bytes, start));
    // A server that sorts otherwise than we compare would make the merge silently wrong.
    if (this.#hasBegun && compareRows(this.#order, this.#row, row) > 0) throw unordered(this.shard);
    this.#hasBegun = true;
    this.#before = this.#row;
    this.#row = row;
    return true;
  }

  /** Gives the row without the hidden columns. */
  writeRow(writer: RunWriter, visibleColumns: number): void {
    const { bytes, start, end, spans } = this.#row;
    if (visibleColumns === this.#columnCount) writer.appendRow(bytes, start, end);
    else writer.appendLeadingFields(bytes, start, spans, visibleColumns);
  }
}

function unordered(shard: ShardRows): SqlError {
  return new SqlError(
    "placement_rows_unordered",
    `placement "${shard.placementId}" sorts the rows otherwise than they can be merged`,
  );
}
