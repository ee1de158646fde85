/**
 * A TCP port of the loopback interface that nobody listens on at this moment. It is looked for below the
 * ports that systems give to outgoing connections (from 32768 on, or higher), one of which
 * might have it by the time somebody listens.
 */
import { randomInt } from "node:crypto";
import { createServer } from "node:net";

const FIRST_PORT = 15_000;
const PORTS_END = 32_768;
/** Of a range that is nearly empty, as it is on any machine, the first is mostly free. */
const TRIES_MAX = 100;

export async function freePort(): Promise<number> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const port = randomInt(FIRST_PORT, PORTS_END);
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port was found between ${FIRST_PORT} and ${PORTS_END}`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return await new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen({ host: "127.0.0.1", port }, () => server.close(() => resolve(true)));
  });
}
