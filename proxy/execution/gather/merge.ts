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
import { fieldSpans, locateFields, rowEnd, RunWriter } from "./data-row.ts";
import type { FieldSpans } from "./data-row.ts";
import { Heap } from "./heap.ts";
import type { RowWindow } from "./row-window.ts";
import { checkClientColumns, checkSameColumns } from "./shard-columns.ts";
import { readSortValues, sortOrder } from "./sort-order.ts";
import type { SortOrder, SortValue } from "./sort-order.ts";
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
    const order = await agreedOrder(request);
    const cursors = shards.map((shard, index) => new SortedCursor(shard, index, order));
    const hasRow = await Promise.all(cursors.map(async (cursor) => await cursor.load()));
    const heap = new Heap(
      cursors.filter((_, index) => hasRow[index]),
      (a, b) => order.compare(a.values, b.values) || a.index - b.index,
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

/** Reads every shard's columns, and throws before any row where they differ or have no known order. */
async function agreedOrder(request: MergeRequest): Promise<ColumnOrder> {
  const { shards, output, hiddenColumns, sort, types } = request;
  const described = await Promise.all(shards.map(async (shard) => await shard.columns()));
  const [first = []] = described;
  for (const [index, shard] of shards.entries()) {
    const columns = described[index] ?? [];
    checkClientColumns(shard, columns, output, hiddenColumns);
    checkSameColumns(shard, columns, first);
  }
  return { ...sortOrder(sort, first, types), columnCount: first.length };
}

interface ColumnOrder extends SortOrder {
  readonly columnCount: number;
}

/** One shard's next row, with its keys decoded. */
class SortedCursor {
  readonly shard: ShardRows;
  readonly index: number;
  values: readonly SortValue[] = [];
  readonly #order: ColumnOrder;
  readonly #spans: FieldSpans;
  #bytes: Buffer = Buffer.alloc(0);
  #rowStart = 0;
  #rowEnd = 0;
  #hasBegun = false;

  constructor(shard: ShardRows, index: number, order: ColumnOrder) {
    this.shard = shard;
    this.index = index;
    this.#order = order;
    this.#spans = fieldSpans(order.columnCount);
  }

  /** Fetches the next run and stands on its first row; false after the last. */
  async load(): Promise<boolean> {
    const run = await this.shard.next();
    if (run === undefined) return false;
    this.#bytes = run.bytes;
    this.#rowEnd = 0;
    return this.step() || (await this.load());
  }

  /** Goes to the run's next row; false where the run is used up. */
  step(): boolean {
    if (this.#rowEnd >= this.#bytes.length) return false;
    this.#rowStart = this.#rowEnd;
    this.#rowEnd = rowEnd(this.#bytes, this.#rowStart);
    locateFields(this.#bytes, this.#rowStart, this.#rowEnd, this.#spans);
    const values = readSortValues(this.#order, this.#bytes, this.#spans);
    // A server that sorts otherwise than we compare would make the merge silently wrong.
    if (this.#hasBegun && this.#order.compare(this.values, values) > 0) throw unordered(this.shard);
    this.#hasBegun = true;
    this.values = values;
    return true;
  }

  /** Copies the row without the hidden columns. */
  writeRow(writer: RunWriter, visibleColumns: number): void {
    if (visibleColumns === this.#order.columnCount) {
      writer.appendRow(this.#bytes, this.#rowStart, this.#rowEnd);
    } else {
      writer.appendLeadingFields(this.#bytes, this.#rowStart, this.#spans, visibleColumns);
    }
  }
}

function unordered(shard: ShardRows): SqlError {
  return new SqlError(
    "placement_rows_unordered",
    `placement "${shard.placementId}" sorts the rows otherwise than they can be merged`,
  );
}
