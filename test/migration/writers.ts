/**
 * Clients that write to the source while it is moved: inserts, updates, deletes, keys that
 * move, savepoints, rollbacks, transactions of several tables, now and then a long one.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { TestPostgres } from "../support/postgres.ts";
import { Random } from "../../cli/rehearse/random.ts";
import type { StressTable } from "./stress-tables.ts";

export interface WriterOptions {
  readonly tables: readonly StressTable[];
  readonly keys: number;
  readonly seed: number;
  readonly writerCount: number;
  /** Between two transactions; 0 writes as fast as the machine can. */
  readonly pauseMs: number;
}

export class Writers {
  readonly #running: Promise<void>[];
  #isStopped = false;
  #commits = 0;

  constructor(source: TestPostgres, options: WriterOptions) {
    this.#running = Array.from({ length: options.writerCount }, (_, index) =>
      this.#write(source, options, new Random(options.seed * 1_000 + index)),
    );
  }

  get commits(): number {
    return this.#commits;
  }

  /** Every transaction is over; rejects with what none of them may fail by. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#running);
  }

  async #write(source: TestPostgres, options: WriterOptions, random: Random): Promise<void> {
    const client = await source.connect("app");
    try {
      while (!this.#isStopped) {
        await this.#transaction(client, options, random);
        if (options.pauseMs > 0) await sleep(random.next() * 2 * options.pauseMs);
      }
    } finally {
      await client.end();
    }
  }

  async #transaction(client: pg.Client, options: WriterOptions, random: Random): Promise<void> {
    await client.query("BEGIN");
    try {
      for (let step = random.integer(1, 6); step > 0; step -= 1) {
        await this.#step(client, options, random);
        if (random.next() < 0.02) await sleep(random.integer(0, 40));
      }
      const commits = random.next() < 0.9;
      await client.query(commits ? "COMMIT" : "ROLLBACK");
      if (commits) this.#commits += 1;
    } catch (error) {
      if (!mayHappen(error)) throw error;
      await client.query("ROLLBACK");
    }
  }

  async #step(client: pg.Client, options: WriterOptions, random: Random): Promise<void> {
    if (random.next() >= 0.3) {
      await client.query(statement(options, random));
      return;
    }
    await client.query("SAVEPOINT s");
    try {
      await client.query(statement(options, random));
      await client.query(random.next() < 0.5 ? "RELEASE s" : "ROLLBACK TO s");
    } catch (error) {
      if (!mayHappen(error)) throw error;
      await client.query("ROLLBACK TO s");
    }
  }
}

/** Two writers of the same keys: a duplicate, or a deadlock. */
function mayHappen(error: unknown): boolean {
  const { code } = error as { readonly code?: string };
  return code === "23505" || code === "40P01";
}

function statement({ tables, keys }: WriterOptions, random: Random): string {
  const { name, key, keyColumns } = random.pick(tables);
  const at = (): string => key(String(random.integer(1, keys)));
  const where = `(${keyColumns}) = (${at()})`;
  const chance = random.next();
  if (chance < 0.3)
    return `INSERT INTO ${name} VALUES (${at()}, 1, 'inserted', repeat('y', ${random.integer(0, 300)})) ON CONFLICT DO NOTHING`;
  if (chance < 0.55)
    return `UPDATE ${name} SET version = version + 1, note = 'updated ${random.integer(0, 1e9)}' WHERE ${where}`;
  if (chance < 0.75) return `DELETE FROM ${name} WHERE ${where}`;
  return `UPDATE ${name} SET (${keyColumns}) = ROW(${at()}), version = version + 1 WHERE ${where}`;
}
