/**
 * The steps of the set-up, in the order that MIGRATIONS 4.3 argues for. Each may be run again,
 * also after a kill in its middle; whatever one makes is written down in the control schema first.
 */
import { invariant, unreachable } from "../../base/invariant.ts";
import type { DatabaseName } from "../../base/ids.ts";
import { quoteIdentifier, quoteLiteral, quoteQualified } from "../../base/sql-quoting.ts";
import { leasePlacements } from "../../control/holds.ts";
import { intendObject } from "../../control/migration-objects.ts";
import type { MigrationObject } from "../../control/migration-objects.ts";
import type { BackendConnection } from "../../proxy/backend/backend-connection.ts";
import { targetName } from "../apply-statements.ts";
import { CREATE_FENCE_STATE, raiseFence } from "../fence.ts";
import type { In, SetupStep } from "../machine/life.ts";
import { placementsOf, targetDatabases } from "../move.ts";
import type { Move, PlannedMove } from "../move.ts";
import { createTables, dropKeys } from "../schema-copy.ts";
import { describeMove } from "../source-tables.ts";
import { createPublication, createSlot, streamNames } from "../stream-setup.ts";
import { TargetTables } from "../target-change.ts";
import { CREATE_TARGET_STATE } from "../target-state.ts";
import { misplacedRows } from "../verify-sql.ts";
import { FENCE_LOCK_TIMEOUT_MS } from "../../base/limits.ts";
import { forgetStreams } from "./clean-up.ts";
import { guardDdl } from "./ddl-guard.ts";
import { fencesOf, movesOf, placementIdsOf, Sessions } from "./scene.ts";
import type { Scene } from "./scene.ts";
import { guardTruncate } from "./truncate-guard.ts";
import { storeFingerprints } from "./stream-state.ts";

/** `ticket`: the migration's, which the targets' first fence bears. */
export async function setUp(
  scene: Scene,
  life: In<"setup">,
  ticket: number,
  signal: AbortSignal,
): Promise<void> {
  using sessions = new Sessions(scene, signal);
  const isAnew = life.leadsTo === "resync";
  const step: SetupStep = life.step;
  switch (step) {
    case "guardDdl":
      await guardDdl(scene, sessions, "sources");
      return await guardTruncate(scene, sessions, "forward");
    case "publish":
      return await publish(scene, sessions);
    case "makeSlot":
      return await makeSlots(scene, sessions, isAnew, signal);
    case "makeTargets":
      return await makeTargets(scene, sessions, isAnew, ticket);
    case "probeReverse":
      return await probeReverse(scene, sessions);
    case "leaseProxies":
      return await leasePlacements(scene.control, scene.plan.name, placementIdsOf(scene), {
        signal,
      });
    default:
      return unreachable(step);
  }
}

/** Before the slot, and never changed after it: what is written between the two is in both. */
async function publish(scene: Scene, sessions: Sessions): Promise<void> {
  for (const planned of movesOf(scene, "forward")) {
    await publishMove(scene, await sessions.to(planned.source), planned);
  }
}

/** Gives what its tables are now. */
export async function publishMove(
  scene: Scene,
  source: BackendConnection,
  planned: PlannedMove,
): Promise<Move> {
  const move = await describeMove(source, planned);
  await storeFingerprints(source, move);
  await intend(scene, planned.source, "publication", streamNames(planned).publication);
  await createPublication(source, move);
  return move;
}

/**
 * `isAnew`: an older slot has missed something, or been ahead; the targets are put right after it.
 * That must not flow back, so the way back is closed before, and armed again later.
 */
async function makeSlots(
  scene: Scene,
  sessions: Sessions,
  isAnew: boolean,
  signal: AbortSignal,
): Promise<void> {
  if (isAnew) await forgetStreams(scene, signal);
  for (const planned of movesOf(scene, "forward")) {
    const source = await sessions.to(planned.source);
    if (isAnew) await publishMove(scene, source, planned);
    await intend(scene, planned.source, "slot", streamNames(planned).slot);
    await createSlot(source, planned, { signal });
  }
}

