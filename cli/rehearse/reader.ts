/** A client that reads what others write: no row goes back in time, and none misses what was acknowledged before it asked. */
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { Random } from "./random.ts";
import { selectOf } from "./statements.ts";
import { isConnectionOver, codeOf, Tally } from "./writer.ts";
import type { FamilyRows, WriterOptions } from "./writer.ts";

export class Reader {
  readonly tally = new Tally();
  readonly #options: WriterOptions;
  readonly #running: Promise<void>;
  #isStopped = false;
  #reads = 0;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  get reads(): number {
    return this.#reads;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    const { connect, random, pauseMs } = this.#options;
    let client: pg.Client | undefined;
    while (!this.#isStopped) {
      try {
        client ??= await connect();
        await this.#read(client, random);
      } catch (error) {
        this.tally.refuse(codeOf(error));
        if (isConnectionOver(error)) {
          await client?.end().catch(() => undefined);
          client = undefined;
        }
        await sleep(20);
      }
      await sleep(Math.max(1, random.next() * 2 * pauseMs));
    }
    await client?.end().catch(() => undefined);
  }

  async #read(client: pg.Client, random: Random): Promise<void> {
    const { rows } = this.#options;
    const row: FamilyRows = random.pick(rows);
    const index = random.integer(0, row.family.length);
    const recipe = row.family[index];
    if (recipe === undefined) return;
    const { acknowledgedVersion, possible } = row;
    // The stamp of a row that is there for certain; what is deleted meanwhile may be gone.
    const due = row.isKnown ? possible[0]?.[index] : undefined;
    const startMs = performance.now();
    const { text, values } = selectOf(recipe, row.number);
    const found = await client.query<{ readonly stamp: string }>(text, [...values]);
    this.tally.worstMs = Math.max(this.tally.worstMs, performance.now() - startMs);
    this.#reads += 1;
    const stamp = found.rows[0]?.stamp;
    const isRight =
      due === undefined ||
      (stamp === undefined ? row.absentVersion > acknowledgedVersion : Number(stamp) >= due);
    if (isRight) return;
    this.tally.wrongReads.push(
      `row ${row.number} of ${recipe.table} read as ${stamp ?? "absent"} by another client after ${due} was acknowledged`,
    );
  }
}
