/** What a migration does between its set-up and readiness, state by state; each resolves when it is done. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { DatabaseName } from "../../base/ids.ts";
import {
  MIGRATION_CURRENT_MS,
  MIGRATION_REFERENCE_SIGHTINGS,
  MIGRATION_RETRY_MS,
} from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import { quoteLiteral } from "../../base/sql-quoting.ts";
import { BackendError } from "../../proxy/backend/backend-connection.ts";
import type { BackendConnection } from "../../proxy/backend/backend-connection.ts";
import { guardDdl } from "./ddl-guard.ts";
import { compareMoves, compareStructures } from "./compare.ts";
import { targetDatabases, tableName } from "../move.ts";
import type { Move } from "../move.ts";
import { finishTables } from "../schema-copy.ts";
import { openSource } from "../sessions.ts";
import { describeMove } from "../source-tables.ts";
import { createSlot, streamNames } from "../stream-setup.ts";
import { CREATE_TARGET_STATE, recordChunk, takeOver } from "../target-state.ts";
import { databaseOf, movesOf, Sessions } from "./scene.ts";
import type { Scene } from "./scene.ts";
import { intend, publishMove } from "./setup.ts";
import type { Direction } from "../machine/life.ts";
import type { RunningMove, Streams } from "./streams.ts";

/** Every row is in every target, or the signal aborts. */
export async function copyRows(
  streams: Streams,
  isComparing: boolean,
  signal: AbortSignal,
): Promise<void> {
  streams.allowCopy(isComparing, signal);
  await streams.using("forward", signal, async (moves) => {
    await Promise.all(moves.map(({ mover }) => mover.copied));
  });
}

/** A marker passes every stream in less than MIGRATION_CURRENT_MS. */
export async function catchUp(scene: Scene, streams: Streams, signal: AbortSignal): Promise<void> {
  while ((await passMarkers(scene, streams, "forward", signal)) >= MIGRATION_CURRENT_MS)
    await sleep(MIGRATION_RETRY_MS, undefined, { signal });
}

/** Once every stream of the direction has passed what was written before the call: the milliseconds of the slowest. */
export async function passMarkers(
  scene: Scene,
  streams: Streams,
  direction: Direction,
  signal: AbortSignal,
): Promise<number> {
  const latenciesMs = await streams.using(
    direction,
    signal,
    async (moves) => await Promise.all(moves.map((move) => latencyOf(scene, move, signal))),
  );
  return Math.max(...latenciesMs);
}

/** Milliseconds from the source's log to durability in every target. */
async function latencyOf(
  scene: Scene,
  { move, mover }: RunningMove,
  signal: AbortSignal,
): Promise<number> {
  using sessions = new Sessions(scene, signal);
  const source = await sessions.to(move.source);
  const marker = { prefix: "colonnade_latency", content: randomUUID() };
  const over = new AbortController();
  const reached = mover.markers.wait(
    marker,
    () => Promise.resolve(),
    AbortSignal.any([signal, over.signal]),
  );
  reached.catch(() => undefined);
  const startMs = performance.now();
  // The commit of an id is flushed, and the message before it.
  await source.query(
    `SELECT pg_logical_emit_message(false, ${quoteLiteral(marker.prefix)}, ${quoteLiteral(marker.content)}), pg_current_xact_id()`,
  );
  await reached;
  return performance.now() - startMs;
}

/**
 * Indexes, foreign keys and triggers, which are made faster at once than row by row. Throws
 * `migration_reference_missing` where a key's row does not come, though every stream has been
 * current since it was missed first.
 */
export async function buildIndexes(
  scene: Scene,
  streams: Streams,
  signal: AbortSignal,
): Promise<void> {
  const missed = new Map<string, number>();
  for (;;) {
    const missing = await finishTargets(scene, signal);
    if (missing === undefined) return;
    const told = `${missing.message} ${missing.detail ?? ""}`;
    const sightings = (missed.get(told) ?? 0) + 1;
    if (sightings >= MIGRATION_REFERENCE_SIGHTINGS) throw missing;
    missed.set(told, sightings);
    await catchUp(scene, streams, signal);
  }
}

const FOREIGN_KEY_VIOLATION = "23503";

/** The foreign key that does not hold, where there is one. */
async function finishTargets(scene: Scene, signal: AbortSignal): Promise<SqlError | undefined> {
  using sessions = new Sessions(scene, signal);
  const { canonical, referenceTables } = scene;
  const isEverywhere = ({ schema, name }: { readonly schema: string; readonly name: string }) =>
    schema === canonical.schema && referenceTables.has(name);
  for (const planned of movesOf(scene, "forward")) {
    const source = await openSource(databaseOf(scene, planned.source), signal);
    try {
      const move = await describeMove(source, planned);
      for (const name of targetDatabases(planned))
        try {
          await finishTables(source, await sessions.to(name), move, isEverywhere);
        } catch (error) {
          if (!(error instanceof BackendError) || error.fields.C !== FOREIGN_KEY_VIOLATION)
            throw error;
          return referenceMissing(name, error);
        }
    } finally {
      source.close();
    }
  }
  await guardDdl(scene, sessions, "targets");
  return undefined;
}

function referenceMissing(database: DatabaseName, error: BackendError): SqlError {
  const { s: schema, t: table, n: constraint, D: row } = error.fields;
  return new SqlError(
    "migration_reference_missing",
    `foreign key "${constraint ?? ""}" of table "${schema ?? ""}.${table ?? ""}" does not hold in database "${database}"`,
    { detail: row, cause: error },
  );
}

/**
 * From here on what is written in a target stays in its log until the source has it. Nobody but
 * the applier writes there yet, and what it writes is tagged and passed over: so no row is copied.
 */
export async function armReverse(scene: Scene, signal: AbortSignal): Promise<void> {
  using sessions = new Sessions(scene, signal);
  for (const planned of movesOf(scene, "back")) {
    const from = await sessions.to(planned.source);
    const move = await publishMove(scene, from, planned);
    await intend(scene, planned.source, "slot", streamNames(planned).slot);
    const begin = await createSlot(from, planned, { signal });
    for (const name of targetDatabases(planned)) {
      const to = await sessions.to(name);
      await to.query(CREATE_TARGET_STATE);
      await takeOver(to, { move: planned.name, epoch: scene.epoch }, begin);
      await recordNothingToCopy(to, move);
    }
  }
}

/** A snapshot that sees no transaction: every change of the stream is applied. */
const SEES_NOTHING = { xmin: 0n, xmax: 0n, running: new Set<bigint>() };

async function recordNothingToCopy(target: BackendConnection, move: Move): Promise<void> {
  for (const table of move.tables) {
    const { rows } = await target.query(
      `SELECT FROM colonnade.move_chunk WHERE move = ${quoteLiteral(move.name)} AND source_table = ${quoteLiteral(tableName(table))}`,
    );
    if (rows.length > 0) continue;
    const all = { from: undefined, to: undefined, snapshot: SEES_NOTHING };
    await target.query(recordChunk({ ...all, move: move.name, table, rowCount: 0, byteCount: 0 }));
  }
}

/** Sentences: tables or rows that differ, or faults that verification does not see. Empty where all is well. */
export async function verifyAll(
  scene: Scene,
  streams: Streams,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const structures = await compareStructures(scene, movesOf(scene, "forward"), signal);
  if (structures.length > 0) return structures;
  return await streams.using("forward", signal, async (moves) => {
    const streamed = moves.map(({ move, mover }) => ({ move, markers: mover.markers }));
    return (await compareMoves(scene, streamed, "exact", signal)).differences;
  });
}
