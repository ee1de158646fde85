/**
 * Triggers that refuse TRUNCATE, by the migration's name, of tables whose stream cannot carry it:
 * those of which some rows stay where they are, or whose rows come to tables that have others',
 * too. Without, the stream would stop at it. On both sides, as each streams to the other in turn.
 */
import { FENCE_LOCK_TIMEOUT_MS } from "../../base/limits.ts";
import { quoteLiteral, quoteQualified } from "../../base/sql-quoting.ts";
import type { BackendConnection } from "../../proxy/backend/backend-connection.ts";
import { CREATE_ENGINE_SCHEMA } from "../engine-schema.ts";
import type { Direction } from "../machine/life.ts";
import { isTruncateCarried } from "../move.ts";
import { movesOf } from "./scene.ts";
import type { Scene, Sessions } from "./scene.ts";

const TRIGGER = "colonnade_guard_truncate";

const CREATE_FUNCTION = `
${CREATE_ENGINE_SCHEMA}
CREATE OR REPLACE FUNCTION colonnade.refuse_truncate() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  RAISE EXCEPTION 'cannot truncate table "%.%" while migration "%" moves it', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_ARGV[0]
    USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'DELETE its rows, or complete or cancel the migration first: colonnade migrate status.';
END
$$;
`;

/** Of the tables that streams of this direction read. Throws the server's 55P03 where somebody writes for long. */
export async function guardTruncate(
  scene: Scene,
  sessions: Sessions,
  direction: Direction,
): Promise<void> {
  for (const move of movesOf(scene, direction)) {
    const tables = move.tables.filter((table) => !isTruncateCarried(move, table));
    if (tables.length === 0) continue;
    const connection = await sessions.to(move.source);
    await connection.query(CREATE_FUNCTION);
    for (const { schema, name } of tables) {
      const table = quoteLiteral(quoteQualified(schema, name));
      const { rows } = await connection.query(
        `SELECT relid::regclass FROM pg_partition_tree(${table}) UNION SELECT ${table}::regclass`,
      );
      for (const [each] of rows)
        await connection.query(
          `BEGIN; SET LOCAL lock_timeout = ${FENCE_LOCK_TIMEOUT_MS}; CREATE OR REPLACE TRIGGER ${TRIGGER} BEFORE TRUNCATE ON ${each ?? ""} FOR EACH STATEMENT EXECUTE FUNCTION colonnade.refuse_truncate(${quoteLiteral(scene.plan.name)}); COMMIT`,
        );
    }
  }
}

/** Under whatever name a table is by now; of another migration's nothing is taken away. */
export async function endTruncateGuard(
  migration: string,
  connection: BackendConnection,
): Promise<void> {
  const { rows } = await connection.query(
    `SELECT tgrelid::regclass FROM pg_trigger WHERE tgname = ${quoteLiteral(TRIGGER)} AND tgargs = convert_to(${quoteLiteral(migration)}, 'UTF8') || '\\x00'::bytea`,
  );
  for (const [table] of rows)
    await connection.query(
      `BEGIN; SET LOCAL lock_timeout = ${FENCE_LOCK_TIMEOUT_MS}; DROP TRIGGER IF EXISTS ${TRIGGER} ON ${table ?? ""}; COMMIT`,
    );
}
