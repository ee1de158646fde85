/**
 * A network between a proxy and a PostgreSQL server that stops at a word: the message with a given
 * text is held before the server has it, or its answer before the proxy has that, for as long as a
 * test needs to kill somebody at exactly that moment.
 *
 * It forwards bytes and reads no more of them than it needs: where the frames begin, and their text.
 */
import { once } from "node:events";
import net from "node:net";
import type { AddressInfo } from "node:net";
import type { TestPostgres } from "./postgres.ts";

const HOST = "127.0.0.1";
/** Of an SSLRequest, which a server without TLS answers by one byte; a StartupMessage is longer. */
const SSL_REQUEST_BYTES = 8;

export interface Stop {
  /** Fulfilled when a message is held, or the server has answered it. */
  readonly reached: Promise<void>;
  /** Everything goes on as if nothing had been. */
  release(): void;
  /** The connection ends on both sides; what is held is never delivered. */
  cut(): void;
}

export class Gate implements AsyncDisposable {
  readonly #server: TestPostgres;
  readonly #listener: net.Server;
  readonly #ways = new Set<Way>();
  #stops: PendingStop[] = [];

  static async open(server: TestPostgres): Promise<Gate> {
    const gate = new Gate(server);
    gate.#listener.listen(0, HOST);
    await once(gate.#listener, "listening");
    return gate;
  }

  private constructor(server: TestPostgres) {
    this.#server = server;
    this.#listener = net.createServer((socket) => this.#join(socket));
  }

  url(database: string): string {
    const { port } = this.#listener.address() as AddressInfo;
    return `postgres://postgres@${HOST}:${port}/${database}`;
  }

  /** The next message with all of the words, once. */
  stop(at: "request" | "answer", ...words: readonly string[]): Stop {
    const stop = new PendingStop(at, words);
    this.#stops.push(stop);
    return stop;
  }

  #join(client: net.Socket): void {
    const server = net.connect(this.#server.port, HOST);
    const way = new Way(client, server, (text) => this.#take(text));
    this.#ways.add(way);
    server.on("close", () => this.#ways.delete(way));
  }

  #take(text: string): PendingStop | undefined {
    const found = this.#stops.find(({ words }) => words.every((word) => text.includes(word)));
    this.#stops = this.#stops.filter((stop) => stop !== found);
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const way of this.#ways) way.cut();
    this.#listener.close();
    await once(this.#listener, "close");
  }
}

class PendingStop implements Stop {
  readonly at: "request" | "answer";
  readonly words: readonly string[];
  readonly #reached = Promise.withResolvers<void>();
  #way: Way | undefined;

  constructor(at: "request" | "answer", words: readonly string[]) {
    this.at = at;
    this.words = words;
  }

  get reached(): Promise<void> {
    return this.#reached.promise;
  }

  reach(way: Way): void {
    this.#way = way;
    this.#reached.resolve();
  }

  release(): void {
    this.#way?.release();
  }

  cut(): void {
    this.#way?.cut();
  }
}

/** One connection through the gate. */
class Way {
  readonly #client: net.Socket;
  readonly #server: net.Socket;
  readonly #stopFor: (text: string) => PendingStop | undefined;
  /** Not forwarded yet: less than a frame, or behind one that is held. */
  #requests: Buffer = Buffer.alloc(0);
  #answers: Buffer[] = [];
  #hasStarted = false;
  #held: "nothing" | "requests" | "answers" = "nothing";
  #awaitsAnswer: PendingStop | undefined;

  constructor(
    client: net.Socket,
    server: net.Socket,
    stopFor: (text: string) => PendingStop | undefined,
  ) {
    this.#client = client;
    this.#server = server;
    this.#stopFor = stopFor;
    client.on("data", (bytes) => this.#request(bytes)).on("error", () => undefined);
    server.on("data", (bytes) => this.#answer(bytes)).on("error", () => undefined);
    client.on("close", () => server.destroy());
    server.on("close", () => client.destroy());
  }

  cut(): void {
    this.#client.destroy();
    this.#server.destroy();
  }

  release(): void {
    this.#held = "nothing";
    for (const bytes of this.#answers.splice(0)) this.#client.write(bytes);
    this.#forward();
  }

  #request(bytes: Buffer): void {
    this.#requests = Buffer.concat([this.#requests, bytes]);
    this.#forward();
  }

  #forward(): void {
    while (this.#held !== "requests") {
      const frame = this.#nextFrame();
      if (frame === undefined) return;
      const stop = this.#stopFor(frame.toString("latin1"));
      if (stop?.at === "request") {
        this.#held = "requests";
        stop.reach(this);
        return;
      }
      if (stop?.at === "answer") {
        this.#held = "answers";
        this.#awaitsAnswer = stop;
      }
      this.#requests = this.#requests.subarray(frame.length);
      this.#server.write(frame);
    }
  }

  #nextFrame(): Buffer | undefined {
    const lengthAt = this.#hasStarted ? 1 : 0;
    if (this.#requests.length < lengthAt + 4) return undefined;
    const end = lengthAt + this.#requests.readUInt32BE(lengthAt);
    if (this.#requests.length < end) return undefined;
    if (!this.#hasStarted && end !== SSL_REQUEST_BYTES) this.#hasStarted = true;
    return this.#requests.subarray(0, end);
  }

  #answer(bytes: Buffer): void {
    if (this.#held !== "answers") {
      this.#client.write(bytes);
      return;
    }
    this.#answers.push(bytes);
    this.#awaitsAnswer?.reach(this);
    this.#awaitsAnswer = undefined;
  }
}
