/**
 * One table cut into ranges of its key, and how far each is in each target database:
 *
 *     todo ──open──▶ open ──done──▶ done, under a snapshot
 *       ▲              │
 *       └───reopen─────┘   given up: its changes are discarded, and it is copied anew
 *
 * It answers what becomes of a change of the stream: `todo` discards it, for the snapshot that
 * the range will be copied under sees it; `open` keeps it until the range is done; `done`
 * applies it unless the range's snapshot saw it.
 *
 * In memory and without effects; what is done is durable in the targets, and read back.
 */
import type { DatabaseName } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import { compareOrdered, orderedKey, type KeyText, type OrderedKey } from "./key-order.ts";
import type { KeyOrder } from "./move.ts";
import { sees, type Snapshot } from "./snapshot.ts";

/** Keys k with from < k <= to; undefined is unbounded. */
export interface KeyRange {
  readonly from: KeyText | undefined;
  readonly to: KeyText | undefined;
}

/** What a target has stored of a finished chunk. */
export interface DoneChunk extends KeyRange {
  readonly database: DatabaseName;
  readonly snapshot: Snapshot;
}

/** A range that is being copied; the changes that meet it meanwhile are its owner's to keep. */
export interface OpenChunk extends KeyRange {
  /** Where it is not done yet. */
  readonly databases: readonly DatabaseName[];
}

export type Verdict =
  | { readonly kind: "discard" }
  | { readonly kind: "buffer"; readonly chunk: OpenChunk }
  | { readonly kind: "apply" }
  /** The copied rows have it already. */
  | { readonly kind: "seen" };

const DISCARD: Verdict = { kind: "discard" };
const APPLY: Verdict = { kind: "apply" };
const SEEN: Verdict = { kind: "seen" };

interface Range extends KeyRange {
  /** The upper bound, ready to be compared. */
  readonly upper: OrderedKey | undefined;
  readonly open: OpenChunk | undefined;
  /** Absent where it is neither done nor open. */
  readonly done: ReadonlyMap<DatabaseName, Snapshot>;
}

export class ChunkMap {
  readonly #orders: readonly KeyOrder[];
  readonly #databases: readonly DatabaseName[];
  /** In the order of the key, without gaps: each begins where the one before it ends. */
  #ranges: Range[];
  readonly #givenUp = new Set<OpenChunk>();
  /** Every transaction below it has been met in the stream, so none below it comes any more. */
  #horizon = 0n;
  /** No snapshot of a finished table is above it; undefined until all is done. */
  #finishedBelow: bigint | undefined;

  constructor(
    orders: readonly KeyOrder[],
    databases: readonly DatabaseName[],
    done: readonly DoneChunk[] = [],
  ) {
    this.#orders = orders;
    this.#databases = databases;
    this.#ranges = rangesOf(orders, done);
    this.#settle();
  }

  get isDone(): boolean {
    return this.#finishedBelow !== undefined;
  }

  /** Some change may still have to be held against a snapshot. */
  get isFiltering(): boolean {
    return this.#finishedBelow === undefined || this.#finishedBelow > this.#horizon;
  }

  /** Ranges that are neither done everywhere nor being copied. */
  get todoCount(): number {
    return this.#ranges.filter((range) => this.#isTodo(range)).length;
  }

  get rangeCount(): number {
    return this.#ranges.length;
  }

  /** What becomes of a change to a row with this key. */
  judge(key: KeyText, database: DatabaseName, transaction: bigint): Verdict {
    if (!this.isFiltering) return APPLY;
    return this.#verdict(this.#rangeOf(key), database, transaction);
  }

