/**
 * A client that writes down what it was answered: which rows it was told are there, in which
 * version. It alone writes its rows, so it knows what it has to read, and what has to be there in the end.
 * A row whose last answer never came is left alone from then on: it may be so or so, and is whole.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { Random } from "./random.ts";
import type { Family } from "./recipes.ts";
import { deleteOf, insertOf, selectOf, updateOf } from "./statements.ts";
import type { Statement } from "./statements.ts";

/** The stamps of the family's tables, in their order; undefined where its rows are not there. */
export type FamilyState = readonly number[] | undefined;

export class FamilyRows {
  readonly family: Family;
  readonly number: number;
  /** One, or before and after what was not answered. */
  possible: readonly FamilyState[];
  /** Of the last attempt: versions only grow, also where rows are deleted and made anew. */
  version = 0;
  /** What other clients may rely on: the last version that was acknowledged, and the last that may have taken the rows away. */
  acknowledgedVersion = 0;
  absentVersion: number;

  constructor(family: Family, number: number, isThere: boolean) {
    this.family = family;
    this.number = number;
    this.possible = [isThere ? family.map(() => 0) : undefined];
    this.absentVersion = isThere ? -1 : 0;
  }

  get isKnown(): boolean {
    return this.possible.length === 1;
  }
}

export interface WriterOptions {
  /** Opens a connection, again after one was lost. */
  readonly connect: () => Promise<pg.Client>;
  readonly rows: readonly FamilyRows[];
  readonly random: Random;
  /** Between two transactions, on average; 0 writes as fast as answers come. */
  readonly pauseMs: number;
}

export class Tally {
  acknowledged = 0;
  unknown = 0;
  worstMs = 0;
  readonly refused = new Map<string, number>();
  /** Sentences: reads that showed something else than what had been acknowledged. */
  readonly wrongReads: string[] = [];

  refuse(code: string): void {
    this.refused.set(code, (this.refused.get(code) ?? 0) + 1);
  }
}

