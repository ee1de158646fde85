/**
 * A client that moves money between any two accounts, in each of the ways in which drivers send
 * a transaction, and tells the ledger what it was promised. It knows a promise when it sees one:
 * an error other than 08007 says that nothing was done.
 */
import { ConnectionLost, ServerError } from "../../support/raw-client.ts";
import type { RawClient } from "../../support/raw-client.ts";
import {
  bindFrame,
  executeFrame,
  parseFrame,
  queryFrame,
  readFields,
  syncFrame,
} from "../../support/raw-frames.ts";
import { below, pick } from "../../shardmap/random-keys.ts";
import type { Random } from "../../shardmap/random-keys.ts";
import { ACCOUNTS } from "./bank.ts";
import type { Ledger, Outcome, Transfer } from "./ledger.ts";

/** Some transfers meet on few accounts, so that they wait for each other and deadlock. */
const BUSY_ACCOUNTS = 40;
const AMOUNT_MAX = 100;
const IN_DOUBT = "08007";
/** SQLSTATE classes of an outage, and of a transaction that must be tried again. */
export const OUTAGE = /^(08|53|57P|40)/;

export class Teller {
  readonly #number: number;
  readonly #random: Random;
  readonly #ledger: Ledger;
  readonly #connect: () => Promise<RawClient>;
  #client: RawClient | undefined;
  #count = 0;

  constructor(number: number, random: Random, ledger: Ledger, connect: () => Promise<RawClient>) {
    this.#number = number;
    this.#random = random;
    this.#ledger = ledger;
    this.#connect = connect;
  }

