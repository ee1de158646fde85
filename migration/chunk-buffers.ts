/**
 * Changes that meet chunks while they are copied, kept until each chunk ends, and the
 * transactions that were discarded for chunks and that no snapshot is known to see yet.
 *
 * It knows neither tables nor the stream; who keeps what is router.ts's to say.
 */
import type { DatabaseName } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import { MOVE_BUFFER_BYTES_MAX } from "../base/limits.ts";
import type { OpenChunk } from "./chunk-map.ts";
import { sees, type Snapshot } from "./snapshot.ts";
import { changeBytes, type TargetChange } from "./target-change.ts";

interface Kept {
  readonly transaction: bigint;
  readonly change: TargetChange;
}

interface Buffer {
  readonly byDatabase: Map<DatabaseName, Kept[]>;
  bytes: number;
}

export class ChunkBuffers {
  readonly #buffers = new Map<OpenChunk, Buffer>();
  readonly #unseen = new Set<bigint>();
  #bytes = 0;

  /** Transactions that were discarded for some chunk; a chunk's snapshot has to see them. */
  get unseen(): ReadonlySet<bigint> {
    return this.#unseen;
  }

  /** Too much is kept: a chunk has to end, or to be given up, before the stream goes on. */
  get isOverfull(): boolean {
    return this.#bytes > MOVE_BUFFER_BYTES_MAX;
  }

  /** Of the chunks that are being copied, the one that most is kept for. */
  fullest(): OpenChunk | undefined {
    const [fullest] = [...this.#buffers].toSorted(([, a], [, b]) => b.bytes - a.bytes);
    return fullest?.[0];
  }

  /** From here on changes of the chunk are kept. */
  open(chunk: OpenChunk): void {
    this.#buffers.set(chunk, { byDatabase: new Map(), bytes: 0 });
  }

  keep(chunk: OpenChunk, database: DatabaseName, kept: Kept): void {
    const buffer = this.#buffers.get(chunk);
    invariant(buffer !== undefined, "an open chunk has a buffer");
    const before = buffer.byDatabase.get(database) ?? [];
    before.push(kept);
    buffer.byDatabase.set(database, before);
    const bytes = changeBytes(kept.change);
    buffer.bytes += bytes;
    this.#bytes += bytes;
  }

  discard(transaction: bigint): void {
    this.#unseen.add(transaction);
  }

  /** What was kept for the chunk and its snapshot does not see, by target. */
  take(chunk: OpenChunk, snapshot: Snapshot): ReadonlyMap<DatabaseName, readonly TargetChange[]> {
    const taken = new Map<DatabaseName, readonly TargetChange[]>();
    for (const [database, kept] of this.#drop(chunk)?.byDatabase ?? []) {
      const applied = kept.filter(({ transaction }) => !sees(snapshot, transaction));
      taken.set(
        database,
        applied.map(({ change }) => change),
      );
    }
    return taken;
  }

  /** The chunk is given up: what was kept counts as discarded. */
  abandon(chunk: OpenChunk): void {
    for (const kept of this.#drop(chunk)?.byDatabase.values() ?? [])
      for (const { transaction } of kept) this.#unseen.add(transaction);
  }

  /** What one snapshot of the source sees, every later one does. */
  observe(snapshot: Snapshot): void {
    for (const id of this.#unseen) if (sees(snapshot, id)) this.#unseen.delete(id);
  }

  #drop(chunk: OpenChunk): Buffer | undefined {
    const buffer = this.#buffers.get(chunk);
    this.#buffers.delete(chunk);
    this.#bytes -= buffer?.bytes ?? 0;
    return buffer;
  }
}
