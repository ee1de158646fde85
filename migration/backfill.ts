/**
 * Copies the tables of a move, chunk by chunk, by several workers at once, while the stream is
 * applied. Each worker has one connection to the source and one to each target, and one chunk.
 *
 * What is done is stored in the targets; a process that is killed loses the chunks that were
 * open, and the next one goes on from what is stored.
 */
import { invariant } from "../base/invariant.ts";
import type { DatabaseName } from "../base/ids.ts";
import { MOVE_CHUNK_ROWS } from "../base/limits.ts";
import type { BackendConnection } from "../proxy/backend/backend-connection.ts";
import { copyChunk, type CopiedChunk } from "./chunk-copy.ts";
import type { ChunkMap, KeyRange, OpenChunk } from "./chunk-map.ts";
import { orderedColumns } from "./key-order.ts";
import { keyList, rangeCondition } from "./key-sql.ts";
import type { MovedTable } from "./move.ts";
import type { Router } from "./router.ts";
import { openSource, openTarget, type MoveDatabase } from "./sessions.ts";
import { sees, type Snapshot } from "./snapshot.ts";
import { withSignal } from "./with-signal.ts";
import { recordChunk, type Holder } from "./target-state.ts";
import type { TargetQueue } from "./target-queue.ts";
import { quoteQualified } from "../base/sql-quoting.ts";

export interface BackfillOptions {
  readonly chunks: ReadonlyMap<MovedTable, ChunkMap>;
  readonly router: Router;
  readonly queues: ReadonlyMap<DatabaseName, TargetQueue>;
  readonly source: MoveDatabase;
  readonly targets: readonly MoveDatabase[];
  readonly holder: Holder;
  readonly workerCount: number;
  /**
   * Every transaction that a former process may have discarded is below it, so snapshots have
   * to see all below it: one may be in the log and not yet seen, while its commit waits.
   */
  readonly floor: bigint;
  readonly chunkRows?: number | undefined;
  /** Asked before each chunk, with the rows copied so far; resolves when the servers can bear more. */
  readonly mayCopy?: ((rowCount: number, signal: AbortSignal) => Promise<void>) | undefined;
  /** Of each chunk: whether the targets may have its rows already. False unless given. */
  readonly isComparing?: (() => boolean) | undefined;
}

export interface CopyProgress {
  readonly rowCount: number;
  readonly byteCount: number;
  readonly chunkCount: number;
  readonly retakeCount: number;
  /** Chunks given up because too much changed in them meanwhile. */
  readonly givenUpCount: number;
}

interface Connections {
  readonly source: BackendConnection;
  readonly targets: ReadonlyMap<DatabaseName, BackendConnection>;
}

interface Task {
  readonly table: MovedTable;
  readonly chunks: ChunkMap;
  readonly chunk: OpenChunk;
}

export class Backfill {
  readonly #options: BackfillOptions;
  #progress = { rowCount: 0, byteCount: 0, chunkCount: 0, retakeCount: 0, givenUpCount: 0 };
  /** Tasks are cut one after another. */
  #cutting: Promise<unknown> = Promise.resolve();
  #ended = Promise.withResolvers<void>();

  constructor(options: BackfillOptions) {
    this.#options = options;
  }

