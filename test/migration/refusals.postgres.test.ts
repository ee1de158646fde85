/** What stops a move, each with its name and its remedy; nothing is ever skipped. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { databaseName } from "../../base/ids.ts";
import type { PlannedMove, PlannedTable } from "../../migration/move.ts";
import { dropOrigin } from "../../migration/origin.ts";
import { openSource } from "../../migration/sessions.ts";
import { createSlot, dropStream } from "../../migration/stream-setup.ts";
import { finish, placement, prepareMove, type Rig, settled, startMover, startRig } from "./rig.ts";

let rig: Rig;

beforeAll(async () => {
  rig = await startRig(["t1", "t2"]);
});

afterAll(async () => {
  await rig[Symbol.asyncDispose]();
});

const ONE: PlannedTable["destination"] = { kind: "one", placement: placement("t1", "a") };

function move(name: string, destination = ONE, tables: readonly string[] = [name]): PlannedMove {
  return {
    name,
    source: databaseName("source"),
    tables: tables.map((table) => ({ schema: "public", name: table, destination })),
  };
}

function source(sql: string): Promise<unknown> {
  return rig.source.query("app", sql);
}

async function withRows(name: string, more = ""): Promise<void> {
  await source(
    `CREATE TABLE ${name} (id int PRIMARY KEY, n int, t text); INSERT INTO ${name} SELECT i, i, 'x' FROM generate_series(1, 100) i; ${more}`,
  );
}

describe("a change that does not find its row", () => {
  test("stops the move, with key and position, and nothing of its transaction is applied", async () => {
    await withRows("strict");
    const described = await prepareMove(rig, move("strict"));
    await using mover = await startMover(rig, described);
    await mover.copied;
    await rig.target.query("t1", "DELETE FROM a.strict WHERE id = 7");
    await source("UPDATE strict SET n = -1 WHERE id IN (6, 7)");
    await expect(mover.ended).rejects.toMatchObject({
      id: "migration_row_mismatch",
      message: 'update of row (7) in "a"."strict" of database "t1" found 0 rows',
      detail: expect.stringMatching(
        /^It is of the transaction that the source committed at \w+\/\w+;/,
      ),
    });
    const { rows } = await rig.target.query("t1", "SELECT n FROM a.strict WHERE id = 6");
    expect(rows).toEqual([{ n: 6 }]);
    // Put right, it goes on where it was.
    await rig.target.query("t1", "INSERT INTO a.strict VALUES (7, 7, 'x')");
    await using again = await startMover(rig, described, { epoch: 2n });
    await settled(rig, again);
    const { rows: after } = await rig.target.query(
      "t1",
      "SELECT n FROM a.strict WHERE id IN (6, 7)",
    );
    expect(after).toEqual([{ n: -1 }, { n: -1 }]);
    await rig.target.query("t1", "INSERT INTO a.strict VALUES (200, 0, 'mine')");
    await source("INSERT INTO strict VALUES (200, 0, 'theirs')");
    await expect(again.ended).rejects.toMatchObject({ id: "migration_row_mismatch" });
  });
});

describe("what tables may be moved", () => {
  test.each([
    ["missing", "", "it does not exist"],
    ["keyless", "CREATE TABLE keyless (n int)", "it has no primary key"],
    ["unlogged", "CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY)", "it is not logged"],
    ["seen", "CREATE VIEW seen AS SELECT 1 AS id", "it is not a table"],
    [
      "silent",
      "CREATE TABLE silent (id int PRIMARY KEY); ALTER TABLE silent REPLICA IDENTITY NOTHING",
      "its replica identity is NOTHING",
    ],
  ])("not table %s", async (name, sql, why) => {
    await source(sql);
    await expect(prepareMove(rig, move(name))).rejects.toMatchObject({
      id: "migration_table_unsupported",
      message: `table "public.${name}" cannot be moved: ${why}`,
    });
  });

  test("not one whose shard key the stream would not tell", async () => {
    await source("CREATE TABLE blind (id int PRIMARY KEY, tenant int NOT NULL)");
    const destination: PlannedTable["destination"] = {
      kind: "sharded",
      key: [{ column: "tenant", type: "integer" }],
      function: { kind: "hash", logicalShards: 1 },
      placementByShard: [placement("t1", "a")],
    };
    await expect(prepareMove(rig, move("blind", destination))).rejects.toThrow(
      'its shard key column "tenant" is not in its replica identity',
    );
  });

  test("not a foreign key to a table that stays", async () => {
    await source(
      "CREATE TABLE stays (id int PRIMARY KEY); CREATE TABLE leaves (id int PRIMARY KEY REFERENCES stays)",
    );
    const described = await prepareMove(rig, move("leaves"));
    await expect(finish(rig, described)).rejects.toMatchObject({
      id: "migration_table_unsupported",
    });
  });

  test("not a row whose shard key has no place", async () => {
    await withRows("ranged");
    const bound = { kind: "integer", value: 50n } as const;
    const destination: PlannedTable["destination"] = {
      kind: "sharded",
      key: [{ column: "id", type: "integer" }],
      function: { kind: "range", ranges: [{ from: undefined, to: bound }] },
      placementByShard: [placement("t1", "a")],
    };
    const described = await prepareMove(rig, move("ranged", destination));
    await using mover = await startMover(rig, described);
    await expect(mover.ended).rejects.toMatchObject({ id: "migration_row_unroutable" });
    await expect(mover.copied).rejects.toMatchObject({ id: "migration_row_unroutable" });
  });
});

describe("TRUNCATE", () => {
  test("empties the target, before and after the rows are copied", async () => {
    await withRows("emptied");
    const described = await prepareMove(rig, move("emptied"));
    await source("TRUNCATE emptied; INSERT INTO emptied VALUES (1, 1, 'after')");
    await using mover = await startMover(rig, described);
    await settled(rig, mover);
    await source(
      "INSERT INTO emptied VALUES (2, 2, 'b'); TRUNCATE emptied; INSERT INTO emptied VALUES (3, 3, 'c')",
    );
    await settled(rig, mover);
    const { rows } = await rig.target.query("t1", "SELECT id FROM a.emptied");
    expect(rows).toEqual([{ id: 3 }]);
    await mover.stop();
  });

  test("of a table of which some rows stay stops the move", async () => {
    await withRows("partly");
    const destination: PlannedTable["destination"] = {
      kind: "sharded",
      key: [{ column: "id", type: "integer" }],
      function: { kind: "hash", logicalShards: 2 },
      placementByShard: [placement("t1", "a"), undefined],
    };
    const described = await prepareMove(rig, move("partly", destination));
    await using mover = await startMover(rig, described);
    await settled(rig, mover);
    const { rows } = await rig.target.query("t1", "SELECT count(*)::int AS n FROM a.partly");
    expect(rows[0]?.["n"]).toBeGreaterThan(20);
    expect(rows[0]?.["n"]).toBeLessThan(80);
    await source("TRUNCATE partly");
    await expect(mover.ended).rejects.toMatchObject({ id: "migration_truncate_refused" });
  });
});

describe("a table that is altered", () => {
  test.each([
    ["grown", "ALTER TABLE grown ADD extra int", 'column "extra" was added'],
    ["shrunk", "ALTER TABLE shrunk DROP t", 'column "t" is gone'],
    ["renamed", "ALTER TABLE renamed RENAME n TO m", 'column "m" stands where "n" was'],
    [
      "retyped",
      "ALTER TABLE retyped ALTER n TYPE bigint",
      'column "n" has another type than integer',
    ],
    ["filled", "ALTER TABLE filled REPLICA IDENTITY FULL", "its replica identity is another"],
  ])("%s: the move stops before a row is read as what it is not", async (name, alter, what) => {
    await withRows(name);
    const described = await prepareMove(rig, move(name));
    await using mover = await startMover(rig, described);
    await settled(rig, mover);
    await source(`${alter}; DELETE FROM ${name} WHERE id = 1`);
    await expect(mover.ended).rejects.toMatchObject({
      id: "migration_schema_changed",
      message: expect.stringContaining(what),
    });
    await dropStreamOf(name);
  });

  test("its key gone, it has no rows that could be told apart", async () => {
    await withRows("unkeyed");
    const described = await prepareMove(rig, move("unkeyed"));
    await using mover = await startMover(rig, described);
    await settled(rig, mover);
    await source(
      "ALTER TABLE unkeyed DROP CONSTRAINT unkeyed_pkey; INSERT INTO unkeyed VALUES (1000)",
    );
    await expect(mover.ended).rejects.toMatchObject({ id: "migration_schema_changed" });
    await dropStreamOf("unkeyed");
  });
});

describe("who may write, and from where", () => {
  test("what is applied says that it is, so that a stream back passes it over", async () => {
    await withRows("tagged");
    const described = await prepareMove(rig, move("tagged"));
    await using mover = await startMover(rig, described);
    await settled(rig, mover);
    await rig.target.query(
      "t1",
      "SELECT pg_create_logical_replication_slot('back', 'test_decoding')",
    );
    await source("UPDATE tagged SET n = -1 WHERE id = 1");
    await settled(rig, mover);
    await rig.target.query("t1", "UPDATE a.tagged SET n = -2 WHERE id = 2");
    const { rows } = await rig.target.query(
      "t1",
      "SELECT data FROM pg_logical_slot_get_changes('back', NULL, NULL, 'only-local', 'on') WHERE data LIKE '%tagged%UPDATE%'",
    );
    expect(rows).toHaveLength(1);
    await mover.stop();
    await rig.target.query("t1", "SELECT pg_drop_replication_slot('back')");
    await rig.target.query("t1", dropOrigin("tagged", databaseName("t1")));
  });

  test("a mover that another epoch has followed ends, and writes nothing more", async () => {
    await withRows("held");
    const described = await prepareMove(rig, move("held"));
    await using first = await startMover(rig, described);
    await settled(rig, first);
    await rig.target.query(
      "t1",
      "UPDATE colonnade.move_progress SET epoch = 2 WHERE move = 'held'",
    );
    await source("UPDATE held SET n = -1");
    await expect(first.ended).rejects.toMatchObject({ id: "migration_epoch_lost" });
    const { rows } = await rig.target.query("t1", "SELECT FROM a.held WHERE n = -1");
    expect(rows).toEqual([]);
    await expect(startMover(rig, described, { epoch: 1n })).rejects.toMatchObject({
      id: "migration_epoch_lost",
    });
  });

  test("a slot that is gone is not made again", async () => {
    await withRows("lost");
    const described = await prepareMove(rig, move("lost"));
    await dropStreamOf("lost");
    await expect(startMover(rig, described)).rejects.toMatchObject({ id: "migration_slot_lost" });
  });

  test("a target that has less than it had told is not gone on with", async () => {
    await withRows("behind");
    const described = await prepareMove(rig, move("behind"));
    {
      await using mover = await startMover(rig, described);
      await settled(rig, mover);
    }
    await rig.target.query(
      "t1",
      "UPDATE colonnade.move_progress SET position = '0/1' WHERE move = 'behind'",
    );
    await expect(startMover(rig, described, { epoch: 2n })).rejects.toMatchObject({
      id: "migration_slot_lost",
      message: expect.stringContaining('database "t1" has the changes up to 0/1'),
    });
  });

  test("a slot is not made beside a writer that does not end, who is named", async () => {
    await withRows("blocked");
    const writer = await rig.source.connect("app");
    await writer.query("BEGIN; INSERT INTO blocked VALUES (1001)");
    const connection = await openSource(rig.sourceDatabase);
    const signal = AbortSignal.timeout(60_000);
    await expect(
      createSlot(connection, { name: "blocked" }, { signal, tries: 1, lockTimeoutMs: 200 }),
    ).rejects.toMatchObject({
      id: "migration_slot_blocked",
      detail: expect.stringMatching(/^The oldest are: process \d+ of postgres, open since/),
    });
    await writer.query("ROLLBACK");
    await writer.end();
    connection.close();
  });
});

async function dropStreamOf(name: string): Promise<void> {
  const connection = await openSource(rig.sourceDatabase);
  await dropStream(connection, { name });
  connection.close();
}