  async run(stopped: AbortSignal): Promise<void> {
    while (!stopped.aborted) {
      const client = await this.#connected();
      if (client === undefined) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        continue;
      }
      const transfer = this.#nextTransfer();
      const outcome = await pick(this.#random, WAYS)(client, transfer, (error) =>
        this.#noteError(error, transfer.id),
      );
      this.#ledger.note(transfer, outcome);
      if (outcome === "acknowledged") await this.#readBack(client, transfer);
    }
    this.#client?.destroy();
  }

  async #connected(): Promise<RawClient | undefined> {
    if (this.#client?.isLost === false) return this.#client;
    this.#client = undefined;
    try {
      this.#client = await this.#connect();
    } catch (error) {
      if (error instanceof ServerError) this.#noteError(error, "a new connection");
    }
    return this.#client;
  }

  #nextTransfer(): Transfer {
    this.#count += 1;
    const accounts = below(this.#random, 4) === 0 ? BUSY_ACCOUNTS : ACCOUNTS;
    const from = 1 + below(this.#random, accounts);
    const to = 1 + ((from + below(this.#random, accounts - 1)) % accounts);
    const amount = 1 + below(this.#random, AMOUNT_MAX);
    return { id: `${this.#number}-${this.#count}`, from, to, amount };
  }

  /** Who was told "committed" sees it, through the proxy that said so, wherever it was written. */
  async #readBack(client: RawClient, { id, from, to }: Transfer): Promise<void> {
    try {
      const [row] = await client.query(
        `SELECT count(*) FROM transfers WHERE account IN (${from}, ${to}) AND id = '${id}'`,
      );
      if (row?.[0] !== "2")
        this.#ledger.faults.push(
          `transfer ${id} was acknowledged, and then ${row?.[0]} sides read`,
        );
    } catch (error) {
      this.#noteError(error, `reading transfer ${id}`);
    }
  }

  #noteError(error: unknown, what: string): void {
    if (error instanceof ConnectionLost) {
      this.#ledger.noteError("connection lost");
      if (error.message.startsWith("no answer"))
        this.#ledger.faults.push(`${what}: ${error.message}`);
      return;
    }
    if (!(error instanceof ServerError)) throw error;
    const code = error.fields["C"] ?? "";
    this.#ledger.noteError(code);
    if (!OUTAGE.test(code)) this.#ledger.faults.push(`${what}: ${error.message}`);
  }
}

type Way = (
  client: RawClient,
  transfer: Transfer,
  noteError: (error: unknown) => void,
) => Promise<Outcome>;

const sides = ({ id, from, to, amount }: Transfer): readonly string[] => [
  `UPDATE accounts SET amount = amount - ${amount} WHERE id = ${from}`,
  `UPDATE accounts SET amount = amount + ${amount} WHERE id = ${to}`,
  `INSERT INTO transfers (account, peer, id, delta) VALUES (${from}, ${to}, '${id}', ${-amount})`,
  `INSERT INTO transfers (account, peer, id, delta) VALUES (${to}, ${from}, '${id}', ${amount})`,
];

/** One statement for both sides of each table. */
const bothSides = ({ id, from, to, amount }: Transfer): readonly string[] => [
  `UPDATE accounts SET amount = amount + CASE id WHEN ${from} THEN ${-amount} ELSE ${amount} END
   WHERE id IN (${from}, ${to})`,
  `INSERT INTO transfers (account, peer, id, delta)
   VALUES (${from}, ${to}, '${id}', ${-amount}), (${to}, ${from}, '${id}', ${amount})`,
];

const WAYS: readonly Way[] = [
  (client, transfer, noteError) => explicit(client, sides(transfer), "COMMIT", noteError),
  (client, transfer, noteError) => explicit(client, bothSides(transfer), "COMMIT", noteError),
  withSavepoint,
  (client, transfer, noteError) => explicit(client, sides(transfer), "ROLLBACK", noteError),
  (client, transfer, noteError) =>
    implicit(client, queryFrame(sides(transfer).join("; ")), 4, noteError),
  pipeline,
];

function withSavepoint(
  client: RawClient,
  transfer: Transfer,
  noteError: (error: unknown) => void,
): Promise<Outcome> {
  const [first = "", ...rest] = sides(transfer);
  const undone = ["SAVEPOINT once", first, "ROLLBACK TO once", first];
  return explicit(client, [...undone, ...rest], "COMMIT", noteError);
}

/** A transaction block, statement by statement. */
async function explicit(
  client: RawClient,
  statements: readonly string[],
  end: "COMMIT" | "ROLLBACK",
  noteError: (error: unknown) => void,
): Promise<Outcome> {
  try {
    for (const sql of ["BEGIN", ...statements]) await client.query(sql);
  } catch (error) {
    noteError(error);
    if (!client.isLost) await client.query("ROLLBACK").catch(noteError);
    return "rolled back";
  }
  return end === "COMMIT"
    ? implicit(client, queryFrame("COMMIT"), 1, noteError)
    : client.query("ROLLBACK").then(
        () => "rolled back",
        (error: unknown) => {
          noteError(error);
          return "rolled back";
        },
      );
}

/** The extended protocol without BEGIN: all up to Sync is one transaction. */
function pipeline(
  client: RawClient,
  transfer: Transfer,
  noteError: (error: unknown) => void,
): Promise<Outcome> {
  const frames = sides(transfer).flatMap((sql) => [
    parseFrame("", sql, []),
    bindFrame("", "", [], []),
    executeFrame("", 0),
  ]);
  return implicit(client, Buffer.concat([...frames, syncFrame()]), 4, noteError);
}

/** What ends with the answer: acknowledged when all of it came without an error. */
async function implicit(
  client: RawClient,
  frames: Buffer,
  completions: number,
  noteError: (error: unknown) => void,
): Promise<Outcome> {
  try {
    const { messages } = await client.exchange(frames);
    const failed = messages.find(({ type }) => type === "E");
    if (failed !== undefined) throw new ServerError(readFields(failed.body));
    const tags = messages.filter(({ type }) => type === "C").map(({ body }) => String(body));
    if (tags.length !== completions || tags.some((tag) => tag.startsWith("ROLLBACK")))
      throw new Error(`a commit was answered by ${JSON.stringify(tags)}`);
    return "acknowledged";
  } catch (error) {
    noteError(error);
    if (error instanceof ConnectionLost) return "unknown";
    return (error as ServerError).fields["C"] === IN_DOUBT ? "unknown" : "rolled back";
  }
}
