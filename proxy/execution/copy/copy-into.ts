/**
 * COPY ... FROM STDIN whose rows are taken apart: each goes to the placement of its shard key, or,
 * for a reference table, to every database. Rows of a placement wait until they make a batch;
 * batches of different databases are under way at once, those of one follow each other.
 *
 * It runs inside the statement's transaction and commits nothing.
 */
import { invariant } from "../../../base/invariant.ts";
import {
  COPY_BATCH_BYTES,
  COPY_BUFFERED_BYTES_MAX,
  COPY_ROW_BYTES_MAX,
} from "../../../base/limits.ts";
import type { DatabaseName } from "../../../base/ids.ts";
import { SqlError } from "../../../base/sql-error.ts";
import type { CopyRows } from "../../../planner/copy/copy-plan.ts";
import type { BoundCopy, CopyPlace } from "../../../planner/bind-copy.ts";
import type { PlacementUse } from "../placement-use.ts";
import type { Transaction } from "../transaction.ts";
import { CopyBatch, sendBatch } from "./copy-batch.ts";
import type { CopyField, CopyRow, CopyRowReader } from "./copy-format.ts";
import { rowReader } from "./row-reader.ts";
import { GeneratedFields } from "./generated-fields.ts";
import type { DrawValues } from "./generated-fields.ts";
import { tooShort } from "./short-rows.ts";

export interface CopyTarget extends BoundCopy {
  /** For errors. */
  readonly table: string;
  readonly rows: CopyRows;
  readonly draw: DrawValues;
  readonly use: PlacementUse;
}

export class CopyInto {
  readonly #target: CopyTarget;
  readonly #transaction: Transaction;
  readonly #signal: AbortSignal;
  readonly #onNotice: (bytes: Buffer) => void;
  readonly #reader: CopyRowReader;
  readonly #generated: GeneratedFields;
  /** The fields that are read: those of the key, and behind them those that the proxy may fill. */
  readonly #wanted: readonly number[];
  /** Where the fields that the proxy may fill are among them. */
  readonly #markable: readonly number[];
  readonly #waiting = new Map<CopyPlace, CopyBatch>();
  /** By database: the batches under way, one after the other. */
  readonly #sending = new Map<DatabaseName, Promise<void>>();
  #bufferedBytes = 0;
  #failure: unknown;
  #isHeaderDue: boolean;
  /** By database: rows that its COPYs have counted. */
  readonly #kept = new Map<DatabaseName, number>();
  /** Of the data, as far as it is read. */
  #line = 0;

  constructor(
    target: CopyTarget,
    transaction: Transaction,
    signal: AbortSignal,
    onNotice: (bytes: Buffer) => void,
  ) {
    this.#target = target;
    this.#transaction = transaction;
    this.#signal = signal;
    this.#onNotice = onNotice;
    this.#isHeaderDue = target.rows.header !== "none";
    const markable = target.rows.marker?.filled.map(({ index }) => index) ?? [];
    this.#wanted = [...new Set([...target.keyFields, ...markable])];
    this.#markable = markable.map((index) => this.#wanted.indexOf(index));
    this.#reader = rowReader(target.rows, this.#wanted, target.table);
    this.#generated = new GeneratedFields(target.rows, target.draw);
  }

  /** Has a server check the statement, as it would before it asks for data; a header to match comes later. */
  async start(): Promise<void> {
    if (this.#target.rows.header === "matched") await this.#send(this.#firstPlace, new CopyBatch());
    else await this.#check(new CopyBatch());
  }

  get #firstPlace(): CopyPlace {
    const [place] = this.#target.places;
    invariant(place !== undefined, "a COPY has a place to go to");
    return place;
  }

