/**
 * One client in a crowd: a connection with state of its own, which leaves at any time and comes
 * back as somebody else. It knows all that it must read, and tells what it read instead.
 */
import net from "node:net";
import { Client, DatabaseError } from "pg";
import { below, pick, seeded } from "../../shardmap/random-keys.ts";
import type { Random } from "../../shardmap/random-keys.ts";
import { cancelFrame } from "../../support/raw-frames.ts";

/** What anybody may be told in this crowd: as many connections are pinned as may be. */
const EXPECTED = new Set(["53300"]);

/** A thing to do; throws what the server says. */
export type Step = (visitor: Visitor) => Promise<void>;

/** What the client has made of its session, and must find there. */
export interface SessionState {
  readonly name: string;
  readonly settings: Map<string, string>;
  /** Undefined while it is the user it logged in as. */
  role: string | undefined;
  /** The rows of its temporary table; undefined while it has none. */
  temporary: number[] | undefined;
  /** Of its own keys, how often each is locked. */
  readonly locks: Map<number, number>;
  readonly prepared: Map<string, string>;
  readonly channels: Set<string>;
  /** What arrived on its channels, and what of that it has sent itself. */
  readonly notified: string[];
}

export class Visitor {
  readonly id: number;
  readonly random: Random;
  readonly leaks: string[] = [];
  readonly done = new Map<string, number>();
  readonly #port: number;
  readonly #steps: readonly Step[];
  #client: Client | undefined;
  state: SessionState = newState("");

  constructor(id: number, seed: number, port: number, steps: readonly Step[]) {
    this.id = id;
    this.random = seeded(seed);
    this.#port = port;
    this.#steps = steps;
  }

  async run(until: number): Promise<void> {
    while (performance.now() < until) {
      try {
        if (this.#client === undefined) await this.#connect();
        await pick(this.random, this.#steps)(this);
      } catch (error) {
        const code = error instanceof DatabaseError ? (error.code ?? "") : "";
        this.count(`error ${code}`);
        if (!EXPECTED.has(code)) this.leak(`unexpected: ${String(error)}`);
        await this.leave();
      }
    }
    await this.leave();
  }

  get client(): Client {
    if (this.#client === undefined) throw new Error("a step runs while the client is connected");
    return this.#client;
  }

  async #connect(): Promise<void> {
    this.state = newState(`visitor ${this.id}.${this.random()}`);
    const client = new Client({
      host: "127.0.0.1",
      port: this.#port,
      user: "postgres",
      database: "app",
      application_name: this.state.name,
    });
    const { channels, notified } = this.state;
    client.on("error", () => undefined);
    client.on("notification", ({ channel, payload = "" }) => {
      if (!channels.has(channel) || !payload.startsWith(`to ${channel} `))
        this.leak(`notified on ${channel} of "${payload}"`);
      notified.push(payload);
    });
    await client.connect();
    this.#client = client;
  }

  /** With Terminate. */
  async leave(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }

  /** Without a word. */
  vanish(): void {
    const { stream } = (this.client as unknown as { connection: { stream: net.Socket } })
      .connection;
    this.#client = undefined;
    stream.destroy();
  }

  /** As libpq: over a connection of its own, which the proxy closes once it has taken the request. */
  async cancel(): Promise<void> {
    const { processID, secretKey } = this.client as unknown as {
      processID: number;
      secretKey: number;
    };
    const key = Buffer.alloc(4);
    key.writeInt32BE(secretKey);
    await new Promise<void>((resolve) => {
      const socket = net.connect(this.#port, "127.0.0.1", () => {
        socket.write(cancelFrame(processID, key));
      });
      socket.on("error", () => undefined).once("close", () => resolve());
      socket.resume();
    });
  }

  async rows(sql: string, values: readonly unknown[] = []): Promise<readonly unknown[]> {
    return (await this.client.query<Record<string, unknown>>(sql, [...values])).rows;
  }

  /** The SQLSTATE of a statement that has to fail with one of these. */
  async fails(sql: string, ...codes: readonly string[]): Promise<void> {
    const outcome: unknown = await this.client.query(sql).catch((error: unknown) => error);
    if (outcome instanceof DatabaseError && codes.includes(outcome.code ?? "")) return;
    if (outcome instanceof Error) throw outcome;
    this.leak(`${sql} did not fail`);
  }

  expect(what: string, read: unknown, own: unknown): void {
    if (JSON.stringify(read) !== JSON.stringify(own))
      this.leak(`${what}: ${JSON.stringify(read)} and not ${JSON.stringify(own)}`);
  }

  leak(what: string): void {
    this.leaks.push(`client ${this.id}: ${what}`);
  }

  count(step: string): void {
    this.done.set(step, (this.done.get(step) ?? 0) + 1);
  }

  /** Never the same for two clients. */
  ownNumber(): number {
    return this.id * 1_000_000 + below(this.random, 1_000_000);
  }
}

function newState(name: string): SessionState {
  return {
    name,
    settings: new Map(),
    role: undefined,
    temporary: undefined,
    locks: new Map(),
    prepared: new Map(),
    channels: new Set(),
    notified: [],
  };
}
