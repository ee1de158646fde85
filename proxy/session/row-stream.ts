/**
 * Rows that a portal or cursor gives as its client asks for them, while the statement waits in
 * between. It lives inside a transaction; with that it is dropped, not ended: its backends may be
 * others' by then.
 */
import type { ResultEvent, ResultStream } from "../execution/result-event.ts";
import type { DataRowRun } from "../execution/shard-rows.ts";
import { bytesOf, countedTag } from "./row-queue.ts";
import type { RowSource } from "./row-queue.ts";

export class RowStream implements RowSource {
  readonly #stream: ResultStream;
  readonly #onEvent: (event: ResultEvent) => Promise<void>;
  /** Resolves once the backends may be used by others; false where one of them has failed. */
  readonly #rest: () => Promise<boolean>;
  #left: DataRowRun | undefined;
  #isEnded = false;
  tag = "SELECT 0";

  /** `onEvent` gets what is not rows. */
  constructor(
    stream: ResultStream,
    onEvent: (event: ResultEvent) => Promise<void>,
    rest: () => Promise<boolean>,
  ) {
    this.#stream = stream;
    this.#onEvent = onEvent;
    this.#rest = rest;
  }

  tagFor(given: number): string {
    return countedTag(this.tag, given);
  }

  /** Reads up to the first row, so that the statement sees the data as of now. */
  async open(): Promise<void> {
    this.#left ??= await this.#nextRun();
  }

  async take(count: number): Promise<DataRowRun | undefined> {
    const run = this.#left ?? (await this.#nextRun());
    this.#left = undefined;
    if (run === undefined || run.count <= count) return run;
    const cut = bytesOf(run, count);
    this.#left = { bytes: run.bytes.subarray(cut), count: run.count - count };
    return { bytes: run.bytes.subarray(0, cut), count };
  }

  /** To be called before the client is answered: other statements may follow. Throws what has failed meanwhile. */
  async pause(): Promise<void> {
    if (this.#isEnded || (await this.#rest())) return;
    this.#left = await this.#nextRun();
  }

  /** Inside its transaction: nothing more is wanted. */
  async close(): Promise<void> {
    if (!this.#isEnded) await this.#stream.return();
    this.#isEnded = true;
  }

  async #nextRun(): Promise<DataRowRun | undefined> {
    while (!this.#isEnded) {
      const { done, value } = await this.#stream.next();
      if (done === true) this.#isEnded = true;
      else if (value.kind === "rows") return value.rows;
      else if (value.kind === "complete") this.tag = value.tag;
      else await this.#onEvent(value);
    }
    return undefined;
  }
}
