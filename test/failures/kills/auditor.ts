/**
 * Reads while others write and processes die. What must hold at every instant within one
 * database holds in every answer: an account's balance is what its transfers make of it, and no
 * account is missing. A transfer between two accounts of one database is seen whole.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { ServerError } from "../../support/raw-client.ts";
import type { RawClient } from "../../support/raw-client.ts";
import { below } from "../../shardmap/random-keys.ts";
import type { Random } from "../../shardmap/random-keys.ts";
import { ACCOUNTS, DATABASES, OPENING_AMOUNT } from "./bank.ts";
import type { Bank } from "./bank.ts";
import type { Ledger } from "./ledger.ts";
import { OUTAGE } from "./teller.ts";

const READ_AT_ONCE = 200;

/** Accounts whose balance is not what their transfers say. */
const unbalanced = (where: string): string => `
  SELECT count(*) FROM accounts AS a
  WHERE ${where} AND a.amount <> ${OPENING_AMOUNT} +
    (SELECT coalesce(sum(t.delta), 0) FROM transfers AS t WHERE t.account = a.id)`;

export class Auditor {
  readonly #bank: Bank;
  readonly #random: Random;
  readonly #ledger: Ledger;
  #client: RawClient | undefined;
  reads = 0;

  constructor(bank: Bank, random: Random, ledger: Ledger) {
    this.#bank = bank;
    this.#random = random;
    this.#ledger = ledger;
  }

  async run(stopped: AbortSignal): Promise<void> {
    while (!stopped.aborted) {
      try {
        await this.#read();
        this.reads += 1;
      } catch (error) {
        // What is down is not read.
        if (error instanceof ServerError && !OUTAGE.test(error.fields["C"] ?? ""))
          this.#ledger.faults.push(`an auditor was told ${error.message}`);
        this.#client?.destroy();
        this.#client = undefined;
      }
      await sleep(20);
    }
    this.#client?.destroy();
  }

  async #read(): Promise<void> {
    this.#client ??= await this.#bank.connect(this.#random());
    const first = 1 + below(this.#random, ACCOUNTS - READ_AT_ONCE);
    const range = `a.id BETWEEN ${first} AND ${first + READ_AT_ONCE - 1}`;
    await this.#expect(unbalanced(range), "0", "accounts out of balance over all databases");
    await this.#expect(unbalanced(`a.id = ${first}`), "0", "an account is out of balance");
    await this.#expect("SELECT count(*) FROM accounts", String(ACCOUNTS), "accounts are missing");
    await this.#readWholeTransfers(DATABASES[below(this.#random, DATABASES.length)] ?? "bank0");
  }

  async #expect(sql: string, expected: string, fault: string): Promise<void> {
    const [row] = (await this.#client?.query(sql)) ?? [];
    if (row?.[0] !== expected) this.#ledger.faults.push(`${fault}: ${row?.[0]}`);
  }

  /** Asked of the database itself: both accounts are there, so both sides must be, or neither. */
  async #readWholeTransfers(database: string): Promise<void> {
    const { rows } = await this.#bank.serverOf(database).query(
      database,
      `SELECT t.id FROM transfers AS t JOIN accounts AS other ON other.id = t.peer
       WHERE t.account % 7 = ${below(this.#random, 7)} AND NOT EXISTS
         (SELECT FROM transfers AS o WHERE o.account = t.peer AND o.id = t.id) LIMIT 5`,
    );
    for (const { id } of rows)
      this.#ledger.faults.push(`transfer ${String(id)} within ${database} is seen by half`);
  }
}
