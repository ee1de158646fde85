/** All that a client has to say at once: start-up, statements, its end; cut anywhere, while its socket is handed over. */
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServers } from "../session/servers.ts";
import type { Servers } from "../session/servers.ts";
import { frame, queryFrame, startupFrame } from "../support/raw-frames.ts";

let servers: Servers;
beforeAll(async () => {
  servers = await startServers();
  await servers.reset();
});
afterAll(() => servers[Symbol.asyncDispose]());

const ALL = Buffer.concat([
  startupFrame({ user: "postgres", database: "main" }),
  queryFrame("SELECT name FROM accounts WHERE id = 1"),
  queryFrame("SELECT name FROM accounts WHERE id = 101"),
  frame("X"),
]);

/** What the proxy says to it, up to its own end. */
function told(cut: number, pauseMs: number, ends: boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    let heard = "";
    const socket = net.connect({
      port: servers.proxy.port,
      host: "127.0.0.1",
      allowHalfOpen: true,
    });
    socket.on("data", (chunk) => (heard += chunk.toString("latin1")));
    socket.on("error", reject);
    socket.on("end", () => {
      socket.end();
      resolve(heard);
    });
    socket.write(ALL.subarray(0, cut));
    void sleep(pauseMs).then(() => {
      socket.write(ALL.subarray(cut));
      if (ends) socket.end();
    });
  });
}

test.each([
  ["and its end", true],
  ["and it waits for the proxy's", false],
])("is answered whole, %s", async (_, ends) => {
  for (const pauseMs of [0, 2])
    for (let cut = 1; cut <= ALL.length; cut += 11) {
      const heard = await told(cut, pauseMs, ends);
      expect(heard).toMatch(/ann[^]*cid/);
    }
});
