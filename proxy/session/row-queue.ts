/**
 * Rows that a portal has and its client has not asked for yet. Bounded: a client that asks
 * for few rows of many at a time reads them from here.
 */
import type { ResultEvent } from "../execution/result-event.ts";
import { GATHER_BYTES_MAX } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { DataRowRun } from "../execution/shard-rows.ts";

const FRAME_TYPE_BYTES = 1;

export interface RowSource {
  /** At most `count` rows; undefined where there are no more. */
  take(count: number): Promise<DataRowRun | undefined>;
  tagFor(given: number): string;
  readonly tag: string;
  pause(): Promise<void>;
  close(): Promise<void>;
}

export class RowQueue implements RowSource {
  readonly #runs: DataRowRun[] = [];
  #bytes = 0;
  /** Of the whole statement, once it has ended. */
  tag = "SELECT 0";

  /** PostgreSQL counts the rows of each Execute by itself, those of a write's RETURNING too. */
  tagFor(given: number): string {
    return countedTag(this.tag, given);
  }

  add(run: DataRowRun): void {
    this.#bytes += run.bytes.length;
    if (this.#bytes > GATHER_BYTES_MAX) {
      throw new SqlError(
        "portal_too_large",
        `the rows of a suspended portal exceed ${GATHER_BYTES_MAX} bytes`,
      );
    }
    this.#runs.push(run);
  }

  /** At most `count` rows, as they came. */
  async take(count: number): Promise<DataRowRun | undefined> {
    const run = this.#runs[0];
    if (run === undefined) return undefined;
    if (run.count <= count) {
      this.#runs.shift();
      this.#bytes -= run.bytes.length;
      return run;
    }
    const cut = bytesOf(run, count);
    this.#runs[0] = { bytes: run.bytes.subarray(cut), count: run.count - count };
    this.#bytes -= cut;
    return { bytes: run.bytes.subarray(0, cut), count };
  }

  readonly pause = nothing;
  readonly close = nothing;
}

/** Waits for nobody. */
async function nothing(): Promise<void> {}

/** The tag with another count of rows; one that has none (SHOW) as it is. */
export function countedTag(tag: string, count: number): string {
  return tag.replace(/ \d+$/, ` ${count}`);
}

/** How many bytes the first `count` frames of a run take. */
export function bytesOf(run: DataRowRun, count: number): number {
  let offset = 0;
  for (let row = 0; row < count; row += 1)
    offset += FRAME_TYPE_BYTES + run.bytes.readUInt32BE(offset + FRAME_TYPE_BYTES);
  return offset;
}

/** A limited Execute: the statement runs to its end, and what the client did not ask for waits. `onEvent` gets what is not rows. */
export async function collected(
  stream: AsyncIterable<ResultEvent>,
  onEvent: (event: ResultEvent) => Promise<void>,
): Promise<RowQueue> {
  const rows = new RowQueue();
  for await (const event of stream) {
    if (event.kind === "rows") rows.add(event.rows);
    else if (event.kind === "complete") rows.tag = event.tag;
    else await onEvent(event);
  }
  return rows;
}
