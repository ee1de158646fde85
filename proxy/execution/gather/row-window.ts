/**
 * OFFSET and LIMIT over the gathered rows: the shards were asked for the first
 * offset + count rows each, and the two are applied once more to the whole.
 */
import type { DataRowRun } from "../shard-rows.ts";
import { rowEnd } from "./data-row.ts";

export class RowWindow {
  #skip: number;
  #left: number;

  /** Numbers are exact as far as rows can be counted: nobody reads 2^53 rows. */
  constructor(offset: bigint, count: bigint | undefined) {
    this.#skip = Number(offset);
    this.#left = count === undefined ? Number.POSITIVE_INFINITY : Number(count);
  }

  /** No further row is wanted. */
  get isSatisfied(): boolean {
    return this.#left === 0;
  }

  /** Counts one row; whether it is one for the client. */
  admit(): boolean {
    if (this.#skip > 0) {
      this.#skip--;
      return false;
    }
    if (this.#left === 0) return false;
    this.#left--;
    return true;
  }

  /** The part of a run that is for the client; undefined where none of it is. */
  cut(run: DataRowRun): DataRowRun | undefined {
    const skipped = Math.min(this.#skip, run.count);
    const kept = Math.min(this.#left, run.count - skipped);
    this.#skip -= skipped;
    this.#left -= kept;
    if (kept === 0) return undefined;
    if (kept === run.count) return run;

    const start = afterRows(run.bytes, 0, skipped);
    const end = afterRows(run.bytes, start, kept);
    return { bytes: run.bytes.subarray(start, end), count: kept };
  }
}

function afterRows(bytes: Buffer, start: number, count: number): number {
  let position = start;
  for (let row = 0; row < count; row++) position = rowEnd(bytes, position);
  return position;
}
