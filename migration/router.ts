/**
 * From the stream's messages to what each target has to do: which table a row is of, where it
 * goes, and what its chunk makes of the change (chunk-map.ts). An update that crosses chunks or
 * placements is a delete and an insert, each judged by itself.
 *
 * Called with one event after another; it waits for nothing and touches no connection. Changes
 * that meet an open chunk are kept (chunk-buffers.ts) until the copier has ended the chunk.
 */
import type { DatabaseName } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import { MOVE_TRANSACTION_DISTANCE_MAX } from "../base/limits.ts";
import { LSN_ZERO, type Lsn } from "../base/lsn.ts";
import { SqlError } from "../base/sql-error.ts";
import type { Begin, LogicalMessage } from "../proxy/protocol/replication/transaction.ts";
import type { Relation } from "../proxy/protocol/replication/relation.ts";
import type {
  Delete,
  Insert,
  OldRow,
  Truncate,
  Update,
} from "../proxy/protocol/replication/row-change.ts";
import type { Tuple } from "../proxy/protocol/replication/tuple.ts";
import type { StreamEvent } from "./change-stream.ts";
import { ChunkBuffers } from "./chunk-buffers.ts";
import type { ChunkMap, OpenChunk, Verdict } from "./chunk-map.ts";
import { ForeignWrites, type ForeignWritesOptions } from "./foreign-writes.ts";
import {
  isPartial,
  isTruncateCarried,
  tableName,
  targetDatabases,
  type Move,
  type MovedTable,
} from "./move.ts";
import { checkRelation } from "./relation-check.ts";
import { RowKeys } from "./row-keys.ts";
import { widen, type Snapshot } from "./snapshot.ts";
import { type TargetChange, type TargetTable, TargetTables } from "./target-change.ts";
import type { Marker, TargetQueue } from "./target-queue.ts";

export interface RouterOptions extends ForeignWritesOptions {
  readonly move: Move;
  readonly chunks: ReadonlyMap<MovedTable, ChunkMap>;
  readonly queues: ReadonlyMap<DatabaseName, TargetQueue>;
  /** By target: what it has done already, and the slot may give again. */
  readonly done: ReadonlyMap<DatabaseName, Lsn>;
  /** A transaction id of the source, not long ago. */
  readonly near: bigint;
  /** Transactions of such origins are passed over: they are our own, coming back. */
  readonly isOwnOrigin: (origin: string) => boolean;
}

interface Transaction {
  readonly id: bigint;
  readonly commitLsn: Lsn;
  /** Where it has not been done yet. */
  readonly databases: ReadonlySet<DatabaseName>;
  readonly touched: Set<DatabaseName>;
  readonly markers: Marker[];
  isOwn: boolean;
}

