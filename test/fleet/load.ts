/** Clients that read and write one row each, without a pause, and how long the longest has waited. */
import type pg from "pg";
import { setTimeout as sleep } from "node:timers/promises";
import type { Fleet, FleetProxy } from "./fleet-servers.ts";

export interface Waits {
  readonly count: number;
  readonly worstMs: number;
}

export interface LoadResult {
  readonly east: Waits;
  readonly west: Waits;
}

export interface Load {
  /** What any client was told that it should not have been. */
  readonly errors: readonly string[];
  /** Until every client has been answered since. */
  settle(): Promise<void>;
  /** What was counted since the last time. */
  restart(): LoadResult;
  stop(): Promise<void>;
}

/** Half of the clients on each placement, in both protocols, inside of transactions and not. */
export async function startLoad(
  { east, west }: Pick<Fleet, "east" | "west">,
  proxies: readonly FleetProxy[],
  count: number,
): Promise<Load> {
  const clients = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      (proxies[index % proxies.length] as FleetProxy).connect(),
    ),
  );
  const errors: string[] = [];
  const over = new AbortController();
  const waits = { east: { count: 0, worstMs: 0 }, west: { count: 0, worstMs: 0 } };
  const answered = clients.map(() => 0);
  const running = clients.map(async (client, index) => {
    const side = Math.floor(index / proxies.length) % 2 === 0 ? "east" : "west";
    const ids = side === "east" ? east : west;
    const id = ids[10 + index] ?? 0;
    const work = WORK[index % WORK.length] as Work;
    while (!over.signal.aborted) {
      const startMs = performance.now();
      try {
        await work(client, id);
      } catch (error) {
        errors.push((error as Error).message);
      }
      const wait = waits[side];
      wait.count += 1;
      wait.worstMs = Math.max(wait.worstMs, performance.now() - startMs);
      answered[index] = (answered[index] ?? 0) + 1;
      // Some room for the proxies, which share the machine with the clients.
      await sleep(10);
    }
    await client.end();
  });
  return {
    errors,
    settle: async () => {
      const before = [...answered];
      while (answered.some((times, index) => times < (before[index] ?? 0) + 2)) await sleep(10);
    },
    restart: () => {
      const { east: eastWaits, west: westWaits } = structuredClone(waits);
      for (const wait of [waits.east, waits.west]) Object.assign(wait, { count: 0, worstMs: 0 });
      return { east: eastWaits, west: westWaits };
    },
    stop: async () => {
      over.abort();
      await Promise.all(running);
    },
  };
}

/** What clients waited just before `work`, and while it went on. */
export async function loadDuring<T>(
  load: Load,
  work: () => Promise<T>,
): Promise<{ readonly before: LoadResult; readonly during: LoadResult; readonly result: T }> {
  load.restart();
  await sleep(300);
  await load.settle();
  const before = load.restart();
  const result = await work();
  await load.settle();
  return { before, during: load.restart(), result };
}

type Work = (client: pg.Client, id: number) => Promise<unknown>;

const WORK: readonly Work[] = [
  (client, id) => client.query("SELECT name FROM users WHERE id = $1", [id]),
  (client, id) => client.query(`SELECT name FROM users WHERE id = ${id}`),
  (client, id) =>
    client.query({ name: "u", text: "UPDATE users SET name = 'x' WHERE id = $1", values: [id] }),
  async (client, id) => {
    await client.query("BEGIN");
    await client.query("UPDATE users SET name = 'y' WHERE id = $1", [id]);
    await client.query("SELECT name FROM users WHERE id = $1", [id]);
    await client.query("COMMIT");
  },
];
