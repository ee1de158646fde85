/**
 * Whether the catalog that the proxy has may be used as it is. Proxies of a fleet are told of each
 * other's DDL before it commits; from then on, until that transaction is over and its changes are
 * loaded, the catalog database is asked before the catalog is used. So is it while the fleet is
 * silent: DDL may be going on that nobody could tell.
 *
 * Who asks shares one question with all who ask at the same time. A proxy that is in no fleet
 * trusts itself. What the fleet is, and what the catalog says, is not known here.
 */
import { CATALOG_AWAY_PAUSE_MS, CATALOG_TRUST_MS, FLEET_LEASE_DRIFT } from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import type { Metrics } from "../../base/metrics.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { LiveTopology } from "./live-topology.ts";
import { BackendError } from "../backend/backend-connection.ts";

/** As control/ddl-intents.ts tells of it. */
export interface ForeignDdl {
  readonly id: string;
  /** Undefined of DDL that has committed already. */
  readonly transaction: string | undefined;
}

export interface CatalogTrustOptions {
  readonly isInFleet: boolean;
  /** Milliseconds of a clock that never goes back, and goes on while the process is stopped. */
  readonly now: () => number;
  readonly topology: Pick<LiveTopology, "look" | "refresh" | "transactionStatus">;
  /** Before the catalog is loaded that has changes of others. */
  readonly onForeignDdl: () => void;
  readonly log: Log;
  readonly metrics: Metrics;
}

export class CatalogTrust {
  readonly #options: CatalogTrustOptions;
  /** DDL whose changes may not be in the catalog yet. */
  readonly #pending = new Map<string, ForeignDdl>();
  /** Whose changes are in it, if there are any, though the fleet still names it. */
  readonly #settled = new Set<string>();
  #untilMs: number;
  /** The fleet has been silent since the catalog was last looked at; counts the times. */
  #hasLapsed: boolean;
  #lapseCount = 0;
  /** The catalog database could not be reached. */
  #awayUntilMs = Number.NEGATIVE_INFINITY;
  #running: Promise<void> | undefined;
  #following: Promise<void> | undefined;

  constructor(options: CatalogTrustOptions) {
    this.#options = options;
    this.#hasLapsed = options.isInFleet;
    this.#untilMs = options.isInFleet ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }

  /** `confirm` is to be awaited before the catalog is used. */
  get isDoubted(): boolean {
    if (this.#pending.size > 0) return true;
    // Outside of a fleet it is for ever: each statement asks, and no clock is read for it.
    if (this.#untilMs === Number.POSITIVE_INFINITY && !this.#hasLapsed) return false;
    const nowMs = this.#options.now();
    if (nowMs <= this.#untilMs && !this.#hasLapsed) return false;
    return nowMs >= this.#awayUntilMs;
  }

  /** Of the DDL that the fleet names, what it need not name any more. */
  get settled(): readonly string[] {
    return [...this.#settled];
  }

  /** The DDL that the fleet names in an answer to what was asked at `sentMs`. In force when it returns. */
  follow(named: readonly ForeignDdl[], sentMs: number): void {
    this.#noteLapse();
    const ids = new Set(named.map(({ id }) => id));
    for (const id of this.#settled) if (!ids.has(id)) this.#settled.delete(id);
    // One that is not named any more stays until it is known what became of it.
    for (const ddl of named) if (!this.#settled.has(ddl.id)) this.#pending.set(ddl.id, ddl);
    this.#untilMs = Math.max(this.#untilMs, sentMs + CATALOG_TRUST_MS * (1 - FLEET_LEASE_DRIFT));
    // Whoever needs it is told if it fails.
    if (this.isDoubted) this.confirm().catch(() => undefined);
  }

  /** The catalog was loaded after the DDL of this id was over. */
  settle(id: string): void {
    this.#pending.delete(id);
    this.#settled.add(id);
  }

  /**
   * What the catalog shows when it resolves was so at some time after the call. Where the catalog
   * database cannot be reached, and no DDL is known of, the catalog is used as it is: a database
   * that is down takes no DDL, and the others go on without it. Rejects with `catalog_unconfirmed`.
   */
  confirm(): Promise<void> {
    if (this.#running === undefined) return this.#start();
    this.#following ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#following = undefined;
        return this.#start();
      });
    return this.#following;
  }

  #start(): Promise<void> {
    const running = this.#check().finally(() => {
      this.#running = undefined;
    });
    this.#running = running;
    return running;
  }

  async #check(): Promise<void> {
    const { topology, onForeignDdl, metrics } = this.#options;
    this.#noteLapse();
    const pending = [...this.#pending.values()];
    const [lapseCount, hasLapsed] = [this.#lapseCount, this.#hasLapsed];
    metrics.increment("colonnade_catalog_questions_total", {});
    try {
      const over = await this.#over(pending);
      const hasChanged = over.some((ddl) => ddl.hasChanged);
      if (hasChanged) onForeignDdl();
      if (hasChanged) await topology.refresh();
      else if (hasLapsed) await topology.look();
      for (const { id } of over) this.settle(id);
      if (lapseCount === this.#lapseCount) this.#hasLapsed = false;
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Those whose transactions are not in progress any more; the others have changed nothing yet. */
  async #over(
    pending: readonly ForeignDdl[],
  ): Promise<readonly { readonly id: string; readonly hasChanged: boolean }[]> {
    const over: { readonly id: string; readonly hasChanged: boolean }[] = [];
    for (const { id, transaction } of pending) {
      const { topology } = this.#options;
      const status = transaction && (await topology.transactionStatus(transaction));
      if (status !== "in progress") over.push({ id, hasChanged: status !== "aborted" });
    }
    return over;
  }

  #failed(error: unknown): void {
    const { log, now } = this.#options;
    if (this.#pending.size === 0 && isAway(error)) {
      if (now() >= this.#awayUntilMs + CATALOG_AWAY_PAUSE_MS)
        log.warn({ err: error }, "neither fleet nor catalog database tell of DDL; going on");
      this.#awayUntilMs = now() + CATALOG_AWAY_PAUSE_MS;
      return;
    }
    throw new SqlError(
      "catalog_unconfirmed",
      "tables may have changed, and the catalog database cannot tell how they are now",
      { cause: error, detail: error instanceof Error ? error.message : String(error) },
    );
  }

  #noteLapse(): void {
    if (this.#options.now() <= this.#untilMs) return;
    this.#hasLapsed = true;
    this.#lapseCount += 1;
  }
}

/** No answer, or that of a server that goes or comes (class 57P of the SQLSTATEs). */
function isAway(error: unknown): boolean {
  return !(error instanceof BackendError) || error.fields.C?.startsWith("57P") === true;
}
