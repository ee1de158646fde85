/**
 * What one target database has still to do, in the order of the source's commits. The router
 * puts in, the target's applier takes out; nothing overtakes.
 *
 * Bounded: who puts in asks for room between transactions and between changes of a long one.
 */
import { invariant } from "../base/invariant.ts";
import { MOVE_QUEUE_BYTES_MAX } from "../base/limits.ts";
import { LSN_ZERO, type Lsn } from "../base/lsn.ts";
import type { BackendConnection } from "../proxy/backend/backend-connection.ts";
import { changeBytes, type TargetChange } from "./target-change.ts";

export type QueueEntry =
  | { readonly kind: "change"; readonly change: TargetChange }
  /** The transaction of the changes before it is whole. */
  | { readonly kind: "commit"; readonly position: Lsn }
  /** Ends a transaction too, if there is one: what somebody put into the source's log. */
  | { readonly kind: "markers"; readonly markers: readonly Marker[]; readonly position: Lsn }
  | { readonly kind: "chunk"; readonly chunk: ChunkEnd; readonly position: Lsn };

export interface Marker {
  readonly prefix: string;
  readonly content: string;
}

/** A chunk whose rows are in, in a transaction of the copier's connection that is still open. */
export interface ChunkEnd {
  readonly connection: BackendConnection;
  /** What met the chunk while it was copied, and what its snapshot does not see. */
  readonly changes: readonly TargetChange[];
  /** Stores in the same transaction that the chunk is done. */
  readonly record: string;
  readonly settled: PromiseWithResolvers<void>;
}

export class TargetQueue {
  #entries: QueueEntry[] = [];
  #next = 0;
  #bytes = 0;
  #reached: Lsn = LSN_ZERO;
  #arrival: PromiseWithResolvers<void> | undefined;
  #room: PromiseWithResolvers<void> | undefined;

  /** How far the stream is: with an empty queue, all before it is done here. */
  get reached(): Lsn {
    return this.#reached;
  }

  get isEmpty(): boolean {
    return this.#next === this.#entries.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(entry: QueueEntry): void {
    if (entry.kind === "change") this.#bytes += changeBytes(entry.change);
    else this.reach(entry.position);
    this.#entries.push(entry);
    this.wake();
  }

  reach(position: Lsn): void {
    if (position > this.#reached) this.#reached = position;
  }

  /** The next entry, or undefined when there is none yet. */
  take(): QueueEntry | undefined {
    const entry = this.#entries[this.#next];
    if (entry === undefined) return undefined;
    this.#next += 1;
    if (this.#next === this.#entries.length) {
      this.#entries = [];
      this.#next = 0;
    }
    if (entry.kind === "change") this.#bytes -= changeBytes(entry.change);
    if (this.#bytes < MOVE_QUEUE_BYTES_MAX) {
      this.#room?.resolve();
      this.#room = undefined;
    }
    return entry;
  }

  /** Has the reader look again, though there may be nothing. */
  wake(): void {
    this.#arrival?.resolve();
    this.#arrival = undefined;
  }

  /** Resolves when there is an entry to take, or somebody wakes the reader. */
  arrival(): Promise<void> {
    if (!this.isEmpty) return Promise.resolve();
    invariant(this.#arrival === undefined, "a queue has one reader");
    this.#arrival = Promise.withResolvers<void>();
    return this.#arrival.promise;
  }

  get isFull(): boolean {
    return this.#bytes >= MOVE_QUEUE_BYTES_MAX;
  }

  /** Resolves when there is room for more. */
  room(): Promise<void> {
    if (!this.isFull) return Promise.resolve();
    this.#room ??= Promise.withResolvers<void>();
    return this.#room.promise;
  }
}
