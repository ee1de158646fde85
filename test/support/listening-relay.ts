/**
 * A relay before a PostgreSQL server that writes down which messages its clients send, by type and text,
 * and may send the server others.
 */
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { Transform } from "node:stream";

export interface ListeningRelay extends AsyncDisposable {
  readonly port: number;
  /** Since the last call: the type byte, and for Query and Parse what stands behind it. */
  take(): readonly string[];
}

/** `alter` gives as many bytes as it was given. */
export async function startListeningRelay(
  host: string,
  port: number,
  alter: (sent: Buffer) => Buffer = (sent) => sent,
): Promise<ListeningRelay> {
  const sockets = new Set<Socket>();
  let heard: string[] = [];
  const server = createServer((client) => {
    const upstream = connect(port, host);
    const frames = new Frames((text) => heard.push(text));
    const altered = new Transform({
      transform: (chunk: Buffer, _encoding, done) => done(null, alter(chunk)),
    });
    client.on("data", (chunk) => frames.add(chunk));
    client.pipe(altered).pipe(upstream).pipe(client);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        client.destroy();
        upstream.destroy();
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    take: () => {
      const taken = heard;
      heard = [];
      return taken;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** Asked before the startup packet, and like it without a type byte. */
const SSL_REQUEST = 80_877_103;

/** The startup packet has no type byte; everything after it has. */
class Frames {
  readonly #tell: (text: string) => void;
  #rest: Buffer = Buffer.alloc(0);
  #isStarted = false;

  constructor(tell: (text: string) => void) {
    this.#tell = tell;
  }

  add(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const typeBytes = this.#isStarted ? 1 : 0;
      if (this.#rest.length < typeBytes + 4) return;
      const end = typeBytes + this.#rest.readUInt32BE(typeBytes);
      if (this.#rest.length < end) return;
      if (this.#isStarted) this.#frame(this.#rest.subarray(0, end));
      else this.#isStarted = this.#rest.readUInt32BE(4) !== SSL_REQUEST;
      this.#rest = this.#rest.subarray(end);
    }
  }

  #frame(frame: Buffer): void {
    const type = String.fromCharCode(frame[0] ?? 0);
    const parts = frame.subarray(5).toString("utf8").split("\0");
    this.#tell(type === "Q" ? `Q ${parts[0]}` : type === "P" ? `P ${parts[1]}` : type);
  }
}
