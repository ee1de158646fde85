/**
 * Every server dies while rows are copied, when they are ready, and after the switch: the migration
 * goes on by itself, and nothing acknowledged is lost. A minute, so only in a full run.
 */
import { expect, test } from "vitest";
import { IS_FULL_RUN } from "../support/run-mode.ts";
import { Journal } from "./journal.ts";
import { FIRST, requireDone, startServed } from "./served.ts";

const MOVE = "move_users_users0_public";

test.skipIf(!IS_FULL_RUN)(
  "all servers die while rows are copied, ready, and switched",
  async () => {
    await using served = await startServed(1);
    const [proxy] = served.proxies;
    if (proxy === undefined) throw new Error("one proxy");
    const client = await proxy.connect();
    await client.query("INSERT INTO users SELECT i, 'u' || i FROM generate_series(1, 20000) i");
    await client.end();
    const where = {
      ...FIRST,
      users: ["shards: 0-3, database: users2", "shards: 4-7, database: users1"],
    };
    requireDone(await served.migrate("plan", "--to", served.mapFile(2, where)));
    const run = served.start("migrate", "start", MOVE);
    const journal = new Journal({
      connect: () => proxy.connect(),
      firstId: 100_000,
      rowCount: 200,
      seed: 1,
      pauseMs: 2,
    });
    const crash = async (epoch: number): Promise<void> => {
      await served.data.kill9();
      await served.data.restart();
      await run.untilPrinted(`(epoch ${epoch})`);
    };
    await run.untilPrinted(": copying (");
    await crash(2);
    await run.untilPrinted(": ready (");
    await crash(3);
    requireDone(await served.migrate("cutover", MOVE));
    await crash(4);
    requireDone(await served.migrate("verify", MOVE));
    requireDone(await served.migrate("rollback", MOVE));
    await journal.stop();
    const rows = new Map<number, number[]>();
    for (const database of ["users0", "users1"])
      for (const { id, n } of (await served.data.query(database, "SELECT id, n FROM users")).rows)
        rows.set(Number(id), [...(rows.get(Number(id)) ?? []), Number(n)]);
    expect([journal.report.wrongReads, journal.differences(rows, new Map())]).toEqual([[], []]);
    expect(journal.report.acknowledged).toBeGreaterThan(100);
    run.child.kill("SIGINT");
    expect((await run.finished).code).toBe(0);
  },
);
