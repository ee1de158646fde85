/** What stands in the way of a cutover just now: MIGRATIONS 4.7, step 0. Sentences; none where nothing does. */
import { setTimeout as sleep } from "node:timers/promises";
import { MIGRATION_CURRENT_MS, MIGRATION_PAUSE_MS } from "../../base/limits.ts";
import { LSN_ZERO, parseLsn } from "../../base/lsn.ts";
import { quoteLiteral } from "../../base/sql-quoting.ts";
import type { ControlDatabase } from "../../control/control-database.ts";
import { listProxies } from "../../control/fleet-state.ts";
import { isOrchestrated } from "../../control/orchestrator-lock.ts";
import type { Direction } from "../../migration/machine/life.ts";
import { isCopied, targetDatabases } from "../../migration/move.ts";
import type { PlannedMove } from "../../migration/move.ts";
import { compareStructures } from "../../migration/orchestrator/compare.ts";
import { otherMapInForce } from "../../migration/orchestrator/next-map.ts";
import { databasesOf } from "../../migration/orchestrator/run-migration.ts";
import { movesOf, Sessions } from "../../migration/orchestrator/scene.ts";
import { activityFindings } from "../../migration/preflight/activity.ts";
import { backendAddresses } from "../../proxy/topology/backend-addresses.ts";
import type { KnownMigration } from "./stored-migrations.ts";

/** A transaction that writes and is older is likely to be open still when the fence waits for it. */
const OPEN_MS_MAX = MIGRATION_PAUSE_MS / 2;

export async function blockersOf(
  database: ControlDatabase,
  { plan }: KnownMigration,
  direction: Direction,
): Promise<readonly string[]> {
  const blockers: string[] = [];
  const { name } = plan;
  const otherMap = await otherMapInForce(database, plan, direction);
  if (otherMap !== undefined) return [otherMap];
  if (!(await isOrchestrated(database, name)))
    blockers.push(`no process runs it: colonnade migrate start ${name}, or colonnade orchestrate`);
  blockers.push(...(await proxyBlockers(database)));
  const { databases } = await databasesOf(backendAddresses, database, plan);
  using sessions = new Sessions({ databases }, new AbortController().signal);
  for (const move of movesOf({ plan }, direction)) {
    const giver = await sessions.to(move.source);
    const activity = await activityFindings(giver, OPEN_MS_MAX);
    for (const { id, object, message } of activity)
      if (id === "prepared_transaction") blockers.push(`${move.source}: ${object} ${message}`);
    if (blockers.length === 0) blockers.push(...(await lagBlockers(sessions, move)));
  }
  if (blockers.length > 0) return blockers;
  const moves = plan.moves.map((move) => ({
    ...move,
    // Copies are not given back.
    tables: move.tables.filter((table) => direction === "forward" || !isCopied(table)),
  }));
  return await compareStructures({ databases }, moves, new AbortController().signal);
}

/** One that is silent is waited for, before the pause, until its lease has run out. */
async function proxyBlockers(database: ControlDatabase): Promise<readonly string[]> {
  return (await listProxies(database)).flatMap(({ name, address, problem }) =>
    problem === undefined ? [] : [`proxy ${name} (${address}) cannot follow: ${problem}`],
  );
}

/** A position of now has to be durable in every target soon: an idle stream tells once a second. */
async function lagBlockers(sessions: Sessions, move: PlannedMove): Promise<readonly string[]> {
  const source = await sessions.to(move.source);
  const now = await source.query("SELECT pg_current_wal_flush_lsn()");
  const due = parseLsn(now.rows[0]?.[0] ?? "") ?? LSN_ZERO;
  const end = performance.now() + 3 * MIGRATION_CURRENT_MS;
  for (;;) {
    const behind: string[] = [];
    for (const name of targetDatabases(move)) {
      const target = await sessions.to(name);
      const { rows } = await target.query(
        `SELECT position FROM colonnade.move_progress WHERE move = ${quoteLiteral(move.name)}`,
      );
      const position = parseLsn(rows[0]?.[0] ?? "") ?? LSN_ZERO;
      if (position < due)
        behind.push(`${name} is ${due - position} bytes of log behind ${move.source}`);
    }
    if (behind.length === 0 || performance.now() >= end) return behind;
    await sleep(MIGRATION_CURRENT_MS / 20);
  }
}
