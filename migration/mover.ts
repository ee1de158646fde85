/**
 * Runs the data path of one move: the stream is read, routed and applied in every target, while
 * the tables are copied. It begins from what the targets have stored, whoever ran before.
 *
 *     slot ──▶ router ──▶ queue ──▶ applier ──▶ target 1
 *                │  ▲  └▶ queue ──▶ applier ──▶ target 2
 *                │  └── chunks: open, done ◀── backfill workers: source ─COPY─▶ targets
 *                └── confirmed: the least of what the targets have durably
 *
 * The first thing that goes wrong ends all of it. It decides nothing about when a migration
 * switches: the orchestrator watches, waits for markers, and stops it.
 */
import { invariant } from "../base/invariant.ts";
import type { DatabaseName } from "../base/ids.ts";
import { MOVE_CONFIRM_MS, MOVE_UNSEEN_MAX } from "../base/limits.ts";
import { LSN_ZERO, parseLsn, printLsn, type Lsn } from "../base/lsn.ts";
import { quoteLiteral } from "../base/sql-quoting.ts";
import { SqlError } from "../base/sql-error.ts";
import type { BackendConnection } from "../proxy/backend/backend-connection.ts";
import { Applier } from "./applier.ts";
import { Backfill, type CopyProgress } from "./backfill.ts";
import { ChangeStream, confirmedPosition } from "./change-stream.ts";
import { ChunkMap, type DoneChunk } from "./chunk-map.ts";
import type { ForeignWritesOptions } from "./foreign-writes.ts";
import { ordersOf } from "./key-order.ts";
import { MarkerWaits } from "./marker-waits.ts";
import { placementsOf, targetDatabases, type Move, type MovedTable } from "./move.ts";
import { isOwnOrigin, tagSession } from "./origin.ts";
import { Router } from "./router.ts";
import { openSource, openTarget, type MoveDatabase } from "./sessions.ts";
import { parseSnapshot } from "./snapshot.ts";
import { endWalsender, streamNames } from "./stream-setup.ts";
import { TargetQueue } from "./target-queue.ts";
import { readChunks, takeOver, type Holder } from "./target-state.ts";

export interface MoverOptions extends ForeignWritesOptions {
  readonly move: Move;
  readonly source: MoveDatabase;
  /** Of every database that the move names as a target. */
  readonly targets: readonly MoveDatabase[];
  /** Higher than that of whoever ran the move before. */
  readonly epoch: bigint;
  /** Chunks that are copied at once. */
  readonly workerCount: number;
  readonly chunkRows?: number | undefined;
  /** See BackfillOptions. */
  readonly mayCopy?: ((rowCount: number, signal: AbortSignal) => Promise<void>) | undefined;
  /** See BackfillOptions. */
  readonly isComparing?: (() => boolean) | undefined;
}

export interface MoveProgress {
  readonly copy: CopyProgress;
  /** Every chunk of every table is done everywhere. */
  readonly isCopied: boolean;
  readonly chunks: readonly {
    readonly table: MovedTable;
    readonly total: number;
    readonly todo: number;
  }[];
  /** Row changes applied since this process began. */
  readonly changeCount: number;
  /** Where the stream is, and where the source's log ended when it last told. */
  readonly received: Lsn;
  readonly serverEnd: Lsn;
  /** By target: everything before it is durable there. */
  readonly durable: ReadonlyMap<DatabaseName, Lsn>;
}

