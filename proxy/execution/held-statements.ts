/**
 * Statements that are held back, none of which has a backend or has sent anything. Bounded by
 * count, bytes and time; where there are too many, the one that has waited longest is refused.
 */
import type { Metrics } from "../../base/metrics.ts";
import { SqlError } from "../../base/sql-error.ts";

export interface HeldLimits {
  readonly statementsMax: number;
  readonly bytesMax: number;
  /** How long one statement waits in all. */
  readonly waitMs: number;
}

export interface HeldStatement {
  readonly places: readonly string[];
  /** Of its text and parameters. */
  readonly bytes: number;
  /** When it was first held back, by the clock of `now`. */
  readonly sinceMs: number;
}

export interface HeldStatementsOptions {
  readonly metrics: Metrics;
  readonly now: () => number;
  readonly limits: HeldLimits;
}

interface Waiter {
  readonly behind: string;
  readonly statement: HeldStatement;
  isReleased: boolean;
  timer: NodeJS.Timeout;
  readonly settle: (error?: unknown) => void;
}

export class HeldStatements {
  readonly #options: HeldStatementsOptions;
  /** The oldest first. */
  readonly #waiters = new Set<Waiter>();
  #bytes = 0;
  #closed: SqlError | undefined;

  constructor(options: HeldStatementsOptions) {
    this.#options = options;
  }

  countOf(behind: string): number {
    let count = 0;
    for (const waiter of this.#waiters) if (waiter.behind === behind) count += 1;
    return count;
  }

  /** Resolves after `release` of what it waits behind. */
  wait(behind: string, statement: HeldStatement, signal: AbortSignal): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    const { now, limits } = this.#options;
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error);
      const onAbort = (): void => settle(signal.reason);
      const startedMs = now();
      const settle = (error?: unknown): void => {
        if (!this.#waiters.delete(waiter)) return;
        clearTimeout(waiter.timer);
        signal.removeEventListener("abort", onAbort);
        this.#count(-statement.bytes);
        const seconds = (now() - startedMs) / 1000;
        this.#options.metrics.observe("colonnade_held_seconds", {}, seconds);
        if (error === undefined) resolve();
        else reject(error);
      };
      const leftMs = Math.max(0, statement.sinceMs + limits.waitMs - startedMs);
      const onTime = (): void => this.#evict(waiter, "time");
      const timer = setTimeout(onTime, leftMs);
      const waiter: Waiter = { behind, statement, isReleased: false, timer, settle };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiters.add(waiter);
      this.#count(statement.bytes);
      this.#evictSurplus();
    });
  }

  /** Each goes on after a delay of its own. */
  release(behind: string, delayMs: () => number): void {
    for (const waiter of this.#waiters) {
      if (waiter.behind !== behind || waiter.isReleased) continue;
      waiter.isReleased = true;
      clearTimeout(waiter.timer);
      waiter.timer = setTimeout(() => waiter.settle(), delayMs());
    }
  }

  /** Those for which there is an error. */
  refuse(errorOf: (statement: HeldStatement) => SqlError | undefined): void {
    for (const waiter of this.#waiters) {
      const error = errorOf(waiter.statement);
      if (error !== undefined) this.#refuse(waiter, "lease", error);
    }
  }

  close(): void {
    this.#closed = new SqlError(
      "proxy_shutdown",
      "terminating connection due to administrator command",
    );
    for (const waiter of this.#waiters) waiter.settle(this.#closed);
  }

  #evictSurplus(): void {
    const { statementsMax, bytesMax } = this.#options.limits;
    for (const oldest of this.#waiters) {
      const isTooMany = this.#waiters.size > statementsMax;
      if (!isTooMany && this.#bytes <= bytesMax) return;
      this.#evict(oldest, isTooMany ? "count" : "bytes");
    }
  }

  #evict(waiter: Waiter, reason: "count" | "bytes" | "time"): void {
    const { limits } = this.#options;
    const detail = {
      count: `More than ${limits.statementsMax} statements wait, and it has waited longest.`,
      bytes: `More than ${limits.bytesMax} bytes of statements wait, and it has waited longest.`,
      time: `It has waited for ${limits.waitMs} ms.`,
    }[reason];
    const message =
      waiter.behind === ""
        ? "statement was held back until the proxy knows what it may serve"
        : "statement was held back while its placement is being moved";
    this.#refuse(waiter, reason, new SqlError("statement_held_too_long", message, { detail }));
  }

  #refuse(waiter: Waiter, reason: "count" | "bytes" | "time" | "lease", error: SqlError): void {
    this.#options.metrics.increment("colonnade_held_evictions_total", { reason });
    waiter.settle(error);
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    const { metrics } = this.#options;
    metrics.set("colonnade_held_statements", {}, this.#waiters.size);
    metrics.set("colonnade_held_bytes", {}, this.#bytes);
  }
}
