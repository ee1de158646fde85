/**
 * A session of a replica writes to the source all the time, as a subscription would that preflight
 * has not seen: no fence stops it. Its writes are in the stream behind the fence, so the cutover is
 * given up and the migration stops; without it the next cutover succeeds, and nothing is lost.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { FIRST, requireDone, type Served, startServed } from "./served.ts";

const MOVE = "move_users_users0_public";
/** Status tells of what was before, too, below its first line. */
const READY = `${MOVE}: ready`;

let served: Served;

beforeAll(async () => {
  served = await startServed(1);
});

afterAll(async () => {
  await served[Symbol.asyncDispose]();
});

/** What status tells then. A machine that is too slow for an attempt has it given up. */
async function cutOver(): Promise<string> {
  for (let attempt = 0; ; attempt += 1) {
    await served.migrate("cutover", MOVE);
    const { stdout } = await served.migrate("status", MOVE);
    if (!stdout.startsWith(READY) || attempt === 5) return stdout;
  }
}

test("writes that pass the fence stop the cutover, instead of being lost by it", async () => {
  const [proxy] = served.proxies;
  if (proxy === undefined) throw new Error("one proxy");
  const client = await proxy.connect();
  await client.query("INSERT INTO users SELECT i, 'u' || i FROM generate_series(1, 200) i");
  const where = {
    ...FIRST,
    users: ["shards: 0-3, database: users2", "shards: 4-7, database: users1"],
  };
  requireDone(await served.migrate("plan", "--to", served.mapFile(2, where)));
  const run = served.start("migrate", "start", MOVE);
  await run.untilPrinted(": ready (");

  const replica = await served.data.connect("users0");
  await replica.query("SET session_replication_role = replica");
  const found = await replica.query<{ readonly id: number }>(
    "SELECT min(id)::int AS id FROM users",
  );
  const id = Number(found.rows[0]?.id);
  const over = new AbortController();
  let written = 0;
  const writing = (async () => {
    for (; !over.signal.aborted; written += 1) {
      await replica.query("UPDATE users SET n = n + 1 WHERE id = $1", [id]);
      await sleep(1);
    }
  })();
  await vi.waitFor(() => expect(written).toBeGreaterThan(10));
  const stopped = await cutOver();
  over.abort();
  await writing;
  expect(stopped).toContain(
    'stopped (at ready, foreign_write: somebody has written to "public.users" of database "users0", which is fenced, so that its rows may go',
  );
  // Service is where it was.
  await client.query("UPDATE users SET name = 'still here' WHERE id = $1", [id]);
  const all = "SELECT name, n FROM users WHERE id = $1";
  expect((await served.data.query("users0", all, [id])).rows).toEqual([
    { name: "still here", n: written },
  ]);

  requireDone(await served.migrate("resume", MOVE));
  await vi.waitFor(
    async () => expect((await served.migrate("status", MOVE)).stdout.startsWith(READY)).toBe(true),
    { timeout: 30_000, interval: 200 },
  );
  expect(await cutOver()).toContain(`${MOVE}: reversible`);
  expect((await served.data.query("users2", all, [id])).rows).toEqual([
    { name: "still here", n: written },
  ]);
  expect(requireDone(await served.migrate("verify", MOVE))).toContain("no differences");
  await replica.end();
  await client.end();
  requireDone(await served.migrate("complete", MOVE));
  expect((await run.finished).code).toBe(0);
});
