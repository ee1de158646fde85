/** Ports for servers and proxies that are started later. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { expect, test } from "vitest";
import { freePort, reservePort } from "../../cli/dev/free-port.ts";

const MODULE = new URL("../../cli/dev/free-port.ts", import.meta.url).href;

test("a port that was given is not given again, nor by another process", async () => {
  const port = await freePort();
  expect(await reservePort(port)).toBe(false);
  const script = `import(${JSON.stringify(MODULE)}).then(async ({ reservePort }) => process.exit((await reservePort(${port})) ? 3 : 4))`;
  const [code] = (await once(spawn(process.execPath, ["-e", script]), "exit")) as [number | null];
  expect(code).toBe(4);
});

test("a port that was given can be listened on, and is then not free", async () => {
  const port = await freePort();
  const server = createServer().listen({ host: "127.0.0.1", port });
  await once(server, "listening");
  expect(await reservePort(port)).toBe(false);
  server.close();
  await once(server, "close");
});
