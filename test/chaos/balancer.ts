/**
 * A TCP balancer before a fleet, as plain ones are: each connection goes to the next proxy that takes it. It reads
 * no byte of what it forwards, and asks nobody who is ready.
 */
import { once } from "node:events";
import net from "node:net";
import type { AddressInfo } from "node:net";

const HOST = "127.0.0.1";

export class Balancer implements AsyncDisposable {
  readonly #ports: readonly number[];
  readonly #listener: net.Server;
  readonly #sockets = new Set<net.Socket>();
  #next = 0;

  static async open(ports: readonly number[]): Promise<Balancer> {
    const balancer = new Balancer(ports);
    balancer.#listener.listen(0, HOST);
    await once(balancer.#listener, "listening");
    return balancer;
  }

  private constructor(ports: readonly number[]) {
    this.#ports = ports;
    const options = { allowHalfOpen: true, pauseOnConnect: true };
    this.#listener = net.createServer(options, (client) => void this.#join(client));
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  async #join(client: net.Socket): Promise<void> {
    this.#keep(client);
    for (let tries = 0; tries < this.#ports.length; tries += 1) {
      const port = this.#ports[this.#next++ % this.#ports.length] ?? 0;
      const proxy = net.connect({ port, host: HOST, allowHalfOpen: true });
      if (!(await isConnected(proxy))) continue;
      this.#keep(proxy);
      // What one end says last reaches the other before the end does; a reset does not wait.
      client.pipe(proxy).pipe(client);
      for (const [one, other] of [
        [client, proxy],
        [proxy, client],
      ] as const)
        one.on("close", (hadError) => (hadError ? other.resetAndDestroy() : other.end()));
      client.resume();
      return;
    }
    client.resetAndDestroy();
  }

  #keep(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#listener.close();
    await once(this.#listener, "close");
  }
}

async function isConnected(socket: net.Socket): Promise<boolean> {
  return await new Promise((resolve) => {
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
  });
}
