/** Races of the protocol that no other test meets on purpose; which test proves which race is in README.md beside this file. */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { databaseName } from "../../base/ids.ts";
import {
  CREATE_FENCE_STATE,
  fenceMarker,
  fencingMigration,
  raiseFence,
} from "../../migration/fence.ts";
import type { Fence } from "../../migration/fence.ts";
import type { PlannedMove } from "../../migration/move.ts";
import { openTarget } from "../../migration/sessions.ts";
import {
  moveDatabase,
  placement,
  prepareMove,
  type Rig,
  settled,
  startMover,
  startRig,
} from "./rig.ts";

let rig: Rig;

beforeAll(async () => {
  rig = await startRig(["t1"]);
  await rig.source.query("app", CREATE_FENCE_STATE);
});

afterAll(async () => {
  await rig[Symbol.asyncDispose]();
});

function moveOf(name: string): PlannedMove {
  return {
    name,
    source: databaseName("source"),
    tables: [
      {
        schema: "public",
        name,
        destination: { kind: "one", placement: placement("t1", "a") },
      },
    ],
  };
}

function fenceOf(name: string, side: Fence["side"] = "sources"): Fence {
  return { migration: `of_${name}`, side, tables: [{ schema: "public", name }] };
}

function source(sql: string): ReturnType<Rig["source"]["query"]> {
  return rig.source.query("app", sql);
}

async function raised(fence: Fence, lockTimeoutMs: number): Promise<boolean> {
  const connection = await openTarget(rig.sourceDatabase);
  try {
    return await raiseFence(connection, fence, 1, { markers: [], lockTimeoutMs });
  } finally {
    connection.close();
  }
}

test("a row that is committed and not yet on the source's disk is not copied before it is", async () => {
  await source("CREATE TABLE soft (id int PRIMARY KEY)");
  const move = await prepareMove(rig, moveOf("soft"));
  // Nobody flushes what nobody waits for, but the server's writer of its log, so seldom.
  await source("ALTER SYSTEM SET wal_writer_delay = '3s'");
  await source("SELECT pg_reload_conf()");
  const gate = Promise.withResolvers<void>();
  await using mover = await startMover(rig, move, { mayCopy: () => gate.promise });
  const writer = await rig.source.connect("app");
  await writer.query("SET synchronous_commit = off");
  await writer.query("INSERT INTO soft VALUES (1)");
  gate.resolve();
  await mover.copied;
  await rig.source.kill9();
  await expect(mover.ended).rejects.toBeDefined();
  await rig.source.restart();
  await source("ALTER SYSTEM RESET wal_writer_delay");
  await source("SELECT pg_reload_conf()");
  const ids = "SELECT id FROM";
  expect((await rig.target.query("t1", `${ids} a.soft`)).rows).toEqual([{ id: 1 }]);
  expect((await source(`${ids} soft`)).rows).toEqual([{ id: 1 }]);
});

test("the fence of a partitioned table is met by who writes to its partitions themselves", async () => {
  await source(`CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (10);
    CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
    CREATE TABLE parts_top PARTITION OF parts_high FOR VALUES FROM (15) TO (20)`);
  expect(await raised(fenceOf("parts"), 1_000)).toBe(true);
  for (const sql of [
    "INSERT INTO parts VALUES (1)",
    "INSERT INTO parts_low VALUES (1)",
    "INSERT INTO parts_high VALUES (15)",
    "INSERT INTO parts_top VALUES (15)",
    "DELETE FROM parts_top",
    "TRUNCATE parts_low",
  ])
    await expect(source(sql), sql).rejects.toMatchObject({
      code: "25006",
      message: expect.stringContaining('migration "of_parts"'),
    });
});

test("a fence that waits for a writer lets those go on that came behind it, and is not there", async () => {
  await source("CREATE TABLE busy (id int PRIMARY KEY)");
  const [first, second] = [await rig.source.connect("app"), await rig.source.connect("app")];
  await first.query("BEGIN; INSERT INTO busy VALUES (1)");
  const given = raised(fenceOf("busy"), 1_000).catch((error: unknown) => error);
  const waiting = "SELECT FROM pg_locks WHERE relation = 'busy'::regclass AND NOT granted";
  await vi.waitFor(async () => expect((await source(waiting)).rowCount).toBe(1));
  const behind = second.query("INSERT INTO busy VALUES (2)");
  expect(await given).toMatchObject({ fields: { C: "55P03" } });
  // The first is still inside.
  await behind;
  const connection = await openTarget(rig.sourceDatabase);
  expect(await fencingMigration(connection, { schema: "public", name: "busy" })).toBeUndefined();
  connection.close();
  await first.query("COMMIT");
  expect(await raised(fenceOf("busy"), 1_000)).toBe(true);
  await expect(second.query("INSERT INTO busy VALUES (3)")).rejects.toMatchObject({
    code: "25006",
  });
  await first.end();
  await second.end();
});

