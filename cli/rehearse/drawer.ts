/** A client whose rows get their keys from a sequence: none is given twice, and no row is lost or doubled. */
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { TableRecipe } from "./recipes.ts";
import { insertOf } from "./statements.ts";
import { codeOf, isAnswer, isConnectionOver, Tally } from "./writer.ts";

export interface DrawerOptions {
  readonly connect: () => Promise<pg.Client>;
  readonly recipe: TableRecipe;
  /** Of its tokens, which nobody else uses in this table. */
  readonly first: number;
  readonly pauseMs: number;
}

/** Tokens are told from the stamps of other rows by their size. */
const TOKENS_FROM = 100_000_000;

export class Drawer {
  readonly tally = new Tally();
  readonly recipe: TableRecipe;
  readonly #options: DrawerOptions;
  readonly #tokens = new Map<string, "acknowledged" | "unknown" | "refused">();
  readonly #running: Promise<void>;
  #isStopped = false;

  constructor(options: DrawerOptions) {
    this.#options = options;
    this.recipe = options.recipe;
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  /** `stamps`: of all rows of the table. */
  differences(stamps: readonly string[]): readonly string[] {
    const counts = new Map<string, number>();
    for (const stamp of stamps) {
      const token = String(Number(stamp));
      counts.set(token, (counts.get(token) ?? 0) + 1);
    }
    return [...this.#tokens].flatMap(([token, state]) => {
      const count = counts.get(token) ?? 0;
      const isRight =
        state === "acknowledged" ? count === 1 : state === "unknown" ? count <= 1 : count === 0;
      return isRight
        ? []
        : [
            `a row of ${this.recipe.table} whose insert was ${state} is there ${count} times (${token})`,
          ];
    });
  }

  async #run(): Promise<void> {
    const { connect, pauseMs, first } = this.#options;
    let client: pg.Client | undefined;
    for (let index = 0; !this.#isStopped; index += 1) {
      const token = TOKENS_FROM + first + index;
      try {
        client ??= await connect();
        await this.#insert(client, token);
      } catch (error) {
        if (isConnectionOver(error)) {
          await client?.end().catch(() => undefined);
          client = undefined;
        }
        await sleep(20);
      }
      await sleep(pauseMs);
    }
    await client?.end().catch(() => undefined);
  }

  async #insert(client: pg.Client, token: number): Promise<void> {
    const { text, values } = insertOf(this.recipe, token, token);
    const startMs = performance.now();
    try {
      await client.query(text, [...values]);
      this.#tokens.set(String(token), "acknowledged");
      this.tally.acknowledged += 1;
    } catch (error) {
      const isRefused = isAnswer(error);
      this.#tokens.set(String(token), isRefused ? "refused" : "unknown");
      if (isRefused) this.tally.refuse(codeOf(error));
      else this.tally.unknown += 1;
      throw error;
    } finally {
      this.tally.worstMs = Math.max(this.tally.worstMs, performance.now() - startMs);
    }
  }
}
