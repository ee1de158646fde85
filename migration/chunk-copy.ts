/**
 * Copies one chunk: a snapshot of the source that sees all that was discarded for the chunk, its
 * rows by COPY, each into the placement of its shard key. The targets' transactions are left
 * open: what ends them is the queue's to order (applier.ts).
 *
 * Source: sections 4.4 of the protocol; docs/migration.md tells it in words.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { invariant } from "../base/invariant.ts";
import type { DatabaseName } from "../base/ids.ts";
import { MOVE_SNAPSHOT_POLL_MS, MOVE_SNAPSHOT_WAIT_MS } from "../base/limits.ts";
import { quoteLiteral, quoteQualified } from "../base/sql-quoting.ts";
import { BackendError, type BackendConnection } from "../proxy/backend/backend-connection.ts";
import { decodeErrorResponse } from "../proxy/protocol/backend/error-response.ts";
import { runBody, type BackendRun } from "../proxy/protocol/backend-run-reader.ts";
import { FRAME_HEADER_BYTES } from "../proxy/protocol/frame-reader.ts";
import { encodeToBuffer } from "../proxy/protocol/frame-writer.ts";
import { encodeQuery } from "../proxy/protocol/frontend/query.ts";
import { BACKEND_TYPE } from "../proxy/protocol/message-type.ts";
import { checkCopied, compareChunk } from "./chunk-compare.ts";
import type { OpenChunk } from "./chunk-map.ts";
import { BINARY_HEADER, binaryRow, textRow, type CopyFormat } from "./copied-rows.ts";
import { CopyIntoTarget } from "./copy-into-target.ts";
import { keyList, rangeCondition } from "./key-sql.ts";
import { route, type MovedTable } from "./move.ts";
import { shardColumns } from "./row-keys.ts";
import { parseSnapshot, type Snapshot } from "./snapshot.ts";
import type { TargetTable, TargetTables } from "./target-change.ts";

export interface ChunkCopy {
  readonly table: MovedTable;
  readonly chunk: OpenChunk;
  readonly source: BackendConnection;
  readonly targets: ReadonlyMap<DatabaseName, BackendConnection>;
  readonly tables: TargetTables;
  /** Whether the snapshot sees every transaction that was discarded for the chunk. */
  readonly seesDiscarded: (snapshot: Snapshot) => boolean;
  /** An earlier copy has left rows: only what differs is copied. */
  readonly isCompared: boolean;
  readonly signal: AbortSignal;
}

export interface CopiedChunk {
  readonly snapshot: Snapshot;
  readonly byteCount: number;
  /** By target: rows that it took. */
  readonly rowCounts: ReadonlyMap<DatabaseName, number>;
  /** Snapshots that were thrown away. */
  readonly retakes: number;
}

export async function copyChunk(copy: ChunkCopy): Promise<CopiedChunk> {
  const { source, targets, chunk, table } = copy;
  const { snapshot, retakes } = await takeSnapshot(copy);
  const format: CopyFormat = table.columns.every(({ isBinaryPortable }) => isBinaryPortable)
    ? "binary"
    : "text";
  const writers = new Map<DatabaseName, CopyIntoTarget>();
  for (const database of chunk.databases) {
    const target = targets.get(database);
    invariant(target !== undefined, "a chunk's targets are connected");
    await target.query("BEGIN");
    writers.set(database, new CopyIntoTarget(target, format));
  }
  const every = copy.tables.of(table).filter(({ database }) => writers.has(database));
  const { differing, equalRows } = copy.isCompared
    ? await compareChunk({ table, range: chunk }, source, targets, every)
    : { differing: every, equalRows: NONE };
  const byteCount = differing.length === 0 ? 0 : await copyRows(copy, format, writers, differing);
  for (const writer of writers.values()) await writer.end();
  if (differing.length > 0) await checkCopied({ table, range: chunk }, source, targets, every);
  await source.query("COMMIT");
  const rowCounts = new Map<DatabaseName, number>();
  for (const [database, writer] of writers) {
    rowCounts.set(database, writer.rowCount + (equalRows.get(database) ?? 0));
  }
  return { snapshot, byteCount, rowCounts, retakes };
}

const NONE: ReadonlyMap<DatabaseName, number> = new Map();

/**
 * The lock comes before the snapshot: TRUNCATE and rewriting ALTERs take no notice of older
 * snapshots, so they must be over before this one, or wait for it.
 */
