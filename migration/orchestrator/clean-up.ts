/**
 * What a migration leaves when it is over: nothing but the rows of their owner. Each step may be
 * run again; what is not there any more is no error.
 */
import { FENCE_LOCK_TIMEOUT_MS } from "../../base/limits.ts";
import type { DatabaseName } from "../../base/ids.ts";
import { quoteIdentifier, quoteLiteral, quoteQualified } from "../../base/sql-quoting.ts";
import { endLeased } from "../../control/holds.ts";
import { forgetObject, listObjects } from "../../control/migration-objects.ts";
import type { BackendConnection } from "../../proxy/backend/backend-connection.ts";
import { EMPTY_TABLE_GUARD, GUARD_CONSTRAINT } from "../../shardmap/guard.ts";
import { hasEngineTable } from "../engine-schema.ts";
import { dropFence, lowerFence } from "../fence.ts";
import type { Direction } from "../machine/life.ts";
import { isCopied, targetDatabases } from "../move.ts";
import { retiredName } from "../plan/names.ts";
import { dropOrigin } from "../origin.ts";
import { dropStream, endWalsender, streamNames } from "../stream-setup.ts";
import { endTruncateGuard } from "./truncate-guard.ts";
import { endDdlGuard } from "./ddl-guard.ts";
import { copiedFencesOf, fencesOf, movesOf, Sessions } from "./scene.ts";
import type { Scene } from "./scene.ts";
import { forgetFingerprints } from "./stream-state.ts";

/** Of both directions, and proxies need no leases for them any more. */
export async function dropStreams(scene: Scene, signal: AbortSignal): Promise<void> {
  await forgetStreams(scene, signal);
  await endLeased(scene.control, scene.plan.name);
}

/** Nothing flows any more, no server keeps its log for it, and how far it was is forgotten. */
export async function forgetStreams(scene: Scene, signal: AbortSignal): Promise<void> {
  for (const direction of DIRECTIONS) await dropStreamsOf(scene, direction, signal);
  using sessions = new Sessions(scene, signal);
  // Not before: what is written down under a dropped origin would no longer be told as ours.
  for (const direction of DIRECTIONS)
    for (const planned of movesOf(scene, direction))
      for (const name of targetDatabases(planned)) {
        const target = await sessions.to(name);
        await target.query(dropOrigin(planned.name, name));
        await forgetProgress(target, planned.name);
      }
}

const DIRECTIONS = ["forward", "back"] as const;

/** Slots and publications of one direction. */
export async function dropStreamsOf(
  scene: Scene,
  direction: Direction,
  signal: AbortSignal,
): Promise<void> {
  using sessions = new Sessions(scene, signal);
  const { control, plan } = scene;
  for (const planned of movesOf(scene, direction)) {
    const source = await sessions.to(planned.source);
    const { slot, publication } = streamNames(planned);
    await endWalsender(source, slot);
    await dropStream(source, planned);
    await forgetFingerprints(source, planned.name);
    const place = { migration: plan.name, database: planned.source };
    await forgetObject(control, { ...place, kind: "slot", name: slot });
    await forgetObject(control, { ...place, kind: "publication", name: publication });
  }
}

async function forgetProgress(target: BackendConnection, move: string): Promise<void> {
  if (!(await hasEngineTable(target, "move_progress"))) return;
  const own = `WHERE move = ${quoteLiteral(move)}`;
  await target.query(
    `DELETE FROM colonnade.move_progress ${own}; DELETE FROM colonnade.move_chunk ${own}`,
  );
}

/** Given up before its switch: the sources are as they were, and the targets, too. */
export async function cleanUp(scene: Scene, ticket: number, signal: AbortSignal): Promise<void> {
  await dropStreams(scene, signal);
  using sessions = new Sessions(scene, signal);
  const { control, plan } = scene;
  // Under their fence: what somebody wrote past the proxies would be taken, and be gone with its table.
  for (const object of (await listObjects(control)).toReversed()) {
    if (object.migration !== plan.name || object.remove === "on completion") continue;
    const database = object.database as DatabaseName;
    if (object.kind === "table") {
      const target = await sessions.to(database);
      await target.query(`DROP TABLE IF EXISTS ${object.name}`);
    }
    // After its tables; what somebody else has put into it stays, and so does the schema.
    if (object.kind === "schema")
      await (
        await sessions.to(database)
      ).query(
        `DO $colonnade$ BEGIN DROP SCHEMA IF EXISTS ${object.name}; EXCEPTION WHEN dependent_objects_still_exist THEN NULL; END $colonnade$`,
      );
    if (object.kind !== "event trigger") await forgetObject(control, object);
  }
  await takeFencesAway(scene, sessions, ticket);
  await endGuards(scene, sessions);
}

/** The targets own the rows for good; what the sources had of them is kept aside. */
export async function finish(scene: Scene, ticket: number, signal: AbortSignal): Promise<void> {
  await dropStreams(scene, signal);
  using sessions = new Sessions(scene, signal);
  await retire(scene, sessions);
  await takeFencesAway(scene, sessions, ticket);
  await endGuards(scene, sessions);
  const { control, plan } = scene;
  for (const object of await listObjects(control))
    if (object.migration === plan.name) await forgetObject(control, object);
}