export class Mover implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #stream: ChangeStream;
  readonly #router: Router;
  readonly #backfill: Backfill;
  readonly #observer: BackendConnection;
  readonly #queues: ReadonlyMap<DatabaseName, TargetQueue>;
  readonly #chunks: ReadonlyMap<MovedTable, ChunkMap>;
  readonly #connections: readonly BackendConnection[];
  readonly #appliers: ReadonlyMap<DatabaseName, Applier>;
  readonly #markers: MarkerWaits;
  readonly #ended: Promise<void>;
  readonly #copied = Promise.withResolvers<void>();
  readonly #confirming: NodeJS.Timeout;
  #isObserving = false;
  /** No transaction `below` it comes any more once the stream is `at` that place. */
  #horizon: { readonly below: bigint; readonly at: Lsn } | undefined;

  /**
   * Takes the move over and goes on with it. Rejects with `migration_epoch_lost`,
   * `migration_slot_lost`, or what a connection says.
   */
  static async start(options: MoverOptions, signal?: AbortSignal): Promise<Mover> {
    using opened = new Opened();
    const { move, source, epoch } = options;
    const holder: Holder = { move: move.name, epoch };
    const names = streamNames(move);
    const observer = opened.add(await openSource(source, signal));
    const confirmed = await confirmedPosition(observer, names.slot);
    if (confirmed === undefined) throw slotGone(names.slot);
    const done = new Map<DatabaseName, Lsn>();
    const targets = new Map<DatabaseName, BackendConnection>();
    for (const name of targetDatabases(move)) {
      const target = options.targets.find((each) => each.name === name);
      invariant(target !== undefined, "every target of a move has an address");
      const connection = opened.add(await openTarget(target, signal));
      const position = await takeOver(connection, holder, confirmed);
      // The slot has forgotten what this target told it had, and has not.
      if (position < confirmed) throw targetBehind(name, position, confirmed);
      await endFormer(connection, move.name);
      await tagSession(connection, move.name);
      done.set(name, position);
      targets.set(name, connection);
    }
    const chunks = await readChunkMaps(move, targets);
    // An id that is not below every transaction that has committed by now: see Backfill's floor.
    const [row] = (await observer.query("SELECT pg_current_xact_id(), pg_current_snapshot()")).rows;
    const floor = BigInt(row?.[0] ?? "0");
    await endWalsender(observer, names.slot);
    const stream = await ChangeStream.open(source, names, signal ?? new AbortController().signal);
    opened.keep();
    return new Mover(options, { observer, stream, chunks, targets, done, floor });
  }

  constructor(
    options: MoverOptions,
    started: {
      readonly observer: BackendConnection;
      readonly stream: ChangeStream;
      readonly chunks: ReadonlyMap<MovedTable, ChunkMap>;
      readonly targets: ReadonlyMap<DatabaseName, BackendConnection>;
      readonly done: ReadonlyMap<DatabaseName, Lsn>;
      readonly floor: bigint;
    },
  ) {
    const { move, epoch, mayBeWritten, fenceTicket } = options;
    const { done, floor } = started;
    this.#observer = started.observer;
    this.#stream = started.stream;
    this.#chunks = started.chunks;
    this.#connections = [...started.targets.values()];
    this.#queues = new Map(targetDatabases(move).map((name) => [name, new TargetQueue()]));
    this.#markers = new MarkerWaits([...this.#queues.keys()]);
    const [chunks, queues] = [this.#chunks, this.#queues];
    const near = { near: floor, isOwnOrigin, mayBeWritten, fenceTicket };
    const facts = { move, chunks, queues, done, ...near };
    this.#router = new Router(facts);
    const holder: Holder = { move: move.name, epoch };
    this.#backfill = new Backfill({
      ...options,
      holder,
      floor,
      chunks,
      queues,
      router: this.#router,
    });
    const appliers = new Map<DatabaseName, Applier>();
    for (const [name, target] of started.targets) {
      const queue = queues.get(name);
      invariant(queue !== undefined, "every target has a queue");
      const onMarker = this.#markers.reached.bind(this.#markers, name);
      const position = done.get(name) ?? LSN_ZERO;
      appliers.set(name, new Applier(target, { holder, queue, position, onMarker }));
    }
    this.#appliers = appliers;
    this.#confirming = setInterval(() => this.#tick(), MOVE_CONFIRM_MS);
    this.#ended = this.#run();
    this.#ended.catch(() => undefined);
    this.#copied.promise.catch(() => undefined);
  }

  /** Rejects with what ended the move; resolves after `stop`. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Resolves when every row is copied; rejects where the move ends before. */
  get copied(): Promise<void> {
    return this.#copied.promise;
  }

  get markers(): MarkerWaits {
    return this.#markers;
  }

  get progress(): MoveProgress {
    const appliers = [...this.#appliers];
    return {
      copy: this.#backfill.progress,
      isCopied: [...this.#chunks.values()].every(({ isDone }) => isDone),
      chunks: [...this.#chunks].map(([table, { rangeCount, todoCount }]) => ({
        table,
        total: rangeCount,
        todo: todoCount,
      })),
      changeCount: appliers.reduce((sum, [, { changeCount }]) => sum + changeCount, 0),
      received: this.#router.position,
      serverEnd: this.#stream.serverEnd,
      durable: new Map(appliers.map(([name, { durable }]) => [name, durable])),
    };
  }

  /** Everything is left as durable as it is; the next one goes on from there. */
  async stop(): Promise<void> {
    this.#stop.abort(new MoveStopped("the move was stopped"));
    await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new MoveStopped("the move was stopped"));
    await this.#ended.catch(() => undefined);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const parts = [
      this.#pump(signal),
      this.#backfill.run(signal).then(() => this.#copied.resolve()),
      ...[...this.#appliers.values()].map((applier) => applier.run(signal)),
    ];
    for (const part of parts)
      part.catch((error: unknown) => {
        this.#stop.abort(error);
      });
    // What waits in a server, for a lock of somebody's, would else not end.
    const close = (): void => {
      for (const connection of [this.#observer, ...this.#connections]) connection.destroy();
    };
    signal.addEventListener("abort", close, { once: true });
    // Only a failure ends all of them: the first is the reason, the others follow from it.
    await Promise.allSettled(parts);
    clearInterval(this.#confirming);
    this.#confirm();
    this.#stream[Symbol.dispose]();
    this.#copied.reject(signal.reason);
    this.#markers.fail(signal.reason);
    if (!(signal.reason instanceof MoveStopped)) throw signal.reason;
  }

  async #pump(signal: AbortSignal): Promise<void> {
    const router = this.#router;
    const aborted = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => aborted.resolve(), { once: true });
    for (;;) {
      router.receive(this.#stream.tryNext() ?? (await this.#stream.next(signal)));
      for (const queue of this.#queues.values())
        if (queue.isFull) await Promise.race([queue.room(), aborted.promise]);
      while (router.buffers.isOverfull && !signal.aborted) {
        if (router.isInTransaction) this.#backfill.giveUpFullest();
        else await Promise.race([this.#backfill.chunkEnded(), aborted.promise]);
      }
      if (router.buffers.unseen.size > MOVE_UNSEEN_MAX && !this.#isObserving) this.#observe();
      signal.throwIfAborted();
    }
  }

  /** Which of the discarded transactions every later snapshot sees, and which can no longer come. */
  #observe(): void {
    this.#isObserving = true;
    const answer = this.#observer.query(
      "SELECT pg_current_snapshot(), pg_current_wal_insert_lsn()",
    );
    answer
      .then(({ rows: [row] }) => {
        const snapshot = parseSnapshot(row?.[0] ?? "");
        this.#router.observe(snapshot);
        this.#horizon ??= { below: snapshot.xmin, at: parseLsn(row?.[1] ?? "") ?? LSN_ZERO };
        this.#isObserving = false;
      })
      .catch((error: unknown) => this.#stop.abort(error));
  }

  /** All below the horizon had committed before a place that the stream has passed by now. */
  #pass(): void {
    if (this.#horizon === undefined || this.#router.position < this.#horizon.at) return;
    for (const chunks of this.#chunks.values()) chunks.pass(this.#horizon.below);
    this.#horizon = undefined;
  }

  #tick(): void {
    this.#confirm();
    this.#pass();
    const isFiltering = [...this.#chunks.values()].some((chunks) => chunks.isFiltering);
    const isAsking = this.#isObserving || this.#horizon !== undefined;
    if (isFiltering && !isAsking) this.#observe();
  }

  #confirm(): void {
    let least: Lsn | undefined;
    for (const { durable } of this.#appliers.values())
      if (least === undefined || durable < least) least = durable;
    if (least !== undefined) this.#stream.confirm(least);
  }
}

/** Sessions that applied this move before it was taken over: one may hold the origin, and serve nobody. */
async function endFormer(target: BackendConnection, move: string): Promise<void> {
  const name = quoteLiteral(`colonnade ${move}`);
  await target.query(
    `SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE application_name = ${name} AND datname = current_database() AND pid <> pg_backend_pid()`,
  );
  await target.query(`SET application_name = ${name}`);
}

class MoveStopped extends Error {
  override readonly name = "MoveStopped";
}

/** Connections that are closed again unless all of them are kept. */
class Opened implements Disposable {
  #connections: BackendConnection[] = [];

  add(connection: BackendConnection): BackendConnection {
    this.#connections.push(connection);
    return connection;
  }

  keep(): void {
    this.#connections = [];
  }

  [Symbol.dispose](): void {
    for (const connection of this.#connections) connection.destroy();
  }
}

async function readChunkMaps(
  move: Move,
  targets: ReadonlyMap<DatabaseName, BackendConnection>,
): Promise<ReadonlyMap<MovedTable, ChunkMap>> {
  const maps = new Map<MovedTable, ChunkMap>();
  for (const table of move.tables) {
    const names = new Set(placementsOf(table.destination).map(({ database }) => database));
    const done: DoneChunk[] = [];
    for (const name of names) {
      const target = targets.get(name);
      if (target !== undefined) done.push(...(await readChunks(target, move.name, table)));
    }
    maps.set(table, new ChunkMap(ordersOf(table), [...names], done));
  }
  return maps;
}

function slotGone(slot: string): SqlError {
  return new SqlError("migration_slot_lost", `replication slot "${slot}" does not exist`);
}

function targetBehind(database: DatabaseName, position: Lsn, confirmed: Lsn): SqlError {
  return new SqlError(
    "migration_slot_lost",
    `database "${database}" has the changes up to ${printLsn(position)}, and the slot begins at ${printLsn(confirmed)}`,
    { detail: "The database has lost transactions that it had reported as durable." },
  );
}
