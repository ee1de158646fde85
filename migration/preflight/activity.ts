/** Findings about what goes on in a database now: transactions that wait for nobody, and who else is there. */
import { PREFLIGHT_COMMIT_MS, PREFLIGHT_LONG_TRANSACTION_MS } from "../../base/limits.ts";
import type { BackendConnection } from "../../proxy/backend/backend-connection.ts";
import { finding } from "./findings.ts";
import type { Finding } from "./findings.ts";

/** A proxy's, which is about to commit it. */
const BETWEEN_PHASES = `gid LIKE 'colonnade:%' AND clock_timestamp() - prepared < ${PREFLIGHT_COMMIT_MS} * interval '1 millisecond'`;

export async function activityFindings(
  connection: BackendConnection,
  longMs: number = PREFLIGHT_LONG_TRANSACTION_MS,
): Promise<readonly Finding[]> {
  const { database } = connection;
  const prepared = await connection.query(
    `SELECT gid, owner, extract(epoch FROM clock_timestamp() - prepared)::int8 FROM pg_prepared_xacts WHERE database = current_database() AND NOT (${BETWEEN_PHASES}) ORDER BY prepared`,
  );
  const long = await connection.query(
    `SELECT pid, usename, extract(epoch FROM clock_timestamp() - xact_start)::int8, left(regexp_replace(query, '\\s+', ' ', 'g'), 100) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND (backend_xid IS NOT NULL OR backend_xmin IS NOT NULL) AND clock_timestamp() - xact_start > ${longMs} * interval '1 millisecond' ORDER BY xact_start`,
  );
  const others = await connection.query(
    "SELECT usename, application_name, count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND usename <> current_user GROUP BY 1, 2 ORDER BY 1, 2",
  );
  return [
    ...prepared.rows.map(([gid, owner, seconds]) =>
      finding(
        "prepared_transaction",
        database,
        `transaction '${gid}'`,
        `of ${owner} has been prepared for ${seconds} s`,
      ),
    ),
    ...long.rows.map(([pid, user, seconds, query]) =>
      finding(
        "long_transaction",
        database,
        `process ${pid}`,
        `of ${user} has had a transaction open for ${seconds} s: ${query}`,
      ),
    ),
    ...others.rows.map(([user, application, count]) =>
      finding(
        "other_sessions",
        database,
        `role ${user}`,
        `has ${count} sessions${application === "" ? "" : ` (${application})`}, which may go past the proxy`,
      ),
    ),
  ];
}
