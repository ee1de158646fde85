/**
 * Longer proofs with whole migrations, each with a fleet of its own: COLONNADE_FULL=1 runs them.
 * What every run proves is in orchestrator.postgres.test.ts.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { RunningCommand } from "../support/command.ts";
import { IS_FULL_RUN } from "../support/run-mode.ts";
import { Journal } from "./journal.ts";
import { FIRST, requireDone, startServed } from "./served.ts";

const MOVE = "move_users_users0_public";

/** Until the command prints that the migration is there. */
async function until(command: RunningCommand, state: string): Promise<void> {
  await command.untilPrinted(`: ${state} (`);
}

test.skipIf(!IS_FULL_RUN)(
  "a placement is split over two databases, merged back by a rollback, and split again",
  async () => {
    await using fleet = await startServed(2);
    const [proxy] = fleet.proxies;
    const client = await (proxy as NonNullable<typeof proxy>).connect();
    await client.query("INSERT INTO users SELECT i, 'u' || i FROM generate_series(1, 3000) i");
    await client.query("INSERT INTO orders SELECT i, 1, 'o' FROM generate_series(1, 3000) i");
    const sums =
      "SELECT count(*)::int AS users, sum(n)::int AS n, (SELECT count(*)::int FROM orders) AS orders FROM users";
    const where = {
      users: [
        "shards: 0-1, database: users2",
        "shards: 2-3, database: users0, schema: late",
        "shards: 4-7, database: users1",
      ],
      invoices: "main",
    };
    const move = "split_users_users0_public";
    requireDone(await fleet.migrate("plan", "--to", fleet.mapFile(2, where)));
    const run = fleet.start("migrate", "start", move);
    await until(run, "ready");
    const writing = new Journal({
      connect: () => (proxy as NonNullable<typeof proxy>).connect(),
      firstId: 200_000,
      rowCount: 100,
      seed: 3,
      pauseMs: 2,
    });
    requireDone(await fleet.migrate("cutover", move));
    await sleep(500);
    // The stream back would empty the other half's rows, too.
    for (const orders of ["orders", "late.orders"])
      await expect(
        fleet.data.query(orders === "orders" ? "users2" : "users0", `TRUNCATE ${orders}`),
      ).rejects.toMatchObject({ code: "55000" });
    await expect(client.query("TRUNCATE orders")).rejects.toMatchObject({ code: "55000" });
    requireDone(await fleet.migrate("verify", move));
    requireDone(await fleet.migrate("rollback", move));
    await sleep(300);
    requireDone(await fleet.migrate("resync", move));
    while (!(await fleet.migrate("status", move)).stdout.includes(": ready\n")) await sleep(100);
    requireDone(await fleet.migrate("cutover", move));
    await writing.stop();
    const rows = new Map<number, number[]>();
    for (const { id, n } of (await client.query("SELECT id, n FROM users")).rows)
      rows.set(Number(id), [...(rows.get(Number(id)) ?? []), Number(n)]);
    expect(writing.differences(rows, new Map())).toEqual([]);
    expect((await client.query(sums)).rows[0]).toMatchObject({ orders: expect.any(Number) });
    requireDone(await fleet.migrate("complete", move));
    expect((await run.finished).code).toBe(0);
    expect(requireDone(await fleet.migrate("doctor"))).toBe("nothing is left behind\n");
    await client.end();
  },
);

test.skipIf(!IS_FULL_RUN)(
  "an unsharded table becomes a colocation; its numbers stay unique, there and back",
  async () => {
    await using fleet = await startServed(1);
    const [proxy] = fleet.proxies;
    const client = await (proxy as NonNullable<typeof proxy>).connect();
    await client.query("INSERT INTO events (token) SELECT 'old' FROM generate_series(1, 2000)");
    const move = "shard_events";
    const events = [
      "shards: 0-3, database: users1, schema: ev",
      "shards: 4-7, database: users2, schema: ev",
    ];
    requireDone(await fleet.migrate("plan", "--to", fleet.mapFile(2, { ...FIRST, events })));
    const run = fleet.start("migrate", "start", move);
    await until(run, "ready");
    let written = 0;
    const over = new AbortController();
    const errors: string[] = [];
    const writer = await (proxy as NonNullable<typeof proxy>).connect();
    const writing = (async () => {
      while (!over.signal.aborted)
        await writer
          .query("INSERT INTO events (token) VALUES ('new')")
          .then(() => (written += 1))
          .catch((error: unknown) => errors.push(String(error)));
    })();
    for (const command of ["cutover", "verify", "rollback"]) {
      await sleep(300);
      requireDone(await fleet.migrate(command, move));
    }
    await sleep(300);
    over.abort();
    await writing;
    expect(errors).toEqual([]);
    const { rows } = await client.query(
      "SELECT count(*)::int AS all, count(DISTINCT id)::int AS ids FROM events",
    );
    expect(rows).toEqual([{ all: 2_000 + written, ids: 2_000 + written }]);
    requireDone(await fleet.migrate("cancel", move));
    expect((await run.finished).code).toBe(0);
    await client.end();
    await writer.end();
  },
);

test.skipIf(!IS_FULL_RUN)(
  "an orchestrator that is stopped is replaced, a proxy that died is not waited for in the pause",
  async () => {
    await using fleet = await startServed(2);
    const [proxy, other] = fleet.proxies;
    const client = await (proxy as NonNullable<typeof proxy>).connect();
    await client.query("INSERT INTO users SELECT i, 'u' || i FROM generate_series(1, 3000) i");
    const where = {
      ...FIRST,
      users: ["shards: 0-3, database: users2", "shards: 4-7, database: users1"],
    };
    requireDone(await fleet.migrate("plan", "--to", fleet.mapFile(2, where)));
    const first = fleet.start("migrate", "start", MOVE);
    await until(first, "ready");
    const writing = new Journal({
      connect: () => (proxy as NonNullable<typeof proxy>).connect(),
      firstId: 200_000,
      rowCount: 100,
      seed: 3,
      pauseMs: 2,
    });
    first.child.kill("SIGSTOP");
    const second = fleet.start("orchestrate");
    await second.untilPrinted(`${MOVE}: ready (epoch 2)`);
    other?.command.child.kill("SIGKILL");
    const { pausedMs } = JSON.parse(
      requireDone(await fleet.migrate("cutover", MOVE, "--json")),
    ) as {
      readonly pausedMs: number;
    };
    expect(pausedMs).toBeLessThanOrEqual(2_000);
    first.child.kill("SIGCONT");
    expect(await first.finished).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("another process"),
    });
    await sleep(300);
    requireDone(await fleet.migrate("verify", MOVE));
    requireDone(await fleet.migrate("rollback", MOVE));
    await writing.stop();
    const rows = new Map<number, number[]>();
    for (const { id, n } of (await client.query("SELECT id, n FROM users")).rows)
      rows.set(Number(id), [...(rows.get(Number(id)) ?? []), Number(n)]);
    expect(writing.differences(rows, new Map())).toEqual([]);
    expect(writing.report.wrongReads).toEqual([]);
    await client.end();
  },
);