/** Where the tables of a source go that no map names any more. */
export const RETIRED_SCHEMA = "colonnade_retired";

/**
 * The sources' tables with their old rows: moved aside, for somebody to drop. Canonical tables
 * stay where they are, as catalog queries read them, and are emptied.
 */
async function retire(scene: Scene, sessions: Sessions): Promise<void> {
  const { plan, canonical } = scene;
  for (const { source, tables: all } of plan.moves) {
    const tables = all.filter((table) => !isCopied(table));
    const connection = await sessions.to(source);
    const isCanonical = ({ schema }: { readonly schema: string }): boolean =>
      canonical.database === source && canonical.schema === schema;
    const emptied = tables.filter(isCanonical).map(qualified);
    // All in one statement: they may refer to each other.
    if (emptied.length > 0) {
      await connection.query(`TRUNCATE ${emptied.join(", ")}`);
      await guardEmptied(connection, emptied);
    }
    for (const table of tables.filter((each) => !isCanonical(each))) {
      const { rows } = await connection.query(
        `SELECT to_regclass(${quoteLiteral(qualified(table))}) IS NULL`,
      );
      if (rows[0]?.[0] === "t") continue;
      const retired = quoteIdentifier(retiredName(plan.name, table));
      const renamed = await partsRenamed(connection, plan.name, table);
      // One statement string is one transaction.
      await connection.query(
        `CREATE SCHEMA IF NOT EXISTS ${RETIRED_SCHEMA}; ${renamed.join("; ")}${renamed.length > 0 ? "; " : ""}ALTER TABLE ${qualified(table)} RENAME TO ${retired}; ALTER TABLE ${quoteIdentifier(table.schema)}.${retired} SET SCHEMA ${RETIRED_SCHEMA}`,
      );
    }
  }
}

/**
 * Where guards are in use, what is empty from now on has its own before the fence is gone.
 * Partitioned tables and partitions hand constraints on to each other: those `guard install` knows.
 */
async function guardEmptied(
  connection: BackendConnection,
  tables: readonly string[],
): Promise<void> {
  const guards = `SELECT FROM pg_constraint WHERE conname = '${GUARD_CONSTRAINT}' AND contype = 'c'`;
  if ((await connection.query(`${guards} LIMIT 1`)).rows.length === 0) return;
  for (const table of tables) {
    const { rows } = await connection.query(
      `SELECT FROM pg_class WHERE oid = ${quoteLiteral(table)}::regclass AND relkind = 'r' AND NOT relispartition`,
    );
    if (rows.length > 0)
      await connection.query(
        `ALTER TABLE ${table} DROP CONSTRAINT IF EXISTS ${GUARD_CONSTRAINT}, ADD CONSTRAINT ${GUARD_CONSTRAINT} CHECK (${EMPTY_TABLE_GUARD})`,
      );
  }
}

/**
 * A table's indexes and sequences go with it to its new schema, where those of a table of the same name may be already:
 * another schema's, or an earlier migration's.
 */
async function partsRenamed(
  connection: BackendConnection,
  migration: string,
  table: { readonly schema: string; readonly name: string },
): Promise<readonly string[]> {
  const relation = `${quoteLiteral(qualified(table))}::regclass`;
  const { rows } = await connection.query(
    `SELECT relkind = 'S', relname FROM pg_class WHERE oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = ${relation})
OR (relkind = 'S' AND oid IN (SELECT objid FROM pg_depend WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND refobjid = ${relation} AND deptype IN ('a', 'i')))
ORDER BY 1, 2`,
  );
  return rows.map(([isSequence, name]) => {
    const part = { schema: table.schema, name: name ?? "" };
    const kind = isSequence === "t" ? "SEQUENCE" : "INDEX";
    return `ALTER ${kind} ${qualified(part)} RENAME TO ${quoteIdentifier(retiredName(migration, part))}`;
  });
}

function qualified({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return quoteQualified(schema, name);
}

async function takeFencesAway(scene: Scene, sessions: Sessions, ticket: number): Promise<void> {
  const fences = [
    ...fencesOf(scene, "sources"),
    ...fencesOf(scene, "targets"),
    ...copiedFencesOf(scene),
  ];
  for (const [database, fence] of fences) {
    const connection = await sessions.to(database);
    if (!(await hasEngineTable(connection, "move_fence"))) continue;
    await lowerFence(connection, fence, ticket, FENCE_LOCK_TIMEOUT_MS);
    await dropFence(connection, fence, FENCE_LOCK_TIMEOUT_MS);
  }
}

async function endGuards(scene: Scene, sessions: Sessions): Promise<void> {
  for (const side of ["sources", "targets"] as const)
    for (const [database] of fencesOf(scene, side)) {
      const connection = await sessions.to(database);
      await endTruncateGuard(scene.plan.name, connection);
      await endDdlGuard(scene, connection, database);
    }
}
