/** What stands in the way of a cutover just now: MIGRATIONS 4.7, step 0. Sentences; none where nothing does. */
import type { ControlDatabase } from "../../control/control-database.ts";
import { listProxies } from "../../control/fleet-state.ts";
import { isOrchestrated } from "../../control/orchestrator-lock.ts";
import { FLEET_LEASE_MS, MIGRATION_PAUSE_MS } from "../../base/limits.ts";
import { activityFindings } from "../../migration/preflight/activity.ts";
import type { KnownMigration } from "./stored-migrations.ts";
import { nextMapOf } from "./preflight.ts";
import { inDatabases } from "../live-databases.ts";
import { sourceDatabases, targetDatabasesOf } from "../../migration/plan/planned-migration.ts";

/** Transactions that write and are older are waited for by the fence for longer than a pause may last. */
const OPEN_MS_MAX = MIGRATION_PAUSE_MS / 2;

export async function blockersOf(
  database: ControlDatabase,
  { plan }: KnownMigration,
  kind: "cutover" | "rollback",
): Promise<readonly string[]> {
  const { name } = plan;
  const blockers: string[] = [];
  if (!(await isOrchestrated(database, name)))
    blockers.push(
      `no process runs ${name}: colonnade migrate start ${name}, or colonnade orchestrate`,
    );
  for (const proxy of await listProxies(database)) {
    if (proxy.problem !== undefined)
      blockers.push(`proxy ${proxy.name} (${proxy.address}) cannot follow: ${proxy.problem}`);
    else if (proxy.silentMs > FLEET_LEASE_MS)
      blockers.push(
        `proxy ${proxy.name} (${proxy.address}) has been silent for ${(proxy.silentMs / 1_000).toFixed(1)} s`,
      );
  }
  const givers = kind === "cutover" ? sourceDatabases(plan) : targetDatabasesOf(plan);
  const found = await inDatabases(
    nextMapOf(plan),
    givers,
    (giver) => giver,
    async (connection) => await activityFindings(connection, OPEN_MS_MAX),
  );
  for (const { id, database: giver, object, message } of found.flat())
    if (id === "prepared_transaction") blockers.push(`${giver}: ${object} ${message}`);
  return blockers;
}
