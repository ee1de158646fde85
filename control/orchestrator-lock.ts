/**
 * Which process runs a migration: one session's advisory lock, so that it is free at once when the
 * process dies. The session asks something twice a second; one that has been silent for
 * ORCHESTRATOR_SILENT_MS is ended by whoever wants the migration next.
 *
 * It keeps two from working at once, and no promise about rows rests on it: a process that was
 * stopped and goes on finds that its epoch is over.
 */
import { ORCHESTRATOR_BEAT_MS, ORCHESTRATOR_SILENT_MS } from "../base/limits.ts";
import { quoteLiteral } from "../base/sql-quoting.ts";
import type { BackendAddress } from "../proxy/backend/backend-address.ts";
import { ControlDatabase } from "./control-database.ts";

/** First half of the lock's number; the second is a hash of the migration's name. */
const LOCK_CLASS = 752_391_347;

export class OrchestratorLock implements Disposable {
  readonly #database: ControlDatabase;
  readonly #beat: NodeJS.Timeout;
  readonly #lost = new AbortController();
  #isBeating = false;

  /** Undefined while another process that lives has it. */
  static async tryAcquire(
    address: BackendAddress,
    migration: string,
  ): Promise<OrchestratorLock | undefined> {
    const database = await ControlDatabase.open(address);
    try {
      await database.query(endSilent(migration));
      const [row] = await database.query(`SELECT pg_try_advisory_lock(${keyOf(migration)})`);
      if (row?.[0] === "t") return new OrchestratorLock(database);
      database.connection.close();
      return undefined;
    } catch (error) {
      database.connection.destroy();
      throw error;
    }
  }

  /** `tryAcquire` is how others come by one. */
  constructor(database: ControlDatabase) {
    this.#database = database;
    this.#beat = setInterval(() => this.#tick(), ORCHESTRATOR_BEAT_MS);
  }

  /** Aborted when the session is over: somebody else may have the migration now. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  #tick(): void {
    if (this.#isBeating) return;
    this.#isBeating = true;
    this.#database
      .query("SELECT 1", AbortSignal.timeout(ORCHESTRATOR_SILENT_MS))
      .then(() => (this.#isBeating = false))
      .catch((error: unknown) => this.#lost.abort(error));
  }

  [Symbol.dispose](): void {
    clearInterval(this.#beat);
    this.#database.connection.close();
  }
}

/** Whether a process that lives runs the migration. */
export async function isOrchestrated(
  database: ControlDatabase,
  migration: string,
): Promise<boolean> {
  const rows = await database.query(`${holders(migration)} AND NOT ${IS_SILENT}`);
  return rows.length > 0;
}

function keyOf(migration: string): string {
  return `${LOCK_CLASS}, hashtext(${quoteLiteral(migration)})`;
}

const IS_SILENT = `a.state_change < clock_timestamp() - ${ORCHESTRATOR_SILENT_MS} * interval '1 millisecond'`;

function holders(migration: string): string {
  return `SELECT a.pid FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.classid = ${LOCK_CLASS} AND l.objid::int8 = hashtext(${quoteLiteral(migration)})::int8 & 4294967295
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
}

function endSilent(migration: string): string {
  return `SELECT pg_terminate_backend(pid, 1000) FROM (${holders(migration)} AND ${IS_SILENT}) silent`;
}