  /** For a change to all rows: each range with its verdict. */
  judgeAll(
    database: DatabaseName,
    transaction: bigint,
  ): readonly { readonly range: KeyRange; readonly verdict: Verdict }[] {
    return this.#ranges.map((range) => ({
      range,
      verdict: this.#verdict(range, database, transaction),
    }));
  }

  isSameRange(left: KeyText, right: KeyText): boolean {
    return this.#ranges.length === 1 || this.#rangeOf(left) === this.#rangeOf(right);
  }

  /** The first range in need of a copy, to be cut to size and opened. */
  nextTodo(): KeyRange | undefined {
    return this.#ranges.find((range) => this.#isTodo(range));
  }

  /** As `open`, for the part of the range that ends with `last`; the rest of it waits. */
  openPart(range: KeyRange, last: KeyText): OpenChunk {
    const at = this.#ranges.findIndex((each) => each === range);
    const whole = this.#ranges[at];
    invariant(whole !== undefined && this.#isTodo(whole), "only a range that waits is cut");
    const first: Range = { ...whole, to: last, upper: orderedKey(this.#orders, last) };
    this.#ranges.splice(at, 1, first, { ...whole, from: last });
    return this.open(first);
  }

  /** From here on its changes are buffered. */
  open(range: KeyRange): OpenChunk {
    const at = this.#ranges.findIndex((each) => each === range);
    const whole = this.#ranges[at];
    invariant(whole !== undefined && this.#isTodo(whole), "only a range that waits is opened");
    const databases = this.#databases.filter((database) => !whole.done.has(database));
    const chunk: OpenChunk = { from: whole.from, to: whole.to, databases };
    this.#ranges[at] = { ...whole, open: chunk };
    return chunk;
  }

  /** From here on its changes are applied, unless the snapshot saw them. */
  finish(chunk: OpenChunk, snapshot: Snapshot): void {
    this.#close(chunk, (range) => {
      const done = new Map(range.done);
      for (const database of chunk.databases) done.set(database, snapshot);
      return { ...range, open: undefined, done };
    });
    this.#settle();
  }

  /** Its copy is in vain: from here on changes are discarded, until its owner has it reopened. */
  giveUp(chunk: OpenChunk): void {
    if (this.#ranges.some(({ open }) => open === chunk)) this.#givenUp.add(chunk);
  }

  isGivenUp(chunk: OpenChunk): boolean {
    return this.#givenUp.has(chunk);
  }

  /** It is to be copied anew. */
  reopen(chunk: OpenChunk): void {
    this.#givenUp.delete(chunk);
    this.#close(chunk, (range) => ({ ...range, open: undefined }));
  }

  /** No transaction below `horizon` comes any more: filters that it has passed need not be asked. */
  pass(horizon: bigint): void {
    if (horizon > this.#horizon) this.#horizon = horizon;
  }

  #verdict(range: Range, database: DatabaseName, transaction: bigint): Verdict {
    const snapshot = range.done.get(database);
    if (snapshot !== undefined) return sees(snapshot, transaction) ? SEEN : APPLY;
    const chunk = range.open;
    return chunk === undefined || this.#givenUp.has(chunk) ? DISCARD : { kind: "buffer", chunk };
  }

  #close(chunk: OpenChunk, change: (range: Range) => Range): void {
    const at = this.#ranges.findIndex(({ open }) => open === chunk);
    const range = this.#ranges[at];
    invariant(range !== undefined, "only an open chunk is closed");
    this.#ranges[at] = change(range);
  }

  #isTodo({ open, done }: Range): boolean {
    return open === undefined && done.size < this.#databases.length;
  }

  #settle(): void {
    const isDone = this.#ranges.every(({ done }) => done.size === this.#databases.length);
    if (!isDone) return;
    let highest = 0n;
    for (const { done } of this.#ranges)
      for (const { xmax } of done.values()) if (xmax > highest) highest = xmax;
    this.#finishedBelow = highest;
  }

  #rangeOf(key: KeyText): Range {
    const ordered = orderedKey(this.#orders, key);
    let low = 0;
    let high = this.#ranges.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const upper = this.#ranges[middle]?.upper;
      if (upper === undefined || compareOrdered(ordered, upper) <= 0) high = middle;
      else low = middle + 1;
    }
    const range = this.#ranges[low];
    invariant(range !== undefined, "ranges leave no gap");
    return range;
  }
}

/** Every bound that any target has stored is a bound here: a chunk may be done in some of them only. */
function rangesOf(orders: readonly KeyOrder[], done: readonly DoneChunk[]): Range[] {
  const bounds = new Map<string, { readonly text: KeyText; readonly key: OrderedKey }>();
  for (const { from, to } of done)
    for (const text of [from, to])
      if (text !== undefined)
        bounds.set(JSON.stringify(text), { text, key: orderedKey(orders, text) });
  const sorted = [...bounds.values()].toSorted((a, b) => compareOrdered(a.key, b.key));
  const ranges: Range[] = [];
  let from: KeyText | undefined;
  for (const bound of [...sorted, undefined]) {
    ranges.push({ from, to: bound?.text, upper: bound?.key, open: undefined, done: new Map() });
    from = bound?.text;
  }
  const startOf = new Map(ranges.map((range, at) => [JSON.stringify(range.from ?? null), at]));
  for (const chunk of done) {
    const end = JSON.stringify(chunk.to ?? null);
    let at = startOf.get(JSON.stringify(chunk.from ?? null));
    for (let range = ranges[at ?? -1]; range !== undefined; range = ranges[at]) {
      invariant(at !== undefined && !range.done.has(chunk.database), "a key is copied once");
      ranges[at] = { ...range, done: new Map([...range.done, [chunk.database, chunk.snapshot]]) };
      if (JSON.stringify(range.to ?? null) === end) break;
      at += 1;
    }
  }
  return ranges;
}
