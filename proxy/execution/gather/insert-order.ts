/**
 * RETURNING of an INSERT that was split: rows go back into the order of VALUES, as one
 * server would give them.
 *
 * Every part is read at once, so that no part waits for another; rows that are not due yet
 * are held, within a bound, and the rest stream. Where rows may have been left out (ON CONFLICT DO
 * NOTHING), it is known at the end whether any were: then nobody can tell which, and the parts follow each other.
 */
import { SqlError } from "../../../base/sql-error.ts";
import type { DataRowRun, ShardRows } from "../shard-rows.ts";
import { interleavedRuns } from "./concat.ts";
import { rowEnd, RunWriter } from "./data-row.ts";
import { checkSameColumns } from "./shard-columns.ts";

export interface InsertPart {
  readonly rows: ShardRows;
  /** Which of the statement's rows this part inserts, rising. */
  readonly rowIndexes: readonly number[];
}

/** Throws where a part returns more rows than it was given, or fewer, unless `mayDropRows`. */
export async function* insertOrderRows(
  parts: readonly InsertPart[],
  options: { readonly bytesMax: number; readonly mayDropRows: boolean },
): AsyncGenerator<DataRowRun> {
  const { bytesMax, mayDropRows } = options;
  const partOf = partOfRow(parts);
  const held = parts.map((part) => new HeldRows(part));
  const writer = new RunWriter();
  // Where rows may be left out, none is known to be due before all have come.
  const dueAtOnce = mayDropRows ? 0 : partOf.length;
  let due = 0;
  let columns: Awaited<ReturnType<ShardRows["columns"]>> | undefined;
  const runs = interleavedRuns(
    parts.map(({ rows }) => rows),
    (shard, described) => {
      columns ??= described;
      checkSameColumns(shard, described, columns);
    },
  );
  for await (const { index, run } of runs) {
    held[index]?.hold(run);
    for (; due < dueAtOnce; due++) {
      const isWritten = held[partOf[due] ?? -1]?.writeNext(writer) ?? false;
      if (!isWritten) break;
      if (writer.isFull) yield* taken(writer);
    }
    yield* taken(writer);
    checkHeldBytes(held, bytesMax);
  }
  const missing = held.find(({ isComplete }) => !isComplete);
  if (missing !== undefined && !mayDropRows) throw missing.miscounted();
  yield* heldRows(missing === undefined ? partOf.slice(due) : inTurn(held), held, writer);
}

/** Each part's rows to its end, one part after the other. */
function inTurn(held: readonly HeldRows[]): readonly number[] {
  return held.flatMap(({ received }, part) => Array.from({ length: received }, () => part));
}

function* heldRows(
  order: readonly number[],
  held: readonly HeldRows[],
  writer: RunWriter,
): Generator<DataRowRun> {
  for (const part of order) {
    held[part]?.writeNext(writer);
    if (writer.isFull) yield* taken(writer);
  }
  yield* taken(writer);
}

function* taken(writer: RunWriter): Generator<DataRowRun> {
  const run = writer.take();
  if (run !== undefined) yield run;
}

/** For each row of the statement, the part that inserts it. */
function partOfRow(parts: readonly InsertPart[]): readonly number[] {
  const pairs = parts.flatMap(({ rowIndexes }, part) => rowIndexes.map((row) => ({ row, part })));
  return pairs.toSorted((a, b) => a.row - b.row).map(({ part }) => part);
}

function checkHeldBytes(held: readonly HeldRows[], bytesMax: number): void {
  const bytes = held.reduce((sum, { byteLength }) => sum + byteLength, 0);
  if (bytes <= bytesMax) return;
  throw new SqlError(
    "gather_memory_exceeded",
    `rows returned by several placements need more than ${bytesMax} bytes to be put in order`,
    { hint: "Insert fewer rows at once, or return fewer columns." },
  );
}

/** The rows of one part that have come and are not due. */
class HeldRows {
  readonly #part: InsertPart;
  #runs: DataRowRun[] = [];
  #position = 0;
  #received = 0;

  constructor(part: InsertPart) {
    this.#part = part;
  }

  get isComplete(): boolean {
    return this.#received === this.#part.rowIndexes.length;
  }

  get received(): number {
    return this.#received;
  }

  get byteLength(): number {
    return this.#runs.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  hold(run: DataRowRun): void {
    this.#runs.push(run);
    this.#received += run.count;
    if (this.#received > this.#part.rowIndexes.length) throw this.miscounted();
  }

  /** False where the next row has not come yet. */
  writeNext(writer: RunWriter): boolean {
    const [run] = this.#runs;
    if (run === undefined) return false;
    const end = rowEnd(run.bytes, this.#position);
    writer.appendRow(run.bytes, this.#position, end);
    this.#position = end;
    if (end === run.bytes.length) {
      this.#runs.shift();
      this.#position = 0;
    }
    return true;
  }

  miscounted(): SqlError {
    return new SqlError(
      "placement_rows_miscounted",
      `placement "${this.#part.rows.placementId}" returned ${this.#received} rows for ${this.#part.rowIndexes.length} inserted ones`,
    );
  }
}
