/**
 * The slots of the way back are lost after the switch, as when a target's standby takes over that
 * has none: it is told, a rollback is refused by that name, and the rows stay served where they are.
 */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { FIRST, requireDone, type Served, startServed } from "./served.ts";

const MOVE = "move_users_users0_public";
const REVERSE = "SELECT slot_name FROM pg_replication_slots WHERE database = 'users2'";

let served: Served;

beforeAll(async () => {
  served = await startServed(1);
});

afterAll(async () => {
  await served[Symbol.asyncDispose]();
});

async function dropSlots(): Promise<number> {
  const { rows } = await served.data.query("users2", REVERSE);
  for (const { slot_name: name } of rows)
    for (let isThere = true; isThere;) {
      const gone = "SELECT FROM pg_replication_slots WHERE slot_name = $1";
      await served.data.query(
        "users2",
        "SELECT pg_terminate_backend(active_pid, 2000) FROM pg_replication_slots WHERE slot_name = $1",
        [name],
      );
      // Its consumer may have come back already.
      await served.data
        .query("users2", "SELECT pg_drop_replication_slot($1)", [name])
        .catch(() => undefined);
      isThere = (await served.data.query("users2", gone, [name])).rowCount === 1;
    }
  return rows.length;
}

test("a way back that is lost is told and refused, and the migration can only be completed", async () => {
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
  requireDone(await served.migrate("cutover", MOVE));
  expect((await served.migrate("status", MOVE)).stdout).toContain("the way back is open");
  expect(await dropSlots()).toBeGreaterThan(0);
  await vi.waitFor(
    async () =>
      expect((await served.migrate("status", MOVE)).stdout).toContain("the way back is lost"),
    { timeout: 30_000, interval: 200 },
  );
  const refused = await served.migrate("rollback", MOVE);
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("no way back")]);
  // Nothing is paused, and what is written since has no way to where the rows were.
  await client.query("UPDATE users SET n = 7");
  const { rows } = await client.query("SELECT count(*)::int AS rows, sum(n)::int AS n FROM users");
  expect(rows).toEqual([{ rows: 200, n: 1_400 }]);
  await client.end();
  requireDone(await served.migrate("complete", MOVE));
  expect((await run.finished).code).toBe(0);
  expect(requireDone(await served.migrate("doctor"))).toBe("nothing is left behind\n");
});
