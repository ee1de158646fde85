/**
 * Clients whose every answer is written down while rows are moved: what was acknowledged has to
 * be there at the end, once, and what was refused must not. Each row has one writer, so the
 * writer knows what it has to read, too.
 *
 * Some write through proxies, some past them into the database that has the rows at first.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { Random } from "../../cli/rehearse/random.ts";

export interface JournalOptions {
  /** Opens a connection of a writer's own, again after it was lost. */
  readonly connect: () => Promise<pg.Client>;
  /** No two writers have a number in common. */
  readonly firstId: number;
  /** Rows that it has: it makes, changes and deletes these alone. */
  readonly rowCount: number;
  readonly seed: number;
  readonly pauseMs: number;
  /** Also makes invoices, with tokens that begin so. */
  readonly invoices?: string | undefined;
  /** It writes past the proxies, into the database that has the rows at first, where its rows are already. */
  readonly isDirect?: boolean;
}

/** What a row may be, as the client was told. */
interface Known {
  /** Undefined: it is not there. */
  readonly n: number | undefined;
}

export interface JournalReport {
  readonly acknowledged: number;
  /** No answer came: either may be true. */
  readonly unknown: number;
  readonly refusedBySqlstate: ReadonlyMap<string, number>;
  readonly worstMs: number;
  /** Reads that showed something else than what had been acknowledged before. */
  readonly wrongReads: readonly string[];
}

export class Journal {
  readonly #options: JournalOptions;
  readonly #rows = new Map<number, Known[]>();
  readonly #invoices = new Map<string, "acknowledged" | "unknown">();
  readonly #refused = new Map<string, number>();
  readonly #wrongReads: string[] = [];
  readonly #running: Promise<void>;
  #isStopped = false;
  #acknowledged = 0;
  #unknown = 0;
  #worstMs = 0;
  #nextInvoice = 0;

  constructor(options: JournalOptions) {
    this.#options = options;
    if (options.isDirect === true)
      for (let index = 0; index < options.rowCount; index += 1)
        this.#rows.set(options.firstId + index, [{ n: 0 }]);
    this.#running = this.#write(new Random(options.seed));
  }

  get report(): JournalReport {
    return {
      acknowledged: this.#acknowledged,
      unknown: this.#unknown,
      refusedBySqlstate: this.#refused,
      worstMs: this.#worstMs,
      wrongReads: this.#wrongReads,
    };
  }