export class Router {
  /** Of the chunks that are being copied. */
  readonly buffers = new ChunkBuffers();
  readonly #options: RouterOptions;
  readonly #tables: TargetTables;
  readonly #keys: RowKeys;
  readonly #foreign: ForeignWrites;
  readonly #relations = new Map<number, MovedTable | undefined>();
  #near: bigint;
  #transaction: Transaction | undefined;
  #position: Lsn = LSN_ZERO;
  #atBoundary: (() => void)[] = [];

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#near = options.near;
    this.#tables = new TargetTables(options.move);
    this.#keys = new RowKeys();
    this.#foreign = new ForeignWrites(options.move, options);
  }

  get tables(): TargetTables {
    return this.#tables;
  }

  /** Every transaction that committed before it has been met. */
  get position(): Lsn {
    return this.#position;
  }

  get isInTransaction(): boolean {
    return this.#transaction !== undefined;
  }

  /** Runs it between two transactions: now, or at the end of the one that is being received. */
  atBoundary(work: () => void): void {
    if (this.#transaction === undefined) work();
    else this.#atBoundary.push(work);
  }

  /** What one snapshot of the source sees, every later one does. */
  observe(snapshot: Snapshot): void {
    if (snapshot.xmax > this.#near) this.#near = snapshot.xmax;
    this.buffers.observe(snapshot);
  }

  /** What was kept for the chunk and is not in its snapshot; between transactions only. */
  takeChunk(
    chunk: OpenChunk,
    snapshot: Snapshot,
  ): ReadonlyMap<DatabaseName, readonly TargetChange[]> {
    invariant(this.#transaction === undefined, "a chunk ends between transactions");
    return this.buffers.take(chunk, snapshot);
  }

  receive(event: StreamEvent): void {
    switch (event.kind) {
      case "begin":
        return this.#begin(event);
      case "commit":
        return this.#commit(event.endLsn);
      case "origin":
        if (this.#options.isOwnOrigin(event.name)) this.#current().isOwn = true;
        return undefined;
      case "relation":
        return this.#relation(event);
      case "insert":
        return this.#insert(event);
      case "update":
        return this.#update(event);
      case "delete":
        return this.#delete(event);
      case "truncate":
        return this.#truncate(event);
      case "message":
        return this.#message(event);
      case "quiet":
        if (this.#transaction === undefined) this.#reach(event.position);
        return undefined;
      case "type":
        return undefined;
    }
  }

  #begin({ commitLsn, transactionId }: Begin): void {
    invariant(this.#transaction === undefined, "transactions come one after another");
    const id = widen(transactionId, this.#near);
    const distance = id > this.#near ? id - this.#near : this.#near - id;
    invariant(
      distance < MOVE_TRANSACTION_DISTANCE_MAX,
      "the stream is near the source's transaction ids",
    );
    const { move, done } = this.#options;
    const databases = targetDatabases(move).filter(
      (database) => (done.get(database) ?? LSN_ZERO) <= commitLsn,
    );
    this.#transaction = {
      id,
      commitLsn,
      databases: new Set(databases),
      touched: new Set(),
      markers: [],
      isOwn: false,
    };
  }

  #commit(endLsn: Lsn): void {
    const { touched, markers, databases } = this.#current();
    if (markers.length > 0)
      for (const database of databases)
        this.#queue(database).push({ kind: "markers", markers, position: endLsn });
    else
      for (const database of touched)
        this.#queue(database).push({ kind: "commit", position: endLsn });
    this.#foreign.pass(markers);
    this.#transaction = undefined;
    this.#reach(endLsn);
    for (const work of this.#atBoundary.splice(0)) work();
  }

  #reach(position: Lsn): void {
    if (position <= this.#position) return;
    this.#position = position;
    for (const queue of this.#options.queues.values()) queue.reach(position);
  }

  /** A target that was behind it before a restart has it. */
  #message({ isTransactional, prefix, content, lsn: position }: LogicalMessage): void {
    const marker = { prefix, content: content.toString("utf8") };
    if (isTransactional) {
      this.#current().markers.push(marker);
      return;
    }
    for (const [database, queue] of this.#options.queues) {
      if ((this.#options.done.get(database) ?? LSN_ZERO) > position) continue;
      queue.push({ kind: "markers", markers: [marker], position });
    }
  }

  #relation(relation: Relation): void {
    const table = this.#options.move.tables.find(
      ({ schema, name }) => schema === (relation.schema || "pg_catalog") && name === relation.name,
    );
    if (table !== undefined) checkRelation(table, relation);
    this.#relations.set(relation.id, table);
  }

  #insert({ relationId, row }: Insert): void {
    const table = this.#table(relationId);
    if (table === undefined) return;
    for (const target of this.#targets(table, row))
      this.#judged(target, row, { kind: "insert", table: target, row, at: this.#at() });
  }

  #delete({ relationId, old }: Delete): void {
    const table = this.#table(relationId);
    if (table === undefined) return;
    for (const target of this.#targets(table, old.row))
      this.#judged(target, old.row, {
        kind: "delete",
        table: target,
        old: old.row,
        at: this.#at(),
      });
  }

  #update({ relationId, old, row }: Update): void {
    const table = this.#table(relationId);
    if (table === undefined) return;
    const before = old?.row ?? row;
    const after = withOldValues(table, row, old);
    const at = this.#at();
    const from = this.#targets(table, before);
    const to = this.#targets(table, after);
    const isMoved = old !== undefined && !this.#keys.isSameIdentity(table, before, after);
    for (const target of from) {
      const stays = to.includes(target);
      if (stays && (!isMoved || this.#areJudgedAlike(target, before, after))) {
        const change = isMoved ? before : undefined;
        this.#judged(target, before, {
          kind: "update",
          table: target,
          old: change,
          row: after,
          at,
        });
        continue;
      }
      this.#judged(target, before, { kind: "delete", table: target, old: before, at });
      if (stays) this.#judged(target, after, { kind: "insert", table: target, row: after, at });
    }
    for (const target of to)
      if (!from.includes(target))
        this.#judged(target, after, { kind: "insert", table: target, row: after, at });
  }

  /** Both keys are of one chunk, or of chunks that both take changes by now. */
  #areJudgedAlike(target: TargetTable, before: Tuple, after: Tuple): boolean {
    const chunks = this.#chunks(target.source);
    if (!chunks.isFiltering) return true;
    const keys = [before, after].map((row) => this.#keys.orderedText(target.source, row));
    const [left = [], right = []] = keys;
    if (chunks.isSameRange(left, right)) return true;
    const { id } = this.#current();
    return [left, right].every((key) => chunks.judge(key, target.database, id).kind === "apply");
  }

  #truncate({ relationIds }: Truncate): void {
    const tables = relationIds.map((id) => this.#table(id)).filter((table) => table !== undefined);
    const whole = new Map<DatabaseName, TargetTable[]>();
    for (const table of tables) {
      this.#refuseTruncate(table);
      for (const target of this.#tables.of(table)) this.#truncateTarget(target, whole);
    }
    for (const [database, targets] of whole)
      this.#enqueue(database, { kind: "truncate", tables: targets, at: this.#at() });
  }

  #truncateTarget(target: TargetTable, whole: Map<DatabaseName, TargetTable[]>): void {
    const { database, source } = target;
    const transaction = this.#current();
    if (!transaction.databases.has(database)) return;
    const judged = this.#chunks(source).judgeAll(database, transaction.id);
    if (judged.every(({ verdict }) => verdict.kind === "apply")) {
      whole.set(database, [...(whole.get(database) ?? []), target]);
      return;
    }
    for (const { range, verdict } of judged)
      this.#act(verdict, { kind: "deleteRange", table: target, range, at: this.#at() });
  }

  #refuseTruncate(table: MovedTable): void {
    if (isTruncateCarried(this.#options.move, table)) return;
    throw new SqlError(
      "migration_truncate_refused",
      `table "${tableName(table)}" was truncated, and ${isPartial(table) ? "not all of its rows move" : "other tables' rows move to the same place"}`,
    );
  }

  /** Tables that take the row, of targets that have not done the transaction. */
  #targets(table: MovedTable, row: Tuple): readonly TargetTable[] {
    const { databases, isOwn } = this.#current();
    if (isOwn) return [];
    return this.#keys
      .route(table, row)
      .filter(({ database }) => databases.has(database))
      .map((placement) => {
        const target = this.#tables.get(table, placement);
        invariant(target !== undefined, "a row goes to a placement of its table");
        return target;
      });
  }

  #judged(target: TargetTable, keyRow: Tuple, change: TargetChange): void {
    const chunks = this.#chunks(target.source);
    if (!chunks.isFiltering) return this.#enqueue(target.database, change);
    const key = this.#keys.orderedText(target.source, keyRow);
    return this.#act(chunks.judge(key, target.database, this.#current().id), change);
  }

  #act(verdict: Verdict, change: TargetChange): void {
    switch (verdict.kind) {
      case "seen":
        return undefined;
      case "discard":
        return this.buffers.discard(this.#current().id);
      case "buffer":
        return this.buffers.keep(verdict.chunk, databaseOf(change), {
          transaction: this.#current().id,
          change,
        });
      case "apply":
        return this.#enqueue(databaseOf(change), change);
    }
  }

  #enqueue(database: DatabaseName, change: TargetChange): void {
    this.#current().touched.add(database);
    this.#queue(database).push({ kind: "change", change });
  }

  #table(relationId: number): MovedTable | undefined {
    invariant(this.#relations.has(relationId), "a row comes behind its relation");
    const { isOwn, databases } = this.#current();
    const table = isOwn ? undefined : this.#relations.get(relationId);
    // What every target has done already was in order when it was done.
    if (table !== undefined && databases.size > 0) this.#foreign.refuse(table, this.#at());
    return table;
  }

  #chunks(table: MovedTable): ChunkMap {
    const chunks = this.#options.chunks.get(table);
    invariant(chunks !== undefined, "every moved table has chunks");
    return chunks;
  }

  #queue(database: DatabaseName): TargetQueue {
    const queue = this.#options.queues.get(database);
    invariant(queue !== undefined, "every target has a queue");
    return queue;
  }

  #current(): Transaction {
    invariant(this.#transaction !== undefined, "rows come within a transaction");
    return this.#transaction;
  }

  #at(): Lsn {
    return this.#current().commitLsn;
  }
}

function databaseOf(change: TargetChange): DatabaseName {
  const table = change.kind === "truncate" ? change.tables[0] : change.table;
  invariant(table !== undefined, "a change is of a table");
  return table.database;
}

/**
 * The row with those of its untouched large values that the row as it was has: all of them under
 * REPLICA IDENTITY FULL, else the identity's own.
 */
function withOldValues({ identity }: MovedTable, row: Tuple, old: OldRow | undefined): Tuple {
  if (old === undefined || !row.includes("unchanged")) return row;
  return row.map((value, index) => {
    const isKnown = old.has === "everything" || identity.includes(index);
    return value === "unchanged" && isKnown ? (old.row[index] ?? null) : value;
  });
}