async function makeTargets(
  scene: Scene,
  sessions: Sessions,
  isAnew: boolean,
  ticket: number,
): Promise<void> {
  const moves: Move[] = [];
  for (const planned of movesOf(scene, "forward")) {
    const source = await sessions.to(planned.source);
    const move = await describeMove(source, planned);
    moves.push(move);
    await source.query(CREATE_TARGET_STATE);
    await source.query(CREATE_FENCE_STATE);
    for (const name of targetDatabases(planned)) {
      const target = await sessions.to(name);
      await target.query(CREATE_TARGET_STATE);
      await target.query(CREATE_FENCE_STATE);
      await intendTables(scene, target, planned);
      await createTables(source, target, move);
    }
  }
  if (isAnew) await prepareAnew(sessions, moves);
  await guardDdl(scene, sessions, "targets");
  await guardTruncate(scene, sessions, "back");
  // Rows that nobody owns yet are written by the applier alone (R34).
  for (const [database, fence] of fencesOf(scene, "targets")) {
    const target = await sessions.to(database);
    await raiseFence(target, fence, ticket, {
      markers: [],
      lockTimeoutMs: FENCE_LOCK_TIMEOUT_MS,
    });
  }
}

/** Only what is not there is ours to take away again. */
async function intendTables(
  scene: Scene,
  target: BackendConnection,
  { tables }: PlannedMove,
): Promise<void> {
  for (const { name, destination } of tables)
    for (const { database, schema } of placementsOf(destination)) {
      if (database !== target.database) continue;
      const schemas = await target.query(
        `SELECT to_regnamespace(${quoteLiteral(quoteIdentifier(schema))}) IS NULL`,
      );
      if (schemas.rows[0]?.[0] === "t")
        await intend(scene, database, "schema", quoteIdentifier(schema), "on cancel");
      const table = quoteQualified(schema, name);
      const { rows } = await target.query(`SELECT to_regclass(${quoteLiteral(table)}) IS NULL`);
      if (rows[0]?.[0] === "t") await intend(scene, database, "table", table, "on cancel");
    }
}

/**
 * Targets with rows of an earlier copy, of which those that are right stay. Until the others are
 * replaced, chunk by chunk, two rows may have what is unique; and what no source has a right to
 * put into a table is in no chunk of theirs.
 */
async function prepareAnew(sessions: Sessions, moves: readonly Move[]): Promise<void> {
  const moved = moves.flatMap(({ tables }) => tables);
  for (const move of moves)
    for (const name of targetDatabases(move)) await dropKeys(await sessions.to(name), move);
  for (const move of moves) {
    const tables = new TargetTables(move);
    for (const table of move.tables.filter(({ home }) => home !== undefined))
      for (const target of tables.of(table)) {
        const alike = moved.filter((each) => each.name === table.name);
        const where = misplacedRows(table, target, alike);
        if (where === undefined) continue;
        const connection = await sessions.to(target.database);
        await connection.query(`DELETE FROM ${targetName(target)} WHERE ${where}`);
      }
  }
}

/** Every right and resource that the way back needs, tried before it is relied on. */
async function probeReverse(scene: Scene, sessions: Sessions): Promise<void> {
  for (const planned of movesOf(scene, "back")) {
    const from = await sessions.to(planned.source);
    const slot = quoteLiteral(`${streamNames(planned).slot}_probe`);
    // Of its session, so that a kill leaves nothing behind; made and dropped in one.
    await from.query(
      `SELECT pg_drop_replication_slot(slot_name) FROM (SELECT slot_name FROM pg_create_logical_replication_slot(${slot}, 'pgoutput', true)) probe`,
    );
    for (const database of targetDatabases(planned)) {
      const to = await sessions.to(database);
      const { rows } = await to.query("SHOW session_replication_role");
      invariant(rows[0]?.[0] === "replica", "a migration's sessions write as a replica's");
      const origin = quoteLiteral(`${streamNames(planned).slot}_probe`);
      await to.query(
        `SELECT pg_replication_origin_drop(${origin}) FROM (SELECT pg_replication_origin_create(${origin})) probe`,
      );
    }
  }
}

/** Written down before it is made: a crash in between leaves a row that names it. */
export async function intend(
  { control, plan }: Scene,
  database: DatabaseName,
  kind: MigrationObject["kind"],
  name: string,
  remove: MigrationObject["remove"] = "always",
): Promise<void> {
  await intendObject(control, { migration: plan.name, database, kind, name, remove });
}
