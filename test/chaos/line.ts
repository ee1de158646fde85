/**
 * A network between proxies and one PostgreSQL server that can be cut in the ways in which networks
 * are. While it is whole it forwards bytes; it reads none of them. No back-pressure: a test's answers are small.
 *
 *     closed           both ends are told at once, and nobody can connect
 *     stalled          bytes wait, of connections that have since ended too, and go on once it is whole
 *     lost by proxies  what the server holds open has no proxy any more, and the server is not told
 *     lost by servers  what a proxy holds open has no server any more, and the proxy is not told
 *
 * Where one end alone was told, the other learns of it once the line is whole, as from a reset
 * that answers a retransmission.
 */
import { once } from "node:events";
import net from "node:net";
import type { AddressInfo } from "node:net";

const HOST = "127.0.0.1";

export const CUTS = ["closed", "stalled", "lost by proxies", "lost by servers"] as const;
export type Cut = (typeof CUTS)[number];

export class Line implements AsyncDisposable {
  readonly name: string;
  readonly #serverPort: number;
  readonly #listener: net.Server;
  readonly #wires = new Set<Wire>();
  #cut: Cut | undefined;
  /** Whether a connection is of those that a cut concerns. */
  #isConcerned: () => boolean = () => true;
  /** Of its last cut or mending, by performance.now(). */
  changedMs = 0;

  static async open(name: string, serverPort: number): Promise<Line> {
    const line = new Line(name, serverPort);
    line.#listener.listen(0, HOST);
    await once(line.#listener, "listening");
    return line;
  }

  private constructor(name: string, serverPort: number) {
    this.name = name;
    this.#serverPort = serverPort;
    this.#listener = net.createServer((socket) => this.#join(socket));
  }

  get isWhole(): boolean {
    return this.#cut === undefined;
  }

  url(database: string): string {
    const { port } = this.#listener.address() as AddressInfo;
    return `postgres://postgres@${HOST}:${port}/${database}`;
  }

  /** `isConcerned` is asked for each connection, those that are yet to come among them. */
  cut(cut: Cut, isConcerned: () => boolean): void {
    this.#cut = cut;
    this.#isConcerned = isConcerned;
    this.changedMs = performance.now();
    for (const wire of this.#wires) if (isConcerned()) wire.cut(cut);
  }

  mend(): void {
    this.#cut = undefined;
    this.changedMs = performance.now();
    for (const wire of this.#wires) wire.mend();
  }

  #join(proxy: net.Socket): void {
    const cut = this.#cut !== undefined && this.#isConcerned() ? this.#cut : undefined;
    if (cut === "closed") {
      proxy.on("error", () => undefined).resetAndDestroy();
      return;
    }
    const server = net.connect(this.#serverPort, HOST);
    const wire = new Wire(proxy, server, () => this.#wires.delete(wire));
    this.#wires.add(wire);
    if (cut !== undefined) wire.cut(cut);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const wire of this.#wires) wire.cut("closed");
    this.#listener.close();
    await once(this.#listener, "close");
  }
}

type Passage =
  | { readonly kind: "open" }
  | { readonly kind: "waiting"; readonly steps: (() => void)[] }
  /** Nothing passes any more; `destroyed` when the line is whole. */
  | { readonly kind: "dead" };

/** One connection through a line. */
class Wire {
  readonly #proxy: net.Socket;
  readonly #server: net.Socket;
  #passage: Passage = { kind: "open" };

  constructor(proxy: net.Socket, server: net.Socket, onOver: () => void) {
    this.#proxy = proxy;
    this.#server = server;
    this.#forward(proxy, server);
    this.#forward(server, proxy);
    let open = 2;
    const onClose = (): void => {
      open -= 1;
      if (open === 0) onOver();
    };
    proxy.on("close", onClose);
    server.on("close", onClose);
  }

  cut(cut: Cut): void {
    switch (cut) {
      case "closed":
        this.#destroy();
        return;
      case "stalled":
        if (this.#passage.kind === "open") this.#passage = { kind: "waiting", steps: [] };
        return;
      case "lost by proxies":
        this.#passage = { kind: "dead" };
        this.#proxy.resetAndDestroy();
        return;
      case "lost by servers":
        this.#passage = { kind: "dead" };
        this.#server.resetAndDestroy();
    }
  }

  mend(): void {
    const passage = this.#passage;
    if (passage.kind === "dead") this.#destroy();
    if (passage.kind !== "waiting") return;
    this.#passage = { kind: "open" };
    for (const step of passage.steps) step();
  }

  #forward(from: net.Socket, to: net.Socket): void {
    from.setNoDelay(true);
    from.on("data", (bytes) => this.#pass(() => void to.write(bytes)));
    from.on("error", () => undefined);
    from.on("close", () => this.#pass(() => to.destroySoon()));
  }

  #pass(step: () => void): void {
    if (this.#passage.kind === "open") step();
    else if (this.#passage.kind === "waiting") this.#passage.steps.push(step);
  }

  #destroy(): void {
    this.#passage = { kind: "dead" };
    this.#proxy.destroy();
    this.#server.destroy();
  }
}
