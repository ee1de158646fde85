/** Who keeps a fence from coming up: transactions that have written to moved tables, and stay open. */
import { MIGRATION_PAUSE_MS } from "../../base/limits.ts";
import { quoteLiteral, quoteQualified } from "../../base/sql-quoting.ts";
import type { ControlDatabase } from "../../control/control-database.ts";
import type { Direction } from "../../migration/machine/life.ts";
import type { PlannedMove } from "../../migration/move.ts";
import { databasesOf } from "../../migration/orchestrator/run-migration.ts";
import { movesOf, Sessions } from "../../migration/orchestrator/scene.ts";
import { backendAddresses } from "../../proxy/topology/backend-addresses.ts";
import type { KnownMigration } from "./stored-migrations.ts";

/** As sentences, by process, age and statement; of those that had been open for half of a pause. */
export async function writersInside(
  database: ControlDatabase,
  { plan }: KnownMigration,
  direction: Direction,
): Promise<readonly string[]> {
  const { databases } = await databasesOf(backendAddresses, database, plan);
  using sessions = new Sessions({ databases }, new AbortController().signal);
  const found: string[] = [];
  for (const move of movesOf({ plan }, direction)) {
    const { rows } = await (await sessions.to(move.source)).query(writersSql(move));
    for (const [pid, user, seconds, query] of rows)
      found.push(
        `${move.source}: process ${pid} of ${user} has had a transaction open for ${seconds} s that writes to moved tables: ${query}`,
      );
  }
  return found;
}

function writersSql({ tables }: PlannedMove): string {
  const names = tables.map(({ schema, name }) => quoteLiteral(quoteQualified(schema, name)));
  return `SELECT DISTINCT a.pid, a.usename, extract(epoch FROM clock_timestamp() - a.xact_start)::int8, left(regexp_replace(a.query, '\\s+', ' ', 'g'), 100)
FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a USING (pid)
WHERE l.locktype = 'relation' AND l.granted AND l.mode NOT IN ('AccessShareLock', 'RowShareLock') AND a.pid <> pg_catalog.pg_backend_pid()
  AND l.relation IN (SELECT pg_catalog.to_regclass(name)::oid FROM unnest(ARRAY[${names.join(", ")}]) name)
  AND clock_timestamp() - a.xact_start > ${MIGRATION_PAUSE_MS / 2} * interval '1 millisecond' ORDER BY 3 DESC`;
}
