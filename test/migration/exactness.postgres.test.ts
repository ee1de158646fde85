/**
 * Exact under writes, kills, and commits that are in the log before they are seen; and the
 * same stress shows what the naive way loses. In full: `node test/migration/main.ts`.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { databaseName } from "../../base/ids.ts";
import { IS_FULL_RUN, inFullRun } from "../support/run-mode.ts";
import { runNaive } from "./naive.ts";
import { dropKeys } from "../../migration/schema-copy.ts";
import { openSource, openTarget, type MoveDatabase } from "../../migration/sessions.ts";
import { createPublication, createSlot, dropStream } from "../../migration/stream-setup.ts";
import { finish, placement, prepareMove, type Rig, settled, startMover, startRig } from "./rig.ts";
import { runStress } from "./stress.ts";
import { STRESS_TABLES, TARGETS } from "./stress-tables.ts";

let rig: Rig;

beforeAll(async () => {
  rig = await startRig(TARGETS);
});

afterAll(async () => {
  await rig[Symbol.asyncDispose]();
});

describe("rows that are moved while they are written", () => {
  test("are all there, once, as they are, though the mover was killed", async () => {
    const kills = inFullRun(20, 2);
    const outcome = await runStress(rig, {
      seed: 42,
      kills,
      keys: 4_000,
      chunkRows: 100,
      writerCount: 4,
      pauseMs: 4,
      tables: STRESS_TABLES,
    });
    expect(outcome.differences).toMatchObject({ missing: [], extra: [], stale: [] });
    expect(outcome.differences.rows).toBeGreaterThan(5_000);
    expect(outcome.commits).toBeGreaterThan(50);
    expect(outcome.killsWhileCopying).toBeGreaterThan(0);
  });

  test("are not, where changes are replayed without regard to what was copied when", async () => {
    let differing = 0;
    for (let attempt = 0; attempt < 5 && differing === 0; attempt += 1) {
      const seed = attempt + 1;
      const name = `naive_${seed}`;
      const { missing, extra, stale } = await runNaive(rig, { seed, keys: 2_000, name });
      differing = missing.length + extra.length + stale.length;
    }
    expect(differing).toBeGreaterThan(0);
  });

  test("and were copied once before are copied anew only in the ranges that differ", async () => {
    await rig.source.query(
      "app",
      "CREATE TABLE again (id int PRIMARY KEY, n int, t text UNIQUE); INSERT INTO again SELECT i, NULL, i::text FROM generate_series(1, 2000) i",
    );
    const integers = [undefined, 1_000n].map((value) =>
      value === undefined ? undefined : ({ kind: "integer", value } as const),
    );
    const move = await prepareMove(rig, {
      name: "again",
      source: databaseName("source"),
      tables: [
        {
          schema: "public",
          name: "again",
          destination: {
            kind: "sharded",
            key: [{ column: "id", type: "integer" }],
            function: {
              kind: "range",
              ranges: [
                { from: undefined, to: integers[1] },
                { from: integers[1], to: undefined },
              ],
            },
            placementByShard: [placement("t2", "a"), placement("t2", "b")],
          },
        },
      ],
    });
    const first = await startMover(rig, move, { chunkRows: 100 });
    await settled(rig, first);
    await first.stop();
    await finish(rig, move);
    // One lost, one altered, one too many, one astray, and two that have swapped what is unique.
    await rig.target.query(
      "t2",
      `DELETE FROM a.again WHERE id = 150; UPDATE a.again SET n = 0 WHERE id = 350; INSERT INTO b.again VALUES (90000, 1, 'more'), (450, 1, 'astray');
       UPDATE b.again SET t = 'x' || t WHERE id IN (1150, 1850); UPDATE b.again SET t = CASE id WHEN 1150 THEN '1850' ELSE '1150' END WHERE id IN (1150, 1850)`,
    );
    const target = await openTarget(rig.targetDatabases[1] as MoveDatabase);
    const source = await openSource(rig.sourceDatabase);
    await target.query(
      "DELETE FROM colonnade.move_progress WHERE move = 'again'; DELETE FROM colonnade.move_chunk WHERE move = 'again'",
    );
    await dropKeys(target, move);
    await dropStream(source, move);
    await createPublication(source, move);
    await createSlot(source, move);
    source.close();
    target.close();
    await using mover = await startMover(rig, move, { chunkRows: 100, isComparing: () => true });
    await rig.source.query("app", "UPDATE again SET n = 7 WHERE id IN (99, 1999)");
    await settled(rig, mover);
    const { rows } = await rig.target.query(
      "t2",
      "SELECT range_to::text AS to FROM colonnade.move_chunk WHERE move = 'again' AND byte_count > 0 ORDER BY done_at",
    );
    const rewritten = rows.map(({ to }) => String(to));
    // 99 and 1999 may be copied or applied, whichever comes first.
    expect(rewritten.length).toBeGreaterThanOrEqual(5);
    expect(rewritten.length).toBeLessThanOrEqual(8);
    expect(rewritten).toEqual(
      expect.arrayContaining(['["200"]', '["400"]', '["500"]', '["1200"]', '["1900"]']),
    );
    await finish(rig, move);
    const all = "SELECT id, n, t FROM";
    const due = await rig.source.query("app", `${all} again ORDER BY id`);
    const found = await rig.target.query(
      "t2",
      `${all} a.again UNION ALL ${all} b.again ORDER BY id`,
    );
    expect(found.rows).toEqual(due.rows);
    await mover.stop();
  });

  // Seventy megabytes, copied twice.
  test.skipIf(!IS_FULL_RUN)(
    "a transaction larger than what is kept has its chunk copied again",
    async () => {
      await rig.source.query(
        "app",
        `CREATE TABLE bulky (id int PRIMARY KEY, n int, t text); ALTER TABLE bulky ALTER t SET STORAGE EXTERNAL;
       INSERT INTO bulky SELECT i, 0, '' FROM generate_series(1, 1200) i`,
      );
      const move = await prepareMove(rig, {
        name: "bulky",
        source: databaseName("source"),
        tables: [
          {
            schema: "public",
            name: "bulky",
            destination: { kind: "one", placement: placement("t2", "b") },
          },
        ],
      });
      // The chunk is open, and waits for the lock that its snapshot needs.
      const writer = await rig.source.connect("app");
      await writer.query("BEGIN; LOCK TABLE bulky IN ACCESS EXCLUSIVE MODE");
      await using mover = await startMover(rig, move);
      await sleep(300);
      await writer.query("UPDATE bulky SET n = 1, t = repeat(md5(id::text), 2000); COMMIT");
      await settled(rig, mover);
      expect(mover.progress.copy.givenUpCount).toBeGreaterThan(0);
      const sums = "SELECT count(*)::int, sum(n)::int, sum(hashtext(t))::text FROM";
      const { rows } = await rig.source.query("app", `${sums} bulky`);
      expect((await rig.target.query("t2", `${sums} b.bulky`)).rows).toEqual(rows);
      await mover.stop();
      await writer.end();
    },
  );

  test("a commit that is streamed before any snapshot sees it is not lost", async () => {
    await rig.source.query(
      "app",
      "CREATE TABLE waits (id int PRIMARY KEY, t text); INSERT INTO waits VALUES (1, 'a'), (2, 'a')",
    );
    const move = await prepareMove(rig, {
      name: "waits",
      source: databaseName("source"),
      tables: [
        {
          schema: "public",
          name: "waits",
          destination: { kind: "one", placement: placement("t2", "b") },
        },
      ],
    });
    // No such standby is there: commits wait, in the log and seen by nobody.
    await rig.source.query("app", "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    await rig.source.query("app", "SELECT pg_reload_conf()");
    const writer = await rig.source.connect("app");
    let isAnswered = false;
    // A gate that opens when the write is in the stream and discarded: so the copy meets the worst moment.
    const gate = Promise.withResolvers<void>();
    await using mover = await startMover(rig, move, { mayCopy: () => gate.promise });
    const written = writer.query("DELETE FROM waits WHERE id = 1").then(() => {
      isAnswered = true;
    });
    await sleep(500);
    gate.resolve();
    await sleep(500);
    expect([isAnswered, mover.progress.isCopied]).toEqual([false, false]);
    await rig.source.query("app", "ALTER SYSTEM RESET synchronous_standby_names");
    await rig.source.query("app", "SELECT pg_reload_conf()");
    await written;
    await settled(rig, mover);
    const { rows } = await rig.target.query("t2", "SELECT id FROM b.waits");
    expect(rows).toEqual([{ id: 2 }]);
    expect(mover.progress.copy.retakeCount).toBeGreaterThan(0);
    await mover.stop();
    await writer.end();
  });
});