  /** Has a server read what the client has sent as the client's own statement says. */
  async #check(batch: CopyBatch): Promise<void> {
    const { check } = this.#target;
    invariant(check !== undefined, "rows that are taken apart have a statement to be checked");
    await this.#send({ ...this.#firstPlace, rendered: check }, batch, true);
  }

  /** Takes bytes of the data, cut anywhere. Resolves once there is room for more. */
  async push(bytes: Buffer): Promise<void> {
    await this.#take(this.#reader.push(bytes));
    if (this.#reader.pendingBytes > COPY_ROW_BYTES_MAX) {
      throw new SqlError(
        "copy_row_too_large",
        `a row of the data is longer than ${COPY_ROW_BYTES_MAX} bytes`,
        { context: `COPY ${this.#target.table}, line ${this.#line + 1}` },
      );
    }
    while (this.#bufferedBytes > COPY_BUFFERED_BYTES_MAX) {
      this.#flushLargest();
      await Promise.race(this.#sending.values());
      this.#throwFailure();
    }
  }

  /** The client gives up. */
  fail(reason: string): never {
    throw new SqlError("copy_failed_by_client", `COPY from stdin failed: ${reason}`, {
      context: `COPY ${this.#target.table}, line ${this.#line + 1}`,
    });
  }

  /** The end of the data: sends what waits. How many rows there were. */
  async finish(): Promise<number> {
    await this.#take(this.#reader.end());
    if (this.#isHeaderDue && this.#target.rows.header === "matched")
      await this.#check(new CopyBatch());
    for (const place of this.#waiting.keys()) this.#flush(place);
    await this.settled();
    this.#throwFailure();
    return this.#countRows();
  }

  #countRows(): number {
    const counts = [...this.#kept.values()];
    const [first = 0] = counts;
    if (!this.#target.isEverywhere) return counts.reduce((sum, count) => sum + count, 0);
    if (counts.every((count) => count === first)) return first;
    throw new SqlError(
      "reference_copies_differ",
      `databases kept different numbers of rows: ${counts.join(", ")}`,
    );
  }

  /** No batch is under way any more, whatever came of them. */
  async settled(): Promise<void> {
    await Promise.all(this.#sending.values());
  }

  async #take(rows: Iterable<CopyRow>): Promise<void> {
    for (const row of rows) {
      this.#line = row.line;
      if (this.#isHeaderDue) {
        this.#isHeaderDue = false;
        if (this.#target.rows.header === "matched") await this.#matchHeader(row);
        continue;
      }
      const keys = this.#keysOf(row);
      const fields =
        this.#markable.length === 0 ? [] : this.#markable.map((index) => row.fields[index]);
      const drawn = this.#generated.take(fields) ?? (await this.#generated.draw(fields));
      const pieces = this.#generated.piecesOf(row, fields, drawn);
      for (const place of this.#target.placesOf(keys, drawn, row.line))
        this.#add(place, row, pieces);
    }
    this.#throwFailure();
  }

  #keysOf(row: CopyRow): readonly (CopyField | undefined)[] {
    const { rows, keyFields, table } = this.#target;
    const { fields } = row;
    const keys = fields.length === keyFields.length ? fields : fields.slice(0, keyFields.length);
    if (keys.includes(undefined)) throw tooShort(row, rows, table);
    return keys;
  }

  async #matchHeader(row: CopyRow): Promise<void> {
    const batch = new CopyBatch();
    batch.add(row, [row.bytes]);
    await this.#check(batch);
  }

  #add(place: CopyPlace, row: CopyRow, pieces: readonly Buffer[]): void {
    let batch = this.#waiting.get(place);
    if (batch === undefined) this.#waiting.set(place, (batch = new CopyBatch()));
    const before = batch.bytes;
    batch.add(row, pieces);
    this.#bufferedBytes += batch.bytes - before;
    if (batch.bytes >= COPY_BATCH_BYTES) this.#flush(place);
  }

  /** With many placements none may be full yet: the largest goes first. */
  #flushLargest(): void {
    const [largest] = [...this.#waiting].toSorted(([, a], [, b]) => b.bytes - a.bytes);
    if (largest !== undefined) this.#flush(largest[0]);
  }

  #flush(place: CopyPlace): void {
    const batch = this.#waiting.get(place);
    if (batch === undefined) return;
    this.#waiting.delete(place);
    const before = this.#sending.get(place.database) ?? Promise.resolve();
    const sent = before
      .then(async () => {
        if (this.#failure === undefined) await this.#send(place, batch);
      })
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => {
        this.#bufferedBytes -= batch.bytes;
        if (this.#sending.get(place.database) === sent) this.#sending.delete(place.database);
      });
    this.#sending.set(place.database, sent);
  }

  /** `isClientsText`: the statement is the client's own. */
  async #send(
    { database, rendered, placementId }: CopyPlace,
    batch: CopyBatch,
    isClientsText = false,
  ): Promise<void> {
    const participant = await this.#transaction.join(database, this.#signal);
    this.#target.use.maySend([placementId]);
    participant.wrote = "yes";
    const { rows, table } = this.#target;
    const kept = await sendBatch(
      participant.connection,
      { rendered, rows, table, batch, isClientsText },
      this.#onNotice,
    );
    this.#kept.set(database, (this.#kept.get(database) ?? 0) + kept);
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}
