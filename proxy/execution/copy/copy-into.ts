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
import { tooShort } from "./short-rows.ts";

export interface CopyTarget extends BoundCopy {
  /** For errors. */
  readonly table: string;
  readonly rows: CopyRows;
  /** Values for the generated columns of that many rows. */
  readonly draw: (count: number) => Promise<readonly (readonly string[])[]>;
  readonly use: PlacementUse;
}

export class CopyInto {
  readonly #target: CopyTarget;
  readonly #transaction: Transaction;
  readonly #signal: AbortSignal;
  readonly #onNotice: (bytes: Buffer) => void;
  readonly #reader: CopyRowReader;
  readonly #generated: GeneratedFields;
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
    this.#reader = rowReader(target.rows, target.keyFields, target.table);
    this.#generated = new GeneratedFields(target.rows, target.draw);
  }

  /** Has a server check the statement, as it would before it asks for data. */
  async start(): Promise<void> {
    const [place] = this.#target.places;
    invariant(place !== undefined, "a COPY has a place to go to");
    await this.#send(place, new CopyBatch());
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
        if (this.#target.rows.header === "matched") this.#matchHeader(row);
        continue;
      }
      const drawn = this.#generated.take() ?? (await this.#generated.draw());
      const pieces = this.#generated.piecesOf(row, drawn);
      for (const place of this.#target.placesOf(this.#keysOf(row), drawn, row.line))
        this.#add(place, row, pieces);
    }
    this.#throwFailure();
  }

  /** A header that is matched has every field read, and they stay so. */
  #keysOf(row: CopyRow): readonly (CopyField | undefined)[] {
    const { rows, keyFields, table } = this.#target;
    const { fields } = row;
    const keys = rows.header === "matched" ? keyFields.map((index) => fields[index]) : fields;
    if (keys.includes(undefined)) throw tooShort(row, rows, table);
    return keys;
  }

  #matchHeader(row: CopyRow): void {
    const { columns } = this.#target.rows;
    const names = row.fields.map((field) => field?.value?.toString("utf8"));
    const wrong = columns.findIndex((column, index) => names[index] !== column);
    if (wrong === -1) return;
    throw new SqlError(
      "copy_header_mismatch",
      `column name mismatch in header line field ${wrong + 1}: got "${names[wrong] ?? ""}", expected "${columns[wrong] ?? ""}"`,
      { context: `COPY ${this.#target.table}, line 1: "${shown(row)}"` },
    );
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

  async #send({ database, rendered, placementId }: CopyPlace, batch: CopyBatch): Promise<void> {
    const participant = await this.#transaction.join(database, this.#signal);
    this.#target.use.maySend([placementId]);
    participant.wrote = "yes";
    const { rows, table } = this.#target;
    const kept = await sendBatch(
      participant.connection,
      { rendered, rows, table, batch },
      this.#onNotice,
    );
    this.#kept.set(database, (this.#kept.get(database) ?? 0) + kept);
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}

/** As PostgreSQL shows a line in a CONTEXT: no more than this of it. */
const SHOWN_CHARACTERS_MAX = 100;

function shown({ bytes, end }: CopyRow): string {
  const text = bytes.toString("utf8", 0, end);
  return text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}...` : text;
}
