/** One client of PostgreSQL and one of the proxy, to whom the same words are said, and what they answer. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { RawClient } from "../../support/raw-client.ts";
import { line } from "../conversation.ts";
import type { Said } from "../conversation.ts";
import type { Servers } from "../servers.ts";
import { REFUSALS } from "./messages.ts";
import type { Message, Trace } from "./messages.ts";
import { BEGINNINGS, END_OF_WORD, ENDING } from "./steps.ts";
import type { Beginning } from "./steps.ts";

export interface Word {
  readonly beginning: Beginning;
  readonly messages: readonly Message[];
  /** Each message in a write of its own, or all in one. */
  readonly pace: "at once" | "in parts";
}

export interface Compared {
  readonly plain: readonly string[];
  readonly proxied: readonly string[];
}

export class Lane {
  readonly #servers: Servers;
  readonly #number: number;
  #plain: RawClient | undefined;
  #proxied: RawClient | undefined;

  constructor(servers: Servers, number: number) {
    this.#servers = servers;
    this.#number = number;
  }

  async compare(word: Word): Promise<Compared> {
    this.#plain ??= await this.#servers.connectPlain();
    this.#proxied ??= await this.#servers.proxy.connect();
    const [plain, proxied] = await Promise.all([
      answers(this.#plain, word, "plain"),
      answers(this.#proxied, word, "proxied"),
    ]);
    return { plain, proxied };
  }

  /** After a difference: both begin anew, with the same rows. */
  async restart(): Promise<void> {
    this.close();
    const [east, west, far] = [this.#number, 100 + this.#number, 200 + this.#number];
    const rows = (id: number): string =>
      `DELETE FROM entries WHERE account = ${id}; DELETE FROM late WHERE account = ${id};
       DELETE FROM accounts WHERE id = ${id}; INSERT INTO accounts VALUES (${id}, 'name ${id}', 10);`;
    const { first, second } = this.#servers;
    await Promise.all([
      first.query("plain", rows(east) + rows(west) + rows(far)),
      second.query("east", rows(east)),
      second.query("west", `${rows(west)} SET search_path = far; ${rows(far)}`),
    ]);
  }

  close(): void {
    this.#plain?.destroy();
    this.#proxied?.destroy();
    this.#plain = this.#proxied = undefined;
  }
}

async function answers(
  client: RawClient,
  { beginning, messages, pace }: Word,
  side: "plain" | "proxied",
): Promise<string[]> {
  const lines: string[] = [];
  try {
    const said = [...BEGINNINGS[beginning], ...messages.flatMap((each) => each[side]), ...ENDING];
    await write(client, said, pace);
    while (!lines.includes(END_OF_WORD)) await read(client, lines);
    for (const query of new Set(messages.flatMap(({ leaves }) => leaves ?? [])).values())
      await follow(client, query, lines);
  } catch (error) {
    lines.push(`no answer: ${String(error)}`);
  }
  return lines;
}

async function follow(client: RawClient, { said }: Trace, lines: string[]): Promise<void> {
  for (const { bytes } of said) {
    client.write(bytes);
    await read(client, lines);
  }
}

async function write(
  client: RawClient,
  said: readonly Said[],
  pace: "at once" | "in parts",
): Promise<void> {
  if (pace === "at once") return client.write(Buffer.concat(said.map(({ bytes }) => bytes)));
  for (const { bytes } of said) {
    client.write(bytes);
    await nextTurn();
  }
}

/** What PostgreSQL says of a ROLLBACK that was bound in a failed transaction and not executed. */
const ABOUT_ITSELF = "NoticeResponse S=WARNING V=WARNING C=01000 M=skipping cleanup for portal";

async function read(client: RawClient, lines: string[]): Promise<void> {
  const { messages } = await client.untilReady();
  for (const message of messages) {
    const text = line(message);
    if (text.startsWith(ABOUT_ITSELF)) continue;
    lines.push(REFUSALS.some((refusal) => refusal.test(text)) ? "refused" : text);
  }
}
