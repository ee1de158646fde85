/** The schema `colonnade`, in which the engine keeps its state in every database that takes part in a migration. */
import type { BackendConnection } from "../proxy/backend/backend-connection.ts";

/** Makes whoever creates or drops the engine's objects in a database wait for each other, until the transaction ends. */
export const LOCK_ENGINE_SCHEMA = "SELECT pg_advisory_xact_lock(7523913460157215329);";

/** Before objects that are made where they are missing, by however many at once. */
export const CREATE_ENGINE_SCHEMA = `${LOCK_ENGINE_SCHEMA}
CREATE SCHEMA IF NOT EXISTS colonnade;`;

/** Tables of the engine in databases; the control schema has its own. */
type EngineTable =
  | "move_progress"
  | "move_chunk"
  | "move_table"
  | "move_fence"
  | "move_revoked_read"
  | "guarded_table";

export async function hasEngineTable(
  connection: BackendConnection,
  table: EngineTable,
): Promise<boolean> {
  const { rows } = await connection.query(`SELECT to_regclass('colonnade.${table}') IS NOT NULL`);
  return rows[0]?.[0] === "t";
}
