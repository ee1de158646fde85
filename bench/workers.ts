/**
 * What a second worker brings: point selects answered by a canned backend, so that the proxy's own
 * work is what there is to divide, through one worker and through two, by turns. It says
 * something where there is a core for each process: two workers, the backend, two loads.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { text } from "node:stream/consumers";
import { startPostgres } from "../test/support/postgres.ts";
import { startTestProxy } from "../test/support/proxy.ts";
import { median, spread } from "./measurement.ts";
import type { Measurement } from "./measurement.ts";

const LOADS = 2;
const CLIENTS_PER_LOAD = 16;
const ROUNDS = 5;
/** With fewer, workers and loads take each other's time, and the ratio is no bound. */
const CORES_NEEDED = 5;
const STATEMENT = "SELECT note FROM items WHERE id = ";

export async function measureWorkers(seconds: number): Promise<readonly Measurement[]> {
  const ratios = (await workerRatios(ROUNDS, seconds)).map((times) => 1 / times);
  const hasCores = availableParallelism() >= CORES_NEEDED;
  return [
    {
      name: "point selects a second of one worker, by those of two",
      value: median(ratios),
      unit: "times",
      spread: spread(ratios),
      // Two are to do 1.8 times as many.
      ...(hasCores && { bound: 1 / 1.8 }),
    },
  ];
}

/** How many times as many statements a second two workers answer as one does, in each round. */
export async function workerRatios(rounds: number, seconds: number): Promise<readonly number[]> {
  await using server = await startPostgres({ databases: ["app"] });
  await server.query("app", "CREATE TABLE items (id integer PRIMARY KEY, note text)");
  await server.query("app", "INSERT INTO items SELECT n, 'note' FROM generate_series(0, 999) n");
  const backend = spawn(
    process.execPath,
    [new URL("canned-backend.ts", import.meta.url).pathname, String(server.port), STATEMENT],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  try {
    const [printed] = (await once(backend.stdout, "data")) as [Buffer];
    const url = `postgres://postgres@127.0.0.1:${Number(printed.toString())}/app`;
    const map = `version: 1\ncatalog: app\ndatabases:\n  app: { primary: ${url} }\n`;
    await using one = await startTestProxy(map);
    await using two = await startTestProxy(map, { workers: 2 });
    const ratios: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const alone = await throughput(one.port, seconds);
      ratios.push((await throughput(two.port, seconds)) / alone);
    }
    return ratios;
  } finally {
    backend.kill();
  }
}

async function throughput(port: number, seconds: number): Promise<number> {
  const load = new URL("workers-load.ts", import.meta.url).pathname;
  const counts = await Promise.all(
    Array.from({ length: LOADS }, async () => {
      const words = [load, port, CLIENTS_PER_LOAD, seconds].map(String);
      const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "inherit"] });
      return Number(await text(child.stdout));
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0) / seconds;
}