export class Writer {
  readonly tally = new Tally();
  readonly rows: readonly FamilyRows[];
  readonly #options: WriterOptions;
  readonly #running: Promise<void>;
  #isStopped = false;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.rows = options.rows;
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    const { random, pauseMs, connect } = this.#options;
    let client: pg.Client | undefined;
    while (!this.#isStopped) {
      try {
        client ??= await connect();
        await this.#step(client);
      } catch (error) {
        if (isConnectionOver(error)) {
          await client?.end().catch(() => undefined);
          client = undefined;
        } else await client?.query("ROLLBACK").catch(() => undefined);
        await sleep(20);
      }
      if (pauseMs > 0) await sleep(random.next() * 2 * pauseMs);
    }
    await client?.end().catch(() => undefined);
  }

  async #step(client: pg.Client): Promise<void> {
    const { random, rows } = this.#options;
    // Some rows are written much more often than others.
    const row = rows[Math.floor(random.next() ** 2 * rows.length)];
    if (row?.isKnown !== true) return;
    const [state] = row.possible;
    const chance = random.next();
    if (chance < 0.2) return await this.#read(client, row, state);
    if (state === undefined) return await this.#insert(client, row);
    if (chance < 0.28) return await this.#delete(client, row);
    await this.#update(client, row, state);
  }

  async #insert(client: pg.Client, row: FamilyRows): Promise<void> {
    const version = this.#nextVersion(row);
    const after = row.family.map(({ stamp }) => (stamp === undefined ? 0 : version));
    const statements = row.family.map((recipe) => insertOf(recipe, row.number, version));
    await this.#attempt(client, row, version, after, statements);
  }

  async #delete(client: pg.Client, row: FamilyRows): Promise<void> {
    const version = this.#nextVersion(row);
    const statements = row.family.toReversed().map((recipe) => deleteOf(recipe, row.number));
    row.absentVersion = version;
    await this.#attempt(client, row, version, undefined, statements);
  }

  /** One row by itself, or all of the family, some of them locked before. */
  async #update(client: pg.Client, row: FamilyRows, state: readonly number[]): Promise<void> {
    const { random } = this.#options;
    const version = this.#nextVersion(row);
    const only = random.next() < 0.6 ? random.integer(0, row.family.length) : undefined;
    const after = [...state];
    const statements: Statement[] = [];
    for (const [index, recipe] of row.family.entries()) {
      if (only !== undefined && only !== index) continue;
      const update = updateOf(recipe, row.number, version);
      if (update === undefined) continue;
      if (only === undefined && random.next() < 0.3)
        statements.push(selectOf(recipe, row.number, { isLocked: true }));
      statements.push(update);
      after[index] = version;
    }
    if (statements.length > 0) await this.#attempt(client, row, version, after, statements);
  }

  #nextVersion(row: FamilyRows): number {
    row.version += 1;
    return row.version;
  }

  async #attempt(
    client: pg.Client,
    row: FamilyRows,
    version: number,
    after: FamilyState,
    statements: readonly Statement[],
  ): Promise<void> {
    const { random } = this.#options;
    const [before] = row.possible;
    const startMs = performance.now();
    // What was sent and not answered may have been done: a COMMIT, or a statement of its own.
    let isDecided = false;
    try {
      const [only, ...others] = statements;
      if (only !== undefined && others.length === 0 && random.next() < 0.7) {
        isDecided = true;
        await send(client, only, random.next() < 0.5);
      } else {
        const commits = random.next() < 0.9;
        await this.#inTransaction(client, statements, commits, () => (isDecided = commits));
        if (!commits) return;
      }
      row.possible = [after];
      row.acknowledgedVersion = version;
      this.tally.acknowledged += 1;
    } catch (error) {
      const isRefused = !isDecided || isAnswer(error);
      if (isRefused) this.tally.refuse(codeOf(error));
      else {
        row.possible = [before, after];
        this.tally.unknown += 1;
      }
      throw error;
    } finally {
      this.tally.worstMs = Math.max(this.tally.worstMs, performance.now() - startMs);
    }
  }

  async #inTransaction(
    client: pg.Client,
    statements: readonly Statement[],
    commits: boolean,
    onDecision: () => void,
  ): Promise<void> {
    const { random } = this.#options;
    await client.query("BEGIN");
    const hasSavepoint = random.next() < 0.2;
    if (hasSavepoint) {
      const [first] = statements;
      await client.query("SAVEPOINT before");
      if (first !== undefined) await send(client, first, false);
      await client.query("ROLLBACK TO before");
    }
    for (const statement of statements) await send(client, statement, random.next() < 0.3);
    if (random.next() < 0.02) await sleep(random.integer(50, 300));
    onDecision();
    await client.query(commits ? "COMMIT" : "ROLLBACK");
  }

  async #read(client: pg.Client, row: FamilyRows, state: FamilyState): Promise<void> {
    const { random } = this.#options;
    const index = random.integer(0, row.family.length);
    const recipe = row.family[index];
    if (recipe === undefined) return;
    const startMs = performance.now();
    const { rows } = await send(client, selectOf(recipe, row.number), random.next() < 0.5);
    this.tally.worstMs = Math.max(this.tally.worstMs, performance.now() - startMs);
    const found = rows.map(({ stamp }) => Number(stamp));
    const due = state === undefined ? [] : [state[index]];
    if (found.length === due.length && found[0] === due[0]) return;
    this.tally.wrongReads.push(
      `row ${row.number} of ${recipe.table} read as ${JSON.stringify(found)} instead of ${JSON.stringify(due)}`,
    );
  }
}

/** `isPrepared`: by a name, so that the session keeps a statement over a switch. */
async function send(
  client: pg.Client,
  { text, values }: Statement,
  isPrepared: boolean,
): Promise<pg.QueryResult<Record<string, unknown>>> {
  const name = isPrepared ? { name: `p${text.length}_${text.slice(0, 40)}`.slice(0, 60) } : {};
  return await client.query<Record<string, unknown>>({ text, values: [...values], ...name });
}

export function codeOf(error: unknown): string {
  const { code } = error as { readonly code?: unknown };
  return typeof code === "string" ? code : "no answer";
}

/** The server has refused it: nothing of it has happened. */
export function isAnswer(error: unknown): boolean {
  const code = codeOf(error);
  return /^[0-9A-Z]{5}$/.test(code) && !/^(?:08|57P0|40003)/.test(code);
}

/** What says that the connection is over has a code of Node's, none, or one of class 08 or 57P. */
export function isConnectionOver(error: unknown): boolean {
  const code = codeOf(error);
  return !/^[0-9A-Z]{5}$/.test(code) || code.startsWith("08") || code.startsWith("57P0");
}
