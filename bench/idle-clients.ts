/** What an idle client costs: the memory of a proxy process with and without 1,000 of them. */
import { setTimeout as sleep } from "node:timers/promises";
import { startPostgres } from "../test/support/postgres.ts";
import { startTestProxy } from "../test/support/proxy.ts";
import type { TestProxy } from "../test/support/proxy.ts";
import type { RawClient } from "../test/support/raw-client.ts";
import type { Measurement } from "./measurement.ts";

const CLIENTS = 1_000;
/** Connected, asked and gone before the first look, so that code and pools are there. */
const WARM_UP_CLIENTS = 200;
const SETTLE_MS = 3_000;

export async function measureIdleClients(): Promise<readonly Measurement[]> {
  await using server = await startPostgres({ databases: ["app"] });
  const map = `version: 1\ncatalog: app\ndatabases:\n  app: { primary: ${server.url("app")} }\n`;
  await using proxy = await startTestProxy(map);
  await Promise.all((await connect(proxy, WARM_UP_CLIENTS)).map((client) => client.close()));
  await sleep(SETTLE_MS);
  const before = await proxy.memory();
  const clients = await connect(proxy, CLIENTS);
  await sleep(SETTLE_MS);
  const after = await proxy.memory();
  for (const client of clients) client.destroy();
  return [
    {
      name: `resident memory per idle client, of ${CLIENTS}`,
      value: (after.residentBytes - before.residentBytes) / CLIENTS / 1024,
      unit: "kB",
      bound: 10,
    },
    {
      name: `JavaScript heap and buffers per idle client, of ${CLIENTS}`,
      value: (after.heapBytes - before.heapBytes) / CLIENTS / 1024,
      unit: "kB",
      bound: 10,
    },
  ];
}

/** Each has run one statement, as a pooled application's connections have. */
async function connect(proxy: TestProxy, count: number): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  for (let index = 0; index < count; index++) {
    const client = await proxy.connect();
    await client.query("SELECT 1");
    clients.push(client);
  }
  return clients;
}