  /** Forgets how long the longest statement took. */
  restart(): void {
    this.#worstMs = 0;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  /**
   * What is wrong with the rows and invoices that `read` gives of it: lost, doubled, or changed
   * by what was refused.
   */
  differences(
    rows: ReadonlyMap<number, readonly number[]>,
    invoices: ReadonlyMap<string, number>,
  ): readonly string[] {
    const found: string[] = [];
    for (const [id, possible] of this.#rows) {
      const there = rows.get(id) ?? [];
      const isOne = possible.some(({ n }) =>
        n === undefined ? there.length === 0 : there.length === 1 && there[0] === n,
      );
      if (!isOne)
        found.push(
          `user ${id}: ${JSON.stringify(there)} instead of ${possible.map(({ n }) => n ?? "none").join(" or ")}`,
        );
    }
    for (const [token, state] of this.#invoices) {
      const count = invoices.get(token) ?? 0;
      if (count > 1 || (count === 0 && state === "acknowledged"))
        found.push(`invoice ${token}: ${count} times`);
    }
    return found;
  }

  async #write(random: Random): Promise<void> {
    let client: pg.Client | undefined;
    while (!this.#isStopped) {
      try {
        client ??= await this.#options.connect();
        await this.#step(client, random);
      } catch (error) {
        const { code = "" } = error as { readonly code?: string };
        // What says that the connection is over has a code of Node's, or of class 08 or 57P.
        if (!/^[0-9A-Z]{5}$/.test(code) || code.startsWith("08") || code.startsWith("57P0")) {
          await client?.end().catch(() => undefined);
          client = undefined;
        }
        await sleep(20);
      }
      if (this.#options.pauseMs > 0) await sleep(random.next() * 2 * this.#options.pauseMs);
    }
    await client?.end().catch(() => undefined);
  }

  async #step(client: pg.Client, random: Random): Promise<void> {
    const { firstId, rowCount, invoices } = this.#options;
    const id = firstId + random.integer(0, rowCount - 1);
    const known = this.#rows.get(id) ?? [{ n: undefined }];
    const [only, ...others] = known;
    const choice = random.next();
    if (invoices !== undefined && choice < 0.2) return await this.#invoice(client, invoices);
    // One whose state nobody knows is read first: that settles it.
    if (only === undefined || others.length > 0 || choice < 0.35)
      return await this.#read(client, id, known);
    const { n } = only;
    if (n === undefined) {
      const isWithOrder = choice < 0.6;
      return await this.#attempt(id, n, 0, async () =>
        isWithOrder
          ? await inTransaction(client, random.next() < 0.9, [
              `INSERT INTO users (id, name) VALUES (${id}, 'w')`,
              `INSERT INTO orders (user_id, id, note) VALUES (${id}, 1, 'x')`,
            ])
          : await alone(client, `INSERT INTO users (id, name) VALUES ($1, 'w')`, [id]),
      );
    }
    if (choice < 0.42)
      return await this.#attempt(id, n, undefined, async () =>
        inTransaction(client, true, [
          `DELETE FROM orders WHERE user_id = ${id}`,
          `DELETE FROM users WHERE id = ${id}`,
        ]),
      );
    if (choice < 0.55)
      return await this.#attempt(id, n, n + 1, async () =>
        inTransaction(client, random.next() < 0.8, [
          `SELECT n FROM users WHERE id = ${id}`,
          `UPDATE users SET n = n + 1 WHERE id = ${id}`,
        ]),
      );
    return await this.#attempt(id, n, n + 1, async () =>
      alone(client, "UPDATE users SET n = n + 1, name = name || '' WHERE id = $1", [id]),
    );
  }

  /** `work` gives whether it was committed. */
  async #attempt(
    id: number,
    before: number | undefined,
    after: number | undefined,
    work: () => Promise<boolean>,
  ): Promise<void> {
    const startMs = performance.now();
    try {
      const isDone = await work();
      this.#rows.set(id, [{ n: isDone ? after : before }]);
      this.#acknowledged += 1;
    } catch (error) {
      if (this.#isRefused(error)) this.#rows.set(id, [{ n: before }]);
      else this.#rows.set(id, [{ n: before }, { n: after }]);
      throw error;
    } finally {
      this.#worstMs = Math.max(this.#worstMs, performance.now() - startMs);
    }
  }

  async #read(client: pg.Client, id: number, known: readonly Known[]): Promise<void> {
    const startMs = performance.now();
    try {
      const { rows } = await client.query<{ readonly n: number }>(
        "SELECT n FROM users WHERE id = $1",
        [id],
      );
      const n = rows[0]?.n;
      // Past the proxy, a read of what has moved shows what was there before.
      if (this.#options.isDirect === true) return;
      if (!known.some((each) => each.n === n))
        this.#wrongReads.push(
          `user ${id} was ${n ?? "none"} instead of ${known.map((each) => each.n ?? "none").join(" or ")}`,
        );
      this.#rows.set(id, [{ n }]);
    } finally {
      this.#worstMs = Math.max(this.#worstMs, performance.now() - startMs);
    }
  }

  async #invoice(client: pg.Client, prefix: string): Promise<void> {
    this.#nextInvoice += 1;
    const token = `${prefix}-${this.#nextInvoice}`;
    const startMs = performance.now();
    try {
      await client.query("INSERT INTO invoices (token, amount) VALUES ($1, 1.50)", [token]);
      this.#invoices.set(token, "acknowledged");
      this.#acknowledged += 1;
    } catch (error) {
      if (!this.#isRefused(error)) this.#invoices.set(token, "unknown");
      throw error;
    } finally {
      this.#worstMs = Math.max(this.#worstMs, performance.now() - startMs);
    }
  }

  /** The server has said so: nothing of it happened. Else nobody knows. */
  #isRefused(error: unknown): boolean {
    const { code = "" } = error as { readonly code?: string };
    const isAnswer = /^[0-9A-Z]{5}$/.test(code) && !code.startsWith("08");
    if (isAnswer) this.#refused.set(code, (this.#refused.get(code) ?? 0) + 1);
    else this.#unknown += 1;
    return isAnswer;
  }
}

async function alone(client: pg.Client, sql: string, values: readonly unknown[]): Promise<boolean> {
  await client.query(sql, [...values]);
  return true;
}

/** Gives whether it was committed. */
async function inTransaction(
  client: pg.Client,
  commits: boolean,
  statements: readonly string[],
): Promise<boolean> {
  await client.query("BEGIN");
  try {
    for (const statement of statements) await client.query(statement);
  } catch (error) {
    await client.query("ROLLBACK").catch(() => undefined);
    throw error;
  }
  await client.query(commits ? "COMMIT" : "ROLLBACK");
  return commits;
}
