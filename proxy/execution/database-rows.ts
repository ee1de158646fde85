/**
 * Reads one database's fragments of a statement over one backend, one after the other.
 *
 * A consumer may ask for the rows of a later fragment first (a merge needs the head of
 * each); then the rows of the earlier ones wait here, within a bound. Asked in order, nothing
 * is kept.
 */
import { ABANDONED_GRACE_MS, GATHER_BYTES_MAX } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import { BackendError } from "../backend/backend-connection.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import type { FragmentRequest } from "./fragment-request.ts";
import { checkSameColumns } from "./gather/shard-columns.ts";
import type { ResultStream } from "./result-event.ts";
import { runFragment } from "./run-fragment.ts";
import type { DataRowRun, ShardRows } from "./shard-rows.ts";

export interface DatabaseFragment {
  readonly placementId: string;
  readonly request: FragmentRequest;
  readonly rowIndexes: readonly number[] | undefined;
}

/** What has been read of one fragment and not been asked for yet. */
class FragmentResult implements ShardRows {
  readonly placementId: string;
  readonly rowIndexes: readonly number[] | undefined;
  readonly #read: () => Promise<void>;
  readonly #runs: DataRowRun[] = [];
  #columns: readonly ColumnDescription[] | undefined;
  #tag: string | undefined;
  isEnded = false;
  isStopped = false;

  constructor(fragment: DatabaseFragment, read: () => Promise<void>) {
    this.placementId = fragment.placementId;
    this.rowIndexes = fragment.rowIndexes;
    this.#read = read;
  }

  /** Undefined until the fragment has ended. */
  get tag(): string | undefined {
    return this.#tag;
  }

  async columns(): Promise<readonly ColumnDescription[]> {
    while (this.#columns === undefined && !this.isEnded) await this.#read();
    return this.#columns ?? [];
  }

  async next(): Promise<DataRowRun | undefined> {
    while (this.#runs.length === 0 && !this.isEnded && !this.isStopped) await this.#read();
    return this.isStopped ? undefined : this.#runs.shift();
  }

  stop(): void {
    this.isStopped = true;
    this.#runs.length = 0;
  }

  takeColumns(columns: readonly ColumnDescription[]): void {
    this.#columns = columns;
  }

  takeRows(rows: DataRowRun): void {
    if (!this.isStopped) this.#runs.push(rows);
  }

  takeTag(tag: string): void {
    this.#tag = tag;
  }

  get bufferedBytes(): number {
    return this.#runs.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }
}

export class DatabaseRows {
  readonly connection: BackendConnection;
  readonly results: readonly FragmentResult[];
  readonly #fragments: readonly DatabaseFragment[];
  readonly #onNotice: (bytes: Buffer) => void;
  #current = -1;
  #isHeld = false;
  #stream: ResultStream | undefined;
  #reading: Promise<void> | undefined;
  #failure: unknown;
  #isAbandoned = false;

  constructor(
    connection: BackendConnection,
    fragments: readonly DatabaseFragment[],
    onNotice: (bytes: Buffer) => void,
  ) {
    this.connection = connection;
    this.#fragments = fragments;
    this.#onNotice = onNotice;
    this.results = fragments.map((fragment) => new FragmentResult(fragment, () => this.#read()));
  }

  /** Puts the first fragment to the backend without waiting for its answer. */
  start(): void {
    void this.#read().catch(() => undefined);
  }

  /** Runs all fragments to their end and holds their rows, within the bound. */
  async load(): Promise<void> {
    this.#isHeld = true;
    for (const result of this.results) while (!result.isEnded) await this.#read();
  }

  /** All fragments, or some, as one, in their order: for gathers that do not care which row is whose. */
  chained(results: readonly FragmentResult[] = this.results): ShardRows {
    const [first] = results;
    return {
      placementId: results.map(({ placementId }) => placementId).join(", "),
      columns: async () => (await first?.columns()) ?? [],
      next: async () => {
        for (const result of results) {
          const rows = await result.next();
          if (rows === undefined) continue;
          // Whoever reads them has seen the columns of the first alone.
          if (first !== undefined && result !== first)
            checkSameColumns(result, await result.columns(), await first.columns());
          return rows;
        }
        return undefined;
      },
      stop: () => {
        for (const result of results) result.stop();
      },
    };
  }

  /** Reads what is left of all fragments and drops their rows. */
  async finish(): Promise<void> {
    for (const result of this.results) {
      while ((await result.next()) !== undefined);
      while (!result.isEnded) await this.#read();
    }
  }

  /**
   * Nothing more is wanted: the running fragment is cancelled where that is harmless, and read
   * to its end. It is given a moment first, since where a LIMIT is satisfied the servers, which
   * know it too, have mostly said all they had to say: a cancel request is a connection of its
   * own. A server that takes none may never answer either.
   * Gives the server's error where it failed nevertheless: the block it stands in has failed, too.
   */
  async abandon(mayCancel: boolean): Promise<BackendError | undefined> {
    for (const result of this.results) result.stop();
    this.#isAbandoned = true;
    const ended = this.#readToEnd();
    if (mayCancel && !(await isSoon(ended)) && !this.connection.isBroken)
      await this.connection.cancel().catch(() => this.connection.destroy());
    return await ended;
  }

  /** Never rejects. */
  async #readToEnd(): Promise<BackendError | undefined> {
    try {
      await this.#reading;
      while (this.#stream !== undefined && (await this.#stream.next()).done !== true);
    } catch (error) {
      this.#failure ??= error;
    }
    return this.#failure instanceof BackendError ? this.#failure : undefined;
  }

  /** One event of the running fragment; concurrent callers share it. */
  #read(): Promise<void> {
    this.#reading ??= this.#readOne().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #readOne(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#isAbandoned) throw new SqlError("statement_stopped", "statement was stopped");
    try {
      await this.#readEvent();
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  async #readEvent(): Promise<void> {
    const stream = this.#stream ?? this.#startNext();
    const result = this.results[this.#current];
    if (stream === undefined || result === undefined) return;
    const { done, value } = await stream.next();
    if (done === true) {
      result.isEnded = true;
      this.#stream = undefined;
      return;
    }
    switch (value.kind) {
      case "columns":
        result.takeColumns(value.columns);
        break;
      case "rows":
        result.takeRows(value.rows);
        this.#refuseTooMuch();
        break;
      case "complete":
        result.takeTag(value.tag);
        break;
      case "notice":
        this.#onNotice(value.bytes);
        break;
      default:
        break;
    }
  }

  #startNext(): ResultStream | undefined {
    this.#current += 1;
    const fragment = this.#fragments[this.#current];
    if (fragment === undefined) return undefined;
    this.#stream = runFragment(this.connection, fragment.request);
    return this.#stream;
  }

  #refuseTooMuch(): void {
    if (this.results.length === 1 && !this.#isHeld) return;
    const bytes = this.results.reduce((sum, result) => sum + result.bufferedBytes, 0);
    if (bytes <= GATHER_BYTES_MAX) return;
    throw new SqlError(
      "gather_memory_exceeded",
      `rows held of database "${this.connection.database}" exceed ${GATHER_BYTES_MAX} bytes`,
    );
  }
}

/** Whether it settles within the moment that an abandoned statement is given. */
async function isSoon(ended: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, ABANDONED_GRACE_MS, false);
  });
  try {
    return await Promise.race([ended.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
