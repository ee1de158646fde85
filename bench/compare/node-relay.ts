/**
 * A relay that knows nothing of what it carries, as few calls as Node can do it with: a server connection
 * for each client, and all bytes by way of one buffer. `node node-relay.ts PORT SERVER_PORT`
 */
import { connect, createServer, type Socket } from "node:net";
import { adoptSocket } from "../../proxy/frontend/adopted-socket.ts";
import { SHARED_READ_BUFFER } from "../../proxy/protocol/shared-read-buffer.ts";

const HOST = "127.0.0.1";

const [port, serverPort] = process.argv.slice(2).map(Number);
if (port === undefined || serverPort === undefined) throw new Error("needs two ports");

const relay = (to: Socket, bytes: Uint8Array, count: number): void => {
  to.write(Buffer.from(bytes.subarray(0, count)));
};

createServer({ noDelay: true, pauseOnConnect: true }, (accepted) => {
  const adopted = adoptSocket(accepted, (bytes, count) => relay(upstream, bytes, count));
  const client = adopted?.socket ?? accepted;
  if (adopted === undefined) client.on("data", (chunk) => upstream.write(chunk));
  const upstream = connect({
    host: HOST,
    port: serverPort,
    noDelay: true,
    onread: {
      buffer: SHARED_READ_BUFFER,
      callback: (count, bytes) => {
        relay(client, bytes, count);
        return true;
      },
    },
  });
  client.resume();
  const end = (): void => {
    client.destroy();
    upstream.destroy();
  };
  for (const socket of [client, upstream]) socket.on("error", end).on("close", end);
}).listen(port, HOST);
