/** Memory of idle clients: a contender that has just been started, with so many and without. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Contender } from "./contenders/contender.ts";
import { holdClients } from "./load/request.ts";
import type { LoadTarget } from "./load/request.ts";
import { memoryBytes } from "./proc.ts";
import type { Values } from "./slice.ts";

/** Connected, asked and gone before the first look, so that code and pools are there. */
const WARM_UP_CLIENTS = 200;
const SETTLE_MS = 2_000;

export async function measureIdle(contender: Contender, clients: number): Promise<Values> {
  const target: LoadTarget = {
    host: "127.0.0.1",
    port: contender.port,
    database: contender.database(false),
  };
  await (await holdClients(target, WARM_UP_CLIENTS)).close();
  const before = await settledBytes(contender);
  const held = await holdClients(target, clients);
  const after = await settledBytes(contender);
  await held.close();
  return {
    residentMegabytes: before / 2 ** 20,
    kilobytesPerClient: (after - before) / clients / 1024,
  };
}

async function settledBytes(contender: Contender): Promise<number> {
  await sleep(SETTLE_MS);
  await contender.settle();
  return memoryBytes(contender.pids);
}
