/** Waiting for what a cancel, a lost client or a lost backend brings about: it takes a while, and no test knows how long. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import type { Servers } from "./servers.ts";

/** Two busy cores are slow. */
export const SOON_MS = 8_000;

/** No transaction is open on any server, and the proxy has all its backends back. */
export async function untilNothingIsHeld(servers: Servers): Promise<void> {
  await eventually(async () => {
    for (const server of [servers.first, servers.second]) {
      const { rows } = await server.query(
        "postgres",
        `SELECT datname, state, query FROM pg_stat_activity
         WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND state <> 'idle'
           AND datname IN ('main', 'east', 'west')`,
      );
      expect(rows).toEqual([]);
    }
    const metrics = await (
      await fetch(`http://127.0.0.1:${servers.proxy.adminPort}/metrics`)
    ).text();
    const used = [...metrics.matchAll(/^colonnade_pool_connections\{.*state="used".*\} (\d+)$/gm)];
    for (const [line, count] of used) expect([line, count]).toEqual([line, "0"]);
  });
}

export async function eventually<T>(check: () => Promise<T>, ms: number = SOON_MS): Promise<T> {
  const end = performance.now() + ms;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > end) throw error;
      await sleep(50);
    }
  }
}
