/**
 * When copying waits: while standbys are behind, servers have much to do, the source's log is
 * running out of room, or an operator wants fewer rows a second. Changes are applied meanwhile,
 * or what waits for them would grow.
 *
 * It looks at the servers that the move reads and writes, over sessions of its own.
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  MIGRATION_SLOT_BUDGET_PERCENT,
  MIGRATION_THROTTLE_POLL_MS,
  MOVE_CONNECT_TIMEOUT_MS,
} from "../base/limits.ts";
import { quoteLiteral } from "../base/sql-quoting.ts";
import type { BackendConnection } from "../proxy/backend/backend-connection.ts";
import type { Throttle } from "./machine/life.ts";
import { openSource, type MoveDatabase } from "./sessions.ts";
import { withSignal } from "./with-signal.ts";

export interface CopyThrottleOptions {
  readonly source: MoveDatabase;
  readonly targets: readonly MoveDatabase[];
  /** On the source. */
  readonly slot: string;
  readonly limits: () => Throttle;
  /** Told when it changes: why copying waits, or that it goes on. */
  readonly tell: (because: string | undefined) => void;
}

export class CopyThrottle implements Disposable {
  readonly #options: CopyThrottleOptions;
  readonly #sessions = new Map<string, BackendConnection>();
  /** Of all workers at once. */
  #looking: Promise<string | undefined> | undefined;
  #lookedMs = -Infinity;
  #told: string | undefined;
  /** Since when so many rows a second are meant, and what was copied before. */
  #rate:
    | { readonly rowsPerSecond: number; readonly sinceMs: number; readonly rows: number }
    | undefined;

  constructor(options: CopyThrottleOptions) {
    this.#options = options;
  }

  /** Resolves when another chunk may be copied; `rowCount`: rows copied so far. Rejects with what a server says. */
  async pass(rowCount: number, signal: AbortSignal): Promise<void> {
    for (;;) {
      const because = this.#tooFast(rowCount) ?? (await withSignal(this.#look(), signal));
      this.#tell(because);
      if (because === undefined) return;
      await sleep(MIGRATION_THROTTLE_POLL_MS / 5, undefined, { signal });
    }
  }

  #tell(because: string | undefined): void {
    const reason = because?.replaceAll(/\d+/g, "");
    if (reason === this.#told) return;
    this.#told = reason;
    this.#options.tell(because);
  }

  #tooFast(rowCount: number): string | undefined {
    const { rowsPerSecond } = this.#options.limits();
    if (rowsPerSecond === null) {
      this.#rate = undefined;
      return undefined;
    }
    const nowMs = performance.now();
    if (this.#rate?.rowsPerSecond !== rowsPerSecond)
      this.#rate = { rowsPerSecond, sinceMs: nowMs, rows: rowCount };
    const { sinceMs, rows } = this.#rate;
    const due = (rowsPerSecond * (nowMs - sinceMs)) / 1_000;
    return rowCount - rows > due
      ? `no more than ${rowsPerSecond} rows a second are wanted`
      : undefined;
  }

  /** One look serves all workers, for a while. */
  async #look(): Promise<string | undefined> {
    if (
      this.#looking === undefined ||
      performance.now() - this.#lookedMs > MIGRATION_THROTTLE_POLL_MS
    ) {
      this.#lookedMs = performance.now();
      this.#looking = this.#reason();
    }
    return await this.#looking;
  }

  async #reason(): Promise<string | undefined> {
    const { source, targets, slot, limits } = this.#options;
    const budget = slotReason((await (await this.#to(source)).query(slotFacts(slot))).rows[0]);
    if (budget !== undefined) return `${source.name}: ${budget}`;
    for (const database of [source, ...targets]) {
      const [row] = (await (await this.#to(database)).query(LOAD)).rows;
      const busy = loadReason(row ?? [], limits());
      if (busy !== undefined) return `${database.name}: ${busy}`;
    }
    return undefined;
  }

  async #to(database: MoveDatabase): Promise<BackendConnection> {
    const known = this.#sessions.get(database.name);
    if (known !== undefined && !known.isBroken) return known;
    const opened = await openSource(database, AbortSignal.timeout(MOVE_CONNECT_TIMEOUT_MS));
    this.#sessions.set(database.name, opened);
    return opened;
  }

  [Symbol.dispose](): void {
    for (const connection of this.#sessions.values()) connection.destroy();
  }
}

/** Sessions of clients at work, and how far the slowest standby is behind; our own and streams of changes do not count. */
const LOAD = `
SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND state = 'active'
    AND application_name NOT LIKE 'colonnade %'),
  (SELECT round(extract(epoch FROM max(replay_lag)) * 1000) FROM pg_stat_replication r
    WHERE NOT EXISTS (SELECT FROM pg_replication_slots s WHERE s.active_pid = r.pid AND s.slot_type = 'logical'))`;

function loadReason(
  [active, lagMs]: readonly (string | null)[],
  { activeSessions, replicaLagMs }: Throttle,
): string | undefined {
  if (Number(active) > activeSessions)
    return `${active} sessions are at work, and ${activeSessions} are meant to be the most`;
  if (Number(lagMs ?? 0) > replicaLagMs)
    return `a standby is ${lagMs} ms behind, and ${replicaLagMs} ms are meant to be the most`;
  return undefined;
}

/** What it may still keep, and what it may keep at all; null where that has no limit. */
function slotFacts(slot: string): string {
  return `
SELECT s.safe_wal_size, k.setting::int8 * 1024 * 1024 FROM pg_replication_slots s
CROSS JOIN (SELECT setting FROM pg_settings WHERE name = 'max_slot_wal_keep_size') k
WHERE s.slot_name = ${quoteLiteral(slot)}`;
}

/** A slot that is lost is found by who reads it. */
function slotReason(row: readonly (string | null)[] | undefined): string | undefined {
  const [safe = null, limit = null] = row ?? [];
  if (safe === null || limit === null) return undefined;
  if (Number(safe) >= (Number(limit) * MIGRATION_SLOT_BUDGET_PERCENT) / 100) return undefined;
  return `the slot may keep ${safe} bytes of log more, of ${limit}`;
}
