/** Each way of cutting a line is what it says: without that, chaos would prove nothing. */
import { once } from "node:events";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Line } from "./line.ts";
import type { Cut } from "./line.ts";

/** Answers what it is sent. */
let echo: net.Server;
const atServer: net.Socket[] = [];

beforeAll(async () => {
  echo = net.createServer((socket) => {
    atServer.push(socket);
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  echo.listen(0, "127.0.0.1");
  await once(echo, "listening");
});

afterAll(() => {
  echo.close();
});

interface Client {
  readonly socket: net.Socket;
  received: string;
}

async function connected(line: Line): Promise<Client> {
  const { port, hostname } = new URL(line.url("any"));
  const client: Client = { socket: net.connect(Number(port), hostname), received: "" };
  client.socket.on("error", () => undefined);
  client.socket.on("data", (bytes) => (client.received += String(bytes)));
  await once(client.socket, "connect");
  return client;
}

/** A line with one connection that works. */
async function inUse(): Promise<{
  readonly line: Line;
  readonly client: Client;
  readonly server: net.Socket;
}> {
  const line = await Line.open("line", (echo.address() as AddressInfo).port);
  const client = await connected(line);
  client.socket.write("a");
  await expect.poll(() => client.received).toBe("a");
  return { line, client, server: atServer.at(-1) as net.Socket };
}

const SOON_MS = 50;

test.each<[Cut, { readonly client: boolean; readonly server: boolean }]>([
  ["closed", { client: true, server: true }],
  ["stalled", { client: false, server: false }],
  ["lost by proxies", { client: true, server: false }],
  ["lost by servers", { client: false, server: true }],
])("%s tells those ends that are to know", async (cut, told) => {
  const { line, client, server } = await inUse();
  line.cut(cut, () => true);
  await sleep(SOON_MS);
  expect(line.isWhole).toBe(false);
  expect({ client: client.socket.closed, server: server.closed }).toEqual(told);
  client.socket.write("b");
  await sleep(SOON_MS);
  expect(client.received).toBe("a");
  line.mend();
  // What waited goes on; whoever did not know learns of it.
  await expect
    .poll(() => ({ received: client.received, areOver: client.socket.closed && server.closed }))
    .toEqual(
      cut === "stalled" ? { received: "ab", areOver: false } : { received: "a", areOver: true },
    );
  await line[Symbol.asyncDispose]();
});

test("what a client has sent into a stalled line arrives though the client is gone by then", async () => {
  const { line, client, server } = await inUse();
  let arrived = "";
  server.on("data", (bytes) => (arrived += String(bytes)));
  line.cut("stalled", () => true);
  client.socket.write("COMMIT");
  await sleep(SOON_MS);
  client.socket.resetAndDestroy();
  await sleep(SOON_MS);
  expect(arrived).toBe("");
  line.mend();
  await expect.poll(() => arrived).toBe("COMMIT");
  await expect.poll(() => server.closed).toBe(true);
  await line[Symbol.asyncDispose]();
});

test("a cut concerns the connections that it is to, also those that come later", async () => {
  const { line, client } = await inUse();
  let isConcerned = false;
  line.cut("closed", () => isConcerned);
  client.socket.write("b");
  await expect.poll(() => client.received).toBe("ab");
  isConcerned = true;
  // A reset may come while it connects, or after.
  const late = connected(line).then(({ socket }) => once(socket, "close"));
  await expect(late.catch(() => "reset")).resolves.toBeDefined();
  line.mend();
  const later = await connected(line);
  later.socket.write("c");
  await expect.poll(() => later.received).toBe("c");
  await line[Symbol.asyncDispose]();
});
