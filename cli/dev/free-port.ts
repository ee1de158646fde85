/**
 * A TCP port of the loopback interface that nobody listens on at this moment, and that nobody else is
 * given by this for a while. It is looked for below the ports that systems give to outgoing
 * connections (from 32768 on, or higher), one of which might have it by the time somebody listens.
 */
import { createSocket } from "node:dgram";
import { randomInt } from "node:crypto";
import { createServer } from "node:net";

const FIRST_PORT = 15_000;
const PORTS_END = 32_768;
/** Of a range that is nearly empty, as it is on any machine, the first is mostly free. */
const TRIES_MAX = 100;
/** On a busy machine a program takes seconds from being told its port to listening there. */
const RESERVED_MS = 60_000;

export async function freePort(): Promise<number> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const port = randomInt(FIRST_PORT, PORTS_END);
    if (await reservePort(port)) return port;
  }
  throw new Error(`no free port was found between ${FIRST_PORT} and ${PORTS_END}`);
}

/**
 * Whether the port is free, and the caller's from now on. What says so to other processes, and ends with
 * this one whatever ends it, is the UDP port of the same number.
 */
export async function reservePort(port: number): Promise<boolean> {
  const mark = createSocket({ type: "udp4" });
  const isOurs = await new Promise<boolean>((resolve) => {
    mark.once("error", () => resolve(false));
    mark.bind({ address: "127.0.0.1", port, exclusive: true }, () => resolve(true));
  });
  const isGiven = isOurs && (await isFree(port));
  if (isGiven) {
    mark.unref();
    setTimeout(() => mark.close(), RESERVED_MS).unref();
  } else mark.close();
  return isGiven;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return await new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen({ host: "127.0.0.1", port }, () => server.close(() => resolve(true)));
  });
}
