/** What a move's stream leaves in its source beside the slot: what its tables were when it was set up. */
import { quoteLiteral } from "../../base/sql-quoting.ts";
import type { BackendConnection } from "../../proxy/backend/backend-connection.ts";
import { CREATE_ENGINE_SCHEMA, hasEngineTable } from "../engine-schema.ts";
import { tableFingerprint, tableName } from "../move.ts";
import type { Move } from "../move.ts";

/** Made where it is missing, by however many at once. */
const CREATE_STREAM_STATE = `
${CREATE_ENGINE_SCHEMA}
CREATE TABLE IF NOT EXISTS colonnade.move_table (
  move text NOT NULL,
  source_table text NOT NULL,
  fingerprint text NOT NULL,
  PRIMARY KEY (move, source_table)
);
COMMENT ON TABLE colonnade.move_table IS 'tables whose changes are streamed, as they were when that was set up';
`;

/** Run again, it stores what the tables are now. */
export async function storeFingerprints(source: BackendConnection, move: Move): Promise<void> {
  await source.query(CREATE_STREAM_STATE);
  for (const table of move.tables)
    await source.query(
      `INSERT INTO colonnade.move_table (move, source_table, fingerprint) VALUES (${[move.name, tableName(table), tableFingerprint(table)].map(quoteLiteral).join(", ")}) ON CONFLICT (move, source_table) DO UPDATE SET fingerprint = excluded.fingerprint`,
    );
}

export async function readFingerprints(
  source: BackendConnection,
  move: string,
): Promise<ReadonlySet<string>> {
  const { rows } = await source.query(
    `SELECT fingerprint FROM colonnade.move_table WHERE move = ${quoteLiteral(move)}`,
  );
  return new Set(rows.map(([fingerprint]) => fingerprint ?? ""));
}

export async function forgetFingerprints(source: BackendConnection, move: string): Promise<void> {
  if (!(await hasEngineTable(source, "move_table"))) return;
  await source.query(`DELETE FROM colonnade.move_table WHERE move = ${quoteLiteral(move)}`);
}
