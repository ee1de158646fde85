/** Somebody alters a table that moves, in each state that comes: it has to be refused, by the migration's name. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Fleet } from "../../../cli/rehearse/fleet.ts";
import { SOURCE, SPLIT_NAME } from "./check.ts";

/** In the others the orchestrator itself is at work for milliseconds only. */
const STATES = new Set(["copying", "catchingUp", "indexing", "armingReverse", "verifying"]);
const STATEMENTS = [
  "ALTER TABLE public.users ADD COLUMN late int",
  "ALTER TABLE public.orders ALTER COLUMN total TYPE numeric(14,2)",
  "ALTER TABLE public.users DROP COLUMN born",
  "CREATE INDEX late ON public.users (born)",
  "DROP TABLE public.orders",
];

export class DdlAttempts {
  fleet: Fleet | undefined;
  readonly #signal: AbortSignal;
  readonly #refused = new Map<string, number>();
  readonly #wrong: string[] = [];

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  onState(state: string): void {
    if (STATES.has(state)) void this.attempt(state);
  }

  async attempt(state: string): Promise<void> {
    for (const sql of STATEMENTS) {
      if (this.#signal.aborted || this.fleet === undefined) return;
      try {
        await this.fleet.query(SOURCE, `SET lock_timeout = '2s'; BEGIN; ${sql}; COMMIT`);
        this.#wrong.push(`${sql} was taken in ${state}`);
      } catch (error) {
        const { message, code } = error as { readonly message: string; readonly code?: string };
        // Whoever waits for a lock has changed nothing, either.
        if (code === "55P03" || code === "40P01") continue;
        if (message.includes(SPLIT_NAME))
          this.#refused.set(state, (this.#refused.get(state) ?? 0) + 1);
        else this.#wrong.push(`${sql} in ${state}: ${message}`);
      }
      await sleep(5);
    }
  }

  get isRefused(): boolean {
    return this.#wrong.length === 0 && this.#refused.size > 0;
  }

  get summary(): string {
    const states = [...this.#refused].map(([state, count]) => `${state} ${count}`);
    return `refused by the migration's name: ${states.join(", ")}${this.#wrong.length === 0 ? "" : `; ${this.#wrong.join("; ")}`}`;
  }
}