test("who passes the fence of rows that nobody owns yet, as a replica's session does, stops the migration", async () => {
  await source("CREATE TABLE early (id int PRIMARY KEY); INSERT INTO early VALUES (1), (2)");
  const move = await prepareMove(rig, moveOf("early"));
  // As the stream back, before the switch: its source is what rows are still coming to.
  await using mover = await startMover(rig, move, { mayBeWritten: () => false });
  await settled(rig, mover);
  await raised(fenceOf("early", "targets"), 1_000);
  await expect(source("UPDATE early SET id = 3 WHERE id = 1")).rejects.toMatchObject({
    code: "25006",
  });
  await source("SELECT pg_replication_origin_create('colonnade_early')");
  await source(
    "SELECT pg_replication_origin_session_setup('colonnade_early'); SET session_replication_role = replica; UPDATE early SET id = 3 WHERE id = 1",
  );
  await settled(rig, mover);
  const { rows } = await rig.target.query("t1", "SELECT id FROM a.early ORDER BY id");
  expect(rows).toEqual([{ id: 1 }, { id: 2 }]);
  await source("SET session_replication_role = replica; UPDATE early SET id = 4 WHERE id = 2");
  await expect(Promise.race([mover.ended, settled(rig, mover)])).rejects.toMatchObject({
    id: "migration_foreign_write",
    message:
      'somebody has written to "public.early" of database "source", which does not own its rows yet',
  });
  await source("SELECT pg_replication_origin_drop('colonnade_early')");
});

test("who passes the fence of rows that go away stops the migration, and no write before the fence does", async () => {
  await source("CREATE TABLE leaving (id int PRIMARY KEY, n int)");
  const move = await prepareMove(rig, moveOf("leaving"));
  let ticket: number | undefined = 6;
  await using mover = await startMover(rig, move, { fenceTicket: () => ticket });
  const asReplica = "SET session_replication_role = replica;";
  const fence = async (of: number): Promise<void> => {
    const connection = await openTarget(rig.sourceDatabase);
    const markers = [fenceMarker("leaving", of)];
    await raiseFence(connection, fenceOf("leaving"), of, { markers, lockTimeoutMs: 1_000 });
    connection.close();
  };
  await source(`${asReplica} INSERT INTO leaving VALUES (1, 1)`);
  await fence(5);
  // Of an attempt that was given up: the source is nobody's but its own.
  await source(`${asReplica} INSERT INTO leaving VALUES (2, 2)`);
  await settled(rig, mover);
  await fence(6);
  await settled(rig, mover);
  ticket = 7;
  await source(`${asReplica} INSERT INTO leaving VALUES (3, 3)`);
  await settled(rig, mover);
  await fence(7);
  await expect(source("INSERT INTO leaving VALUES (4, 4)")).rejects.toMatchObject({
    code: "25006",
  });
  await settled(rig, mover);
  await source(`${asReplica} INSERT INTO leaving VALUES (5, 5)`);
  await expect(Promise.race([mover.ended, settled(rig, mover)])).rejects.toMatchObject({
    id: "migration_foreign_write",
    message:
      'somebody has written to "public.leaving" of database "source", which is fenced, so that its rows may go',
  });
  const { rows } = await rig.target.query("t1", "SELECT id FROM a.leaving ORDER BY id");
  expect(rows).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
});

test("a role from which a policy hides rows copies none of them, instead of some", async () => {
  await source("CREATE TABLE hidden (id int PRIMARY KEY); INSERT INTO hidden VALUES (1), (2)");
  const move = await prepareMove(rig, moveOf("hidden"));
  // Later than the look at the table, which refuses one that has policies already.
  await source(`CREATE ROLE copier LOGIN REPLICATION; GRANT SELECT ON hidden TO copier;
    ALTER TABLE hidden ENABLE ROW LEVEL SECURITY; CREATE POLICY first ON hidden USING (id = 1)`);
  await using mover = await startMover(rig, move, {
    source: moveDatabase("source", rig.source.url("app", "copier")),
  });
  await expect(Promise.race([mover.ended, mover.copied])).rejects.toMatchObject({
    fields: { C: "42501", M: expect.stringContaining("row-level security") },
  });
  expect((await rig.target.query("t1", "SELECT FROM a.hidden")).rowCount).toBe(0);
});
