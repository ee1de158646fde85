/** Rows that a cursor walks over in the proxy: kept in memory, within a bound, or as they come. */
import { CURSOR_ROWS_BYTES_MAX } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { DataRowRun } from "../execution/shard-rows.ts";
import type { CursorRows } from "./cursor-walk.ts";
import { bytesOf } from "./row-queue.ts";
import type { RowSource } from "./row-queue.ts";

interface KeptRun extends DataRowRun {
  /** How many rows are before it. */
  readonly first: number;
}

/** All rows, in order. It stands before the first, on one, or behind the last. */
export class KeptRows implements CursorRows {
  readonly goesBackward: boolean;
  readonly #cursor: string;
  /** What other cursors of the client keep. */
  readonly #othersBytes: number;
  readonly #runs: KeptRun[] = [];
  #count = 0;
  #at = 0;
  bytes = 0;

  constructor(cursor: string, goesBackward: boolean, othersBytes: number) {
    this.#cursor = cursor;
    this.goesBackward = goesBackward;
    this.#othersBytes = othersBytes;
  }

  add({ bytes, count }: DataRowRun): void {
    this.bytes += bytes.length;
    if (this.bytes + this.#othersBytes > CURSOR_ROWS_BYTES_MAX) {
      throw new SqlError(
        "cursor_rows_too_large",
        `rows of cursor "${this.#cursor}" exceed the ${CURSOR_ROWS_BYTES_MAX} bytes that a client's cursors may keep`,
      );
    }
    this.#runs.push({ bytes, count, first: this.#count });
    this.#count += count;
  }

  get count(): number {
    return this.#count;
  }

  /** 0: before the first row; one more than there are rows: behind the last. */
  standAt(row: number): void {
    this.#at = Math.min(row, this.#count + 1);
  }

  async *forward(count: number): AsyncGenerator<DataRowRun> {
    const end = Math.min(this.#at + count, this.#count);
    for (let next = this.#at; next < end;) {
      const run = this.#runOf(next);
      const from = next - run.first;
      const to = Math.min(end - run.first, run.count);
      const start = bytesOf(run, from);
      yield {
        bytes: run.bytes.subarray(start, to === run.count ? undefined : bytesOf(run, to)),
        count: to - from,
      };
      next = run.first + to;
    }
    this.standAt(this.#at + count);
  }

  *backward(count: number): Generator<DataRowRun> {
    const end = Math.max(this.#at - count, 1);
    let run: KeptRun | undefined;
    let starts: readonly number[] = [];
    for (let row = this.#at - 1; row >= end; row -= 1) {
      if (run === undefined || row - 1 < run.first) {
        run = this.#runOf(row - 1);
        starts = rowStarts(run);
      }
      const index = row - 1 - run.first;
      yield { bytes: run.bytes.subarray(starts[index], starts[index + 1]), count: 1 };
    }
    this.#at = Math.max(this.#at - count, 0);
  }

  rewind(): void {
    this.#at = 0;
  }

  /** Of a row's index, which there is. */
  #runOf(index: number): KeptRun {
    let low = 0;
    let high = this.#runs.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#runs[middle] as KeptRun).first <= index) low = middle;
      else high = middle - 1;
    }
    return this.#runs[low] as KeptRun;
  }
}

/** Where each row of a run begins, and where the last ends. */
function rowStarts(run: DataRowRun): readonly number[] {
  const starts = [0];
  for (let row = 0, rest = run; row < run.count; row += 1) {
    const start = (starts.at(-1) as number) + bytesOf(rest, 1);
    starts.push(start);
    rest = { bytes: run.bytes.subarray(start), count: run.count - row - 1 };
  }
  return starts;
}

/** Rows as they come from the servers, which are asked for more only when these are used up. */
export class StreamedRows implements CursorRows {
  readonly goesBackward = false;
  readonly #rows: RowSource;

  constructor(rows: RowSource) {
    this.#rows = rows;
  }

  async *forward(count: number): AsyncGenerator<DataRowRun> {
    for (let wanted = count; wanted > 0;) {
      const run = await this.#rows.take(wanted);
      if (run === undefined) break;
      wanted -= run.count;
      yield run;
    }
    await this.#rows.pause();
  }

  *backward(): Generator<DataRowRun> {}

  rewind(): void {}
}
