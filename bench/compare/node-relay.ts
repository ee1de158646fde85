/**
 * A relay that knows nothing of what it carries, as few calls as Node can do it with: a server connection
 * for each client, and a server's bytes by way of one buffer for all. `node node-relay.ts PORT SERVER_PORT`
 */
import { connect, createServer } from "node:net";

const HOST = "127.0.0.1";
const BUFFER_BYTES = 64 * 1024;

const [port, serverPort] = process.argv.slice(2).map(Number);
if (port === undefined || serverPort === undefined) throw new Error("needs two ports");

const shared = Buffer.allocUnsafeSlow(BUFFER_BYTES);

createServer({ noDelay: true }, (client) => {
  const upstream = connect({
    host: HOST,
    port: serverPort,
    noDelay: true,
    onread: {
      buffer: shared,
      callback: (count, bytes) => client.write(Buffer.from(bytes.subarray(0, count))) || true,
    },
  });
  client.on("data", (chunk) => upstream.write(chunk));
  const end = (): void => {
    client.destroy();
    upstream.destroy();
  };
  for (const socket of [client, upstream]) socket.on("error", end).on("close", end);
}).listen(port, HOST);
