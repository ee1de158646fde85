/**
 * Whom a pool lets in of those who are new to it, told from how its server does: admission.ts
 * decides, and here is what that needs of the world: the time, what is told to whom is refused,
 * and the question, asked while nobody else asks anything, whether the server is back.
 */
import { BACKEND_CHECK_TIMEOUT_MS } from "../../base/limits.ts";
import type { DatabaseName } from "../../base/ids.ts";
import { SqlError } from "../../base/sql-error.ts";
import { Admission } from "./admission.ts";
import type { BackendConnection } from "./backend-connection.ts";
import type { Claim } from "./claim.ts";
import { circuitOpen, poolExhausted, poolOverloaded } from "./pool-errors.ts";
import type { PoolOptions } from "./pool-options.ts";
import type { PoolStats } from "./pool-stats.ts";
import { ServerProbe } from "./server-probe.ts";
import type { WaitEnd, WaitQueue } from "./wait-queue.ts";

export interface GatedPool {
  readonly database: DatabaseName;
  readonly options: PoolOptions;
  readonly waiting: () => WaitQueue<BackendConnection>;
  readonly stats: () => PoolStats;
  /** A connection that is not one of the pool's. */
  readonly open: () => Promise<BackendConnection>;
  /** New transactions may be served again. */
  readonly onOpened: () => void;
}

export class PoolGate {
  readonly #pool: GatedPool;
  readonly #admission: Admission;
  readonly #probe = new ServerProbe({ ask: () => this.#answers(), onAnswer: () => this.#isBack() });
  #lastFailure: unknown;
  #shedEarly = 0;
  #shedOpen = 0;
  #isStopped = false;

  constructor(pool: GatedPool) {
    this.#pool = pool;
    this.#admission = new Admission(pool.options);
  }

  /** How many connections may be in use while those who are new get one: none while the circuit is open. */
  get limit(): number {
    return this.#admission.isOpen ? 0 : this.#admission.limit;
  }

  get measuresAnswers(): boolean {
    return this.#admission.measuresAnswers;
  }

  get stats(): Pick<PoolStats, "limit" | "isOpen" | "shedEarly" | "shedOpen"> {
    const { limit, isOpen } = this.#admission;
    return { limit, isOpen, shedEarly: this.#shedEarly, shedOpen: this.#shedOpen };
  }

  /** What is told to one who would have to wait, and for whom waiting is no use. */
  refusal(claim: Claim): SqlError | undefined {
    if (claim.standing !== "new") return undefined;
    const { database, options, stats, waiting } = this.#pool;
    if (this.#admission.isOpen) {
      this.#shedOpen += 1;
      return circuitOpen(database, this.#lastFailure);
    }
    const queue = waiting();
    if (queue.size === 0) return undefined;
    const expectedMs = this.#admission.hopelessWaitMs(performance.now(), queue.ahead(claim));
    if (expectedMs === undefined) return undefined;
    this.#shedEarly += 1;
    return poolOverloaded(database, { expectedMs, waitMs: options.waitMs }, stats());
  }

  /** What is told to one who has waited, or for whom there is no place to. */
  exhausted(reason: WaitEnd): SqlError {
    const { database, options, stats } = this.#pool;
    const error = poolExhausted(database, reason, options.waitMs, stats());
    // Where others are served, who was not has come too late; where nobody is, the server hangs.
    if (reason === "deadline" && this.#admission.isStalled(performance.now()))
      this.failed(1, error);
    return error;
  }

  /** See Admission.served. */
  served(now: number, lentMs: number, answerMs: number, used: number): void {
    this.#admission.served(now, lentMs, answerMs, used);
  }

  /** The server's doing. Where it opens the circuit, nobody new is kept waiting for it. */
  failed(count: number, cause: unknown): void {
    if (this.#isStopped) return;
    this.#lastFailure = cause;
    if (!this.#admission.failed(performance.now(), count)) return;
    const { database, waiting } = this.#pool;
    this.#shedOpen += waiting().rejectNew(() => circuitOpen(database, cause));
    this.#probe.start();
  }

  stop(): void {
    this.#isStopped = true;
    this.#probe.stop();
  }

  /** Over a connection of its own: those of the pool may all hang. */
  async #answers(): Promise<boolean> {
    try {
      const connection = await this.#pool.open();
      try {
        await connection.query("", AbortSignal.timeout(BACKEND_CHECK_TIMEOUT_MS));
      } finally {
        connection.close();
      }
      return true;
    } catch (error) {
      this.#lastFailure = error;
      return isFull(error);
    }
  }

  #isBack(): void {
    this.#admission.close();
    this.#pool.onOpened();
  }
}

/** The server answers, and has no connection left. */
export function isFull(error: unknown): boolean {
  return error instanceof SqlError && error.id === "backend_too_many_connections";
}
