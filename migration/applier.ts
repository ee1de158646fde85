/**
 * Does in one target what its queue says, in the order of the source's commits: several of the
 * source's transactions in one of the target's, never half of one, and in the same transaction
 * how far that is.
 *
 * Strict: a change that does not find exactly one row stops it, and so does an epoch that was
 * lost. It never skips.
 */
import { MOVE_BATCH_CHANGES_MAX, MOVE_IDLE_PROGRESS_MS } from "../base/limits.ts";
import type { Lsn } from "../base/lsn.ts";
import type { BackendConnection } from "../proxy/backend/backend-connection.ts";
import { applyChanges } from "./apply-pipeline.ts";
import { ticketOfMarker } from "./fence.ts";
import type { TargetChange } from "./target-change.ts";
import type { ChunkEnd, Marker, QueueEntry, TargetQueue } from "./target-queue.ts";
import { epochLost, updateProgress, type Holder } from "./target-state.ts";

export interface ApplierOptions {
  readonly holder: Holder;
  readonly queue: TargetQueue;
  /** What the target has durably. */
  readonly position: Lsn;
  /** Everything before the marker is durable here; nothing more is applied until it resolves. */
  readonly onMarker: (marker: Marker, position: Lsn) => Promise<void>;
}

export class Applier {
  readonly #target: BackendConnection;
  readonly #options: ApplierOptions;
  #durable: Lsn;
  #pending: TargetChange[] = [];
  /** The first `count` of the pending are of whole transactions, the last of which ends at `position`. */
  #whole: { readonly position: Lsn; readonly count: number } | undefined;
  /** Part of a transaction that is too large to wait for its end is applied and not committed. */
  #isOpen = false;
  #changeCount = 0;

  constructor(target: BackendConnection, options: ApplierOptions) {
    this.#target = target;
    this.#options = options;
    this.#durable = options.position;
  }

  /** Everything before it is durable in this target. */
  get durable(): Lsn {
    return this.#durable;
  }

  /** Changes applied so far, those of chunks included. */
  get changeCount(): number {
    return this.#changeCount;
  }

  /** Until the signal aborts; rejects with its reason, or with what went wrong. */
  async run(signal: AbortSignal): Promise<void> {
    const { queue } = this.#options;
    signal.addEventListener("abort", () => queue.wake(), { once: true });
    for (;;) {
      signal.throwIfAborted();
      const entry = queue.take();
      if (entry === undefined) await this.#rest();
      else await this.#do(entry);
    }
  }

  async #do(entry: QueueEntry): Promise<void> {
    switch (entry.kind) {
      case "change":
        this.#pending.push(entry.change);
        if (this.#pending.length < MOVE_BATCH_CHANGES_MAX) return;
        await (this.#whole === undefined ? this.#applyPart() : this.#commitWhole());
        return;
      case "commit":
        this.#whole = { position: entry.position, count: this.#pending.length };
        if (this.#isOpen || this.#pending.length >= MOVE_BATCH_CHANGES_MAX / 2)
          await this.#commitWhole();
        return;
      case "markers":
        await this.#commitMarkers(entry.markers, entry.position);
        return;
      case "chunk":
        await this.#commitWhole();
        await this.#endChunk(entry.chunk, entry.position);
        return;
    }
  }

  /** Nothing to take: what is whole is committed, and after a while the slot may follow the stream. */
  async #rest(): Promise<void> {
    const { queue } = this.#options;
    await this.#commitWhole();
    const timer = setTimeout(() => queue.wake(), MOVE_IDLE_PROGRESS_MS);
    await queue.arrival();
    clearTimeout(timer);
    if (!queue.isEmpty || this.#isOpen || this.#pending.length > 0) return;
    if (queue.reached <= this.#durable) return;
    this.#whole = { position: queue.reached, count: 0 };
    await this.#commitWhole();
  }

  async #applyPart(): Promise<void> {
    await this.#apply(this.#pending.splice(0));
  }

  async #apply(changes: readonly TargetChange[]): Promise<void> {
    if (!this.#isOpen) await this.#target.query("BEGIN");
    this.#isOpen = true;
    await applyChanges(this.#target, changes);
    this.#changeCount += changes.length;
  }

  async #commitWhole(marker?: Marker): Promise<void> {
    if (this.#whole === undefined) return;
    const { position, count } = this.#whole;
    await this.#apply(this.#pending.splice(0, count));
    const { holder } = this.#options;
    const { tag } = await this.#target.query(updateProgress(holder, position, marker));
    if (tag !== "UPDATE 1") throw epochLost(this.#target.database, holder);
    await this.#target.query("COMMIT");
    this.#isOpen = false;
    this.#whole = undefined;
    this.#durable = position;
  }

  /** The markers and what stands before them are durable together, and then somebody may look. */
  async #commitMarkers(markers: readonly Marker[], position: Lsn): Promise<void> {
    this.#whole = { position: later(position, this.#durable), count: this.#pending.length };
    const { move } = this.#options.holder;
    await this.#commitWhole(markers.findLast((each) => ticketOfMarker(move, each) !== undefined));
    for (const marker of markers) await this.#options.onMarker(marker, position);
  }

  /** The copier's own transaction: the rows are in, the rest is added here, and it ends in this place of the queue. */
  async #endChunk(chunk: ChunkEnd, reached: Lsn): Promise<void> {
    const position = later(reached, this.#durable);
    const { connection, changes, record, settled } = chunk;
    try {
      await applyChanges(connection, changes);
      await connection.query(record);
      const { tag } = await connection.query(updateProgress(this.#options.holder, position));
      if (tag !== "UPDATE 1") throw epochLost(connection.database, this.#options.holder);
      await connection.query("COMMIT");
      this.#changeCount += changes.length;
      this.#durable = position;
      settled.resolve();
    } catch (error) {
      settled.reject(error);
      throw error;
    }
  }
}

function later(left: Lsn, right: Lsn): Lsn {
  return left > right ? left : right;
}
