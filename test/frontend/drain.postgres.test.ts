/** A drain has an answer for everybody, also for who is just being let in. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { startPostgres } from "../support/postgres.ts";
import { startTestProxy } from "../support/proxy.ts";
import { ScramExchange } from "../support/raw-authentication.ts";
import { RawClient } from "../support/raw-client.ts";
import { cstring, frame, readFields, startupFrame, uint32 } from "../support/raw-frames.ts";

const USER = "ada";
const PASSWORD = "a secret";

test("a client that authenticates while the proxy begins to drain is told so, and not cut off", async () => {
  const directory = mkdtempSync(join(tmpdir(), "colonnade-drain-"));
  try {
    const usersFile = join(directory, "users.txt");
    writeFileSync(usersFile, `"${USER}" "${PASSWORD}"\n`);
    await using server = await startPostgres({ databases: ["app"] });
    await using proxy = await startTestProxy(
      `version: 1\ncatalog: app\ndatabases: { app: { primary: "${server.url("app")}" } }\n`,
      {
        config: { auth: { method: "scram-sha-256", users_file: usersFile } },
        connectAs: { user: USER, password: PASSWORD },
      },
    );
    const client = await RawClient.open(proxy.host, proxy.port);
    client.write(startupFrame({ user: USER, database: "app" }));
    expect((await client.receive()).body.readUInt32BE(0)).toBe(10);
    process.kill(proxy.pid, "SIGTERM");
    await sleep(500);
    expect(proxy.isAlive()).toBe(true);
    const scram = new ScramExchange(PASSWORD);
    const first = Buffer.from(scram.clientFirst());
    client.write(frame("p", cstring("SCRAM-SHA-256"), uint32(first.length), first));
    const challenge = (await client.receive()).body.subarray(4).toString();
    client.write(frame("p", Buffer.from(scram.clientFinal(challenge))));
    let message = await client.receive();
    while (message.type === "R") message = await client.receive();
    expect([message.type, readFields(message.body)["C"]]).toEqual(["E", "57P01"]);
    await expect(client.receive()).rejects.toThrow("closed");
    client.destroy();
    await expect.poll(() => proxy.isAlive()).toBe(false);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