  get progress(): CopyProgress {
    return { ...this.#progress };
  }

  /** Resolves when every chunk of every table is done everywhere. */
  async run(signal: AbortSignal): Promise<void> {
    const workers = Array.from({ length: this.#options.workerCount }, () => this.#work(signal));
    await Promise.all(workers);
  }

  /** Resolves when a chunk has ended, in whatever way. */
  chunkEnded(): Promise<void> {
    return this.#ended.promise;
  }

  /** In the middle of a transaction that no chunk can end in: the one that most is kept for is copied again. */
  giveUpFullest(): void {
    const chunk = this.#options.router.buffers.fullest();
    if (chunk === undefined) return;
    for (const chunks of this.#options.chunks.values()) chunks.giveUp(chunk);
    this.#options.router.buffers.abandon(chunk);
    this.#progress.givenUpCount += 1;
  }

  async #work(signal: AbortSignal): Promise<void> {
    let connections: Connections | undefined;
    // Also what waits in a server, for a lock of somebody's, is not waited for any more.
    const close = (): void => {
      connections?.source.destroy();
      for (const target of connections?.targets.values() ?? []) target.destroy();
    };
    signal.addEventListener("abort", close, { once: true });
    try {
      for (;;) {
        await this.#options.mayCopy?.(this.#progress.rowCount, signal);
        signal.throwIfAborted();
        if (!this.#hasTodo()) return;
        connections ??= await this.#connect(signal);
        signal.throwIfAborted();
        const task = await this.#next(connections.source);
        if (task === undefined) return;
        await this.#copy(task, connections, signal);
      }
    } finally {
      signal.removeEventListener("abort", close);
      close();
    }
  }

  #hasTodo(): boolean {
    return [...this.#options.chunks.values()].some((chunks) => chunks.nextTodo() !== undefined);
  }

  async #connect(signal: AbortSignal): Promise<Connections> {
    const source = await openSource(this.#options.source, signal);
    const targets = new Map<DatabaseName, BackendConnection>();
    for (const target of this.#options.targets)
      targets.set(target.name, await openTarget(target, signal));
    return { source, targets };
  }

  /** The next range in need, cut to a chunk's size and open; undefined when none is left. */
  #next(source: BackendConnection): Promise<Task | undefined> {
    const next = this.#cutting.then(() => this.#cut(source));
    this.#cutting = next.catch(() => undefined);
    return next;
  }

  async #cut(source: BackendConnection): Promise<Task | undefined> {
    for (const [table, chunks] of this.#options.chunks) {
      const range = chunks.nextTodo();
      if (range === undefined) continue;
      const last = await this.#lastKeyOf(source, table, range);
      const chunk = last === undefined ? chunks.open(range) : chunks.openPart(range, last);
      this.#options.router.buffers.open(chunk);
      return { table, chunks, chunk };
    }
    return undefined;
  }

  /** Of a chunk at the beginning of the range; undefined where the range is no larger than one. */
  async #lastKeyOf(
    source: BackendConnection,
    table: MovedTable,
    range: KeyRange,
  ): Promise<readonly string[] | undefined> {
    const indexes = orderedColumns(table);
    if (indexes.length === 0) return undefined;
    const keys = keyList(table, indexes);
    const name = quoteQualified(table.schema, table.name);
    const rows = this.#options.chunkRows ?? MOVE_CHUNK_ROWS;
    const answer = await source.query(
      `SELECT ${keys} FROM ${name} WHERE ${rangeCondition(table, range)} ORDER BY ${keys} OFFSET ${rows - 1} LIMIT 1`,
    );
    const key = answer.rows[0]?.map((value) => value ?? "");
    // A key prefix that has reached the range's own end leaves nothing to cut off.
    return key === undefined || JSON.stringify(key) === JSON.stringify(range.to) ? undefined : key;
  }

  async #copy(task: Task, connections: Connections, signal: AbortSignal): Promise<void> {
    const { table, chunks, chunk } = task;
    const { router } = this.#options;
    const copied = await copyChunk({
      table,
      chunk,
      ...connections,
      tables: router.tables,
      isCompared: this.#options.isComparing?.() ?? false,
      seesDiscarded: (snapshot) => this.#seesDiscarded(snapshot),
      signal,
    });
    this.#progress.retakeCount += copied.retakes;
    const ended = new Promise<readonly Promise<void>[] | undefined>((resolve, reject) => {
      router.atBoundary(() => {
        try {
          resolve(this.#end(task, copied, connections));
        } catch (error) {
          reject(error);
        }
      });
    });
    const endings = await withSignal(ended, signal);
    if (endings === undefined) {
      for (const database of chunk.databases)
        await connections.targets.get(database)?.query("ROLLBACK");
      chunks.reopen(chunk);
    } else await withSignal(Promise.all(endings), signal);
    this.#ended.resolve();
    this.#ended = Promise.withResolvers<void>();
  }

  #seesDiscarded(snapshot: Snapshot): boolean {
    if (snapshot.xmin < this.#options.floor) return false;
    const { router } = this.#options;
    for (const id of router.buffers.unseen) if (!sees(snapshot, id)) return false;
    router.observe(snapshot);
    return true;
  }

  /**
   * Between two transactions of the stream: what was kept so far goes into the chunk's own
   * transactions, and what comes from here on is queued behind them. Undefined where the chunk
   * was given up meanwhile.
   */
  #end(
    { table, chunks, chunk }: Task,
    copied: CopiedChunk,
    connections: Connections,
  ): readonly Promise<void>[] | undefined {
    if (chunks.isGivenUp(chunk)) return undefined;
    const { router, queues, holder } = this.#options;
    const { snapshot, byteCount, rowCounts } = copied;
    const changes = router.takeChunk(chunk, snapshot);
    chunks.finish(chunk, snapshot);
    this.#progress.chunkCount += 1;
    this.#progress.byteCount += byteCount;
    return chunk.databases.map((database) => {
      const rowCount = rowCounts.get(database) ?? 0;
      this.#progress.rowCount += rowCount;
      const connection = connections.targets.get(database);
      const queue = queues.get(database);
      invariant(connection !== undefined && queue !== undefined, "a chunk's targets are connected");
      const settled = Promise.withResolvers<void>();
      const range = { from: chunk.from, to: chunk.to };
      const record = recordChunk({
        move: holder.move,
        table,
        snapshot,
        rowCount,
        byteCount,
        ...range,
      });
      queue.push({
        kind: "chunk",
        chunk: { connection, changes: changes.get(database) ?? [], record, settled },
        position: router.position,
      });
      return settled.promise;
    });
  }
}
