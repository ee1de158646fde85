/**
 * Two servers and a move between them, for tests: a source whose tables are written to, and
 * targets in a second server.
 */
import { databaseName } from "../../base/ids.ts";
import { openSource, openTarget, type MoveDatabase } from "../../migration/sessions.ts";
import type { Move, PlannedMove, TargetPlacement } from "../../migration/move.ts";
import { describeMove } from "../../migration/source-tables.ts";
import { createPublication, createSlot } from "../../migration/stream-setup.ts";
import { CREATE_TARGET_STATE } from "../../migration/target-state.ts";
import { Mover, type MoverOptions } from "../../migration/mover.ts";
import { createTables, finishTables } from "../../migration/schema-copy.ts";
import { LSN_ZERO, parseLsn } from "../../base/lsn.ts";
import { setTimeout as sleep } from "node:timers/promises";
import { parseBackendAddress } from "../../proxy/backend/backend-address.ts";
import { POSTGRES_15, startPostgres, type TestPostgres } from "../support/postgres.ts";

const SLOTS = { wal_level: "logical", max_replication_slots: "40", max_wal_senders: "40" };

/** What a server needs for its log to be streamed. */
export const STREAMING: Readonly<Record<string, string>> = {
  ...SLOTS,
  // One for each move into a server, as for each applier of PostgreSQL's own.
  max_active_replication_origins: "40",
};

/** Origins are counted by `max_replication_slots` there. */
export const STREAMING_15 = { ...POSTGRES_15, settings: SLOTS } as const;

export interface Rig extends AsyncDisposable {
  readonly source: TestPostgres;
  readonly target: TestPostgres;
  readonly sourceDatabase: MoveDatabase;
  readonly targetDatabases: readonly MoveDatabase[];
}

/** Which servers, where they are not of the version that tests usually have. */
export interface RigServers {
  readonly source: typeof STREAMING_15;
  readonly target: typeof STREAMING_15;
}

/** The source has the database `app`, called `source`; `targets` are databases of the other server. */
export async function startRig(
  targets: readonly string[],
  servers: Partial<RigServers> = {},
): Promise<Rig> {
  const usual = { settings: STREAMING };
  const [source, target] = await Promise.all([
    startPostgres({ databases: ["app"], ...(servers.source ?? usual) }),
    startPostgres({ databases: targets, ...(servers.target ?? usual) }),
  ]);
  return {
    source,
    target,
    sourceDatabase: moveDatabase("source", source.url("app")),
    targetDatabases: targets.map((name) => moveDatabase(name, target.url(name))),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([source.stop(), target.stop()]);
    },
  };
}

export function moveDatabase(name: string, url: string): MoveDatabase {
  return { name: databaseName(name), address: parseBackendAddress(url) };
}

export function placement(database: string, schema: string): TargetPlacement {
  return { database: databaseName(database), schema };
}

/** Publication, slot, and tables for progress: what stands before a mover is started. */
export async function prepareMove(rig: Rig, planned: PlannedMove): Promise<Move> {
  const source = await openSource(rig.sourceDatabase);
  try {
    const move = await describeMove(source, planned);
    await createPublication(source, move);
    await createSlot(source, move);
    for (const database of rig.targetDatabases) {
      const target = await openTarget(database);
      await target.query(CREATE_TARGET_STATE);
      await createTables(source, target, move);
      target.close();
    }
    return move;
  } finally {
    source.close();
  }
}

/** A move's copy and stream, in this process. */
export function startMover(rig: Rig, move: Move, more: Partial<MoverOptions> = {}): Promise<Mover> {
  return Mover.start({
    move,
    source: rig.sourceDatabase,
    targets: rig.targetDatabases,
    epoch: 1n,
    workerCount: 2,
    ...more,
  });
}

/** Resolves when all is copied and every target has what the source had committed when it was called. */
export async function settled(rig: Rig, mover: Mover): Promise<void> {
  await mover.copied;
  const { rows } = await rig.source.query("app", "SELECT pg_current_wal_flush_lsn()::text AS at");
  const position = parseLsn(String(rows[0]?.["at"])) ?? LSN_ZERO;
  const isThere = (): boolean => [...mover.progress.durable.values()].every((at) => at >= position);
  while (!isThere()) await Promise.race([sleep(10), mover.ended]);
}

/** Indexes, foreign keys and triggers, in every target. */
export async function finish(rig: Rig, move: Move): Promise<void> {
  const source = await openSource(rig.sourceDatabase);
  for (const database of rig.targetDatabases) {
    const target = await openTarget(database);
    await finishTables(source, target, move);
    target.close();
  }
  source.close();
}