async function takeSnapshot(
  copy: ChunkCopy,
): Promise<{ readonly snapshot: Snapshot; readonly retakes: number }> {
  const { source, table, signal } = copy;
  const name = quoteQualified(table.schema, table.name);
  for (let retakes = 0; ; retakes += 1) {
    signal.throwIfAborted();
    await source.query(
      `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; LOCK TABLE ${name} IN ACCESS SHARE MODE`,
    );
    const [row] = (await source.query("SELECT pg_current_snapshot(), pg_current_wal_insert_lsn()"))
      .rows;
    const snapshot = parseSnapshot(row?.[0] ?? "");
    if (copy.seesDiscarded(snapshot) && (await isFlushed(source, row?.[1] ?? "", signal)))
      return { snapshot, retakes };
    await source.query("ROLLBACK");
    await sleep(MOVE_SNAPSHOT_POLL_MS, undefined, { signal });
  }
}

/** A row that is copied must not be lost by a crash of the source: what the snapshot sees is on its disk first. */
async function isFlushed(
  source: BackendConnection,
  position: string,
  signal: AbortSignal,
): Promise<boolean> {
  const deadlineMs = performance.now() + MOVE_SNAPSHOT_WAIT_MS;
  const look = `SELECT pg_current_wal_flush_lsn() >= ${quoteLiteral(position)}::pg_lsn`;
  for (;;) {
    if ((await source.query(look)).rows[0]?.[0] === "t") return true;
    if (performance.now() > deadlineMs) return false;
    await sleep(MOVE_SNAPSHOT_POLL_MS, undefined, { signal });
  }
}

/** Bytes that the source sent. */
async function copyRows(
  copy: ChunkCopy,
  format: CopyFormat,
  writers: ReadonlyMap<DatabaseName, CopyIntoTarget>,
  wanted: readonly TargetTable[],
): Promise<number> {
  const { source, table, chunk, signal } = copy;
  const columns = keyList(table, [...table.columns.keys()]);
  const name = quoteQualified(table.schema, table.name);
  const sql = `COPY (SELECT ${columns} FROM ${name} WHERE ${rangeCondition(table, chunk)}) TO STDOUT (FORMAT ${format})`;
  source.expectReady();
  source.send(encodeToBuffer(encodeQuery, { kind: "query", sql }));
  const take = taker(copy, format, writers, wanted);
  let bytes = 0;
  for (;;) {
    const run = source.tryReceive() ?? (await source.receive(signal));
    switch (run.type) {
      case BACKEND_TYPE.copyData:
        bytes += run.bytes.length;
        await take(run);
        break;
      case BACKEND_TYPE.errorResponse:
        throw new BackendError(decodeErrorResponse(runBody(run)).fields);
      case BACKEND_TYPE.readyForQuery:
        return bytes;
      default:
        break;
    }
  }
}

type Taker = (run: BackendRun) => Promise<void>;

function taker(
  copy: ChunkCopy,
  format: CopyFormat,
  writers: ReadonlyMap<DatabaseName, CopyIntoTarget>,
  wanted: readonly TargetTable[],
): Taker {
  const databases = new Set(wanted.map(({ database }) => database));
  const isWhole = copy.table.destination.kind !== "sharded" && databases.size === wanted.length;
  return isWhole ? relayTo(wanted, writers) : routeRows(copy, format, writers, new Set(wanted));
}

/** Every row goes to every placement, of which no database has two: their bytes are what the source sent. */
function relayTo(
  targets: readonly TargetTable[],
  writers: ReadonlyMap<DatabaseName, CopyIntoTarget>,
): Taker {
  return async ({ bytes }) => {
    for (const target of targets) await writers.get(target.database)?.relay(target, bytes);
  };
}

function routeRows(
  { table, tables }: ChunkCopy,
  format: CopyFormat,
  writers: ReadonlyMap<DatabaseName, CopyIntoTarget>,
  wanted: ReadonlySet<TargetTable>,
): Taker {
  const fields = shardColumns(table);
  let isHeaderDue = format === "binary";
  return async ({ bytes, count }) => {
    let start = 0;
    for (let frame = 0; frame < count; frame += 1) {
      const end = start + 1 + bytes.readUInt32BE(start + 1);
      let row = bytes.subarray(start + FRAME_HEADER_BYTES, end);
      start = end;
      if (isHeaderDue) {
        invariant(
          BINARY_HEADER.equals(row.subarray(0, BINARY_HEADER.length)),
          "binary COPY begins with its signature",
        );
        row = row.subarray(BINARY_HEADER.length);
        isHeaderDue = false;
        if (row.length === 0) continue;
      }
      const key = format === "binary" ? binaryRow(row, fields) : textRow(row, fields);
      if (key === undefined) continue;
      for (const placement of route(table, key)) {
        const target = tables.get(table, placement);
        invariant(target !== undefined, "a row goes to a placement of its table");
        if (wanted.has(target)) writers.get(target.database)?.add(target, row);
      }
    }
    for (const writer of writers.values()) await writer.sendFull();
  };
}
