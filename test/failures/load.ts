/**
 * Clients that write and read without pause while a database dies, and keep a record of
 * what they were promised.
 *
 * Each has a key of its own on either database, so it knows what a read of its key must
 * give: its acknowledged rows, and perhaps those whose answer it never got.
 */
import { ConnectionLost, ServerError } from "../support/raw-client.ts";
import type { RawClient } from "../support/raw-client.ts";

export const VICTIM_KEYS_FROM = 1_000;

/** SQLSTATE classes of an outage; any other error of a load statement is a fault of the proxy. */
const OUTAGE = /^(08|53|57P|40)/;

export interface KeyRecord {
  readonly key: number;
  /** Numbers of acknowledged rows. */
  readonly acknowledged: Set<number>;
  /** Numbers of rows whose insert failed: the row may be there. */
  readonly unknown: Set<number>;
}

export interface Sample {
  readonly atMs: number;
  readonly tookMs: number;
  readonly isAnswered: boolean;
}

/** What one client did with one key. */
export class Worker {
  readonly record: KeyRecord;
  readonly samples: Sample[] = [];
  /** What must never happen, as sentences. */
  readonly faults: string[] = [];
  readonly #client: RawClient;
  #next = 0;

  constructor(client: RawClient, key: number) {
    this.#client = client;
    this.record = { key, acknowledged: new Set(), unknown: new Set() };
  }

  async run(stopped: AbortSignal): Promise<void> {
    while (!stopped.aborted && this.faults.length === 0) {
      await this.#insert();
      await this.#read();
    }
  }

  async #insert(): Promise<void> {
    const { key, acknowledged, unknown } = this.record;
    const number = this.#next++;
    const isDone = await this.#timed(`INSERT INTO items (key, number) VALUES (${key}, ${number})`);
    (isDone === undefined ? unknown : acknowledged).add(number);
  }

  async #read(): Promise<void> {
    const { key, acknowledged, unknown } = this.record;
    const rows = await this.#timed(`SELECT number FROM items WHERE key = ${key}`);
    if (rows === undefined) return;
    const seen = rows.map(([number]) => Number(number));
    const seenOnce = new Set(seen);
    if (seenOnce.size !== seen.length) this.faults.push(`key ${key}: a row came twice`);
    for (const number of acknowledged)
      if (!seenOnce.has(number))
        this.faults.push(`key ${key}: row ${number} was acknowledged and is not read`);
    for (const number of seenOnce)
      if (!acknowledged.has(number) && !unknown.has(number))
        this.faults.push(`key ${key}: row ${number} was never written`);
  }

  /** The rows, or undefined in an outage. */
  async #timed(sql: string): Promise<(string | null)[][] | undefined> {
    const startMs = performance.now();
    let rows: (string | null)[][] | undefined;
    try {
      rows = await this.#client.query(sql);
    } catch (error) {
      this.faults.push(...faultOf(error, sql));
    }
    this.samples.push({
      atMs: startMs,
      tookMs: performance.now() - startMs,
      isAnswered: rows !== undefined,
    });
    return rows;
  }
}

export interface TransferRecord {
  readonly acknowledged: Set<number>;
  readonly unknown: Set<number>;
  readonly faults: string[];
}

/** Moves one unit from a key of one database to a key of the other, again and again. */
export async function transfer(client: RawClient, stopped: AbortSignal): Promise<TransferRecord> {
  const record: TransferRecord = { acknowledged: new Set(), unknown: new Set(), faults: [] };
  for (let number = 0; !stopped.aborted && record.faults.length === 0; number++) {
    try {
      await client.query("BEGIN");
      await client.query("UPDATE balances SET amount = amount - 1 WHERE key = 1");
      await client.query(
        `UPDATE balances SET amount = amount + 1 WHERE key = ${VICTIM_KEYS_FROM + 1}`,
      );
      await client.query(`INSERT INTO transfers (key, number) VALUES (1, ${number})`);
      await client.query(
        `INSERT INTO transfers (key, number) VALUES (${VICTIM_KEYS_FROM + 1}, ${number})`,
      );
      await client.query("COMMIT");
      record.acknowledged.add(number);
    } catch (error) {
      record.faults.push(...faultOf(error, `transfer ${number}`));
      record.unknown.add(number);
      if (!client.isLost) await client.query("ROLLBACK").catch(() => undefined);
    }
  }
  return record;
}

function faultOf(error: unknown, what: string): string[] {
  if (error instanceof ServerError) {
    return OUTAGE.test(error.fields["C"] ?? "") ? [] : [`${what}: ${error.message}`];
  }
  if (error instanceof ConnectionLost)
    return [`${what}: the client's connection was lost: ${error.message}`];
  throw error;
}
