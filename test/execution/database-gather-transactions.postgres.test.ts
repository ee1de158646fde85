/** Database gathers inside of transactions, of clients and of their own. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { databaseName } from "../../base/ids.ts";
import type { DatabaseName } from "../../base/ids.ts";
import type { Transaction } from "../../proxy/execution/transaction.ts";
import { COUNTED, COUNTED_AS, startGatherServers, users } from "./gathering-servers.ts";
import type { GatherServers } from "./gathering-servers.ts";
import { gatherPlan, MAIN, NO_MODES, rowTexts } from "./gathering.ts";
import type { Gathering } from "./gathering.ts";

const EAST = databaseName("east");
const WEST = databaseName("west");
const READ_ONLY = { ...NO_MODES, readOnly: true };
const signal = new AbortController().signal;

let servers: GatherServers;
let gathering: Gathering;

beforeAll(async () => {
  servers = await startGatherServers();
  ({ gathering } = servers);
});

afterEach(() => servers.expectNothingLeft());

afterAll(() => servers[Symbol.asyncDispose]());

async function write(transaction: Transaction, database: DatabaseName, sql: string): Promise<void> {
  const participant = await transaction.join(database, signal);
  await participant.connection.query(sql);
  participant.wrote = "yes";
}

function counted(transaction?: Transaction): Promise<(string | null)[][]> {
  const options = { as: COUNTED_AS, ...(transaction && { transaction }) };
  return gathering.run(COUNTED, options).then(rowTexts);
}

async function writtenIds(): Promise<Record<string, unknown[]>> {
  const ids = async (database: string, server = servers.second): Promise<unknown[]> => {
    const { rows } = await server.query(database, "DELETE FROM written RETURNING id");
    return rows.map(({ id }) => id);
  };
  return {
    main: await ids("main", servers.first),
    east: await ids("east"),
    west: await ids("west"),
  };
}

describe("in a client's transaction", () => {
  test("it sees what the transaction has written, in every database", async () => {
    const transaction = gathering.begin();
    await write(transaction, MAIN, "DELETE FROM users WHERE id = 1");
    await write(transaction, WEST, "INSERT INTO users VALUES (300, 'new')");
    expect(await counted(transaction)).toEqual([["9", "300"]]);
    await transaction.rollback();
    expect(await counted()).toEqual([["9", "203"]]);
  });

  test("its tables are gone before the next statement", async () => {
    const transaction = gathering.begin();
    await counted(transaction);
    const { connection } = await transaction.join(MAIN, signal);
    const sql = "SELECT count(*) FROM pg_class WHERE relpersistence = 't'";
    expect((await connection.query(sql)).rows).toEqual([["0"]]);
    expect((await connection.query("SELECT count(*) FROM users")).rows).toEqual([["3"]]);
    expect(await counted(transaction)).toEqual([["9", "203"]]);
    expect(await transaction.commit(signal)).toBe("none");
  });

  test("its tables are gone when the client reads no further", async () => {
    const plan = gatherPlan([users()], "SELECT id FROM pg_temp.users, generate_series(1, 100000)");
    const transaction = gathering.begin();
    const stopped = new Error("the client is gone");
    const onEvent = ({ kind }: { kind: string }): void => {
      if (kind === "rows") throw stopped;
    };
    const running = gathering.run(plan, { as: "SELECT id FROM users", transaction, onEvent });
    await expect(running).rejects.toBe(stopped);
    const { connection } = await transaction.join(MAIN, signal);
    expect(connection.transactionStatus).toBe("inTransaction");
    expect(await counted(transaction)).toEqual([["9", "203"]]);
    await transaction.rollback();
  });

  test.each([
    ["before and after", true],
    ["after", false],
  ])("writes %s it commit in two phases, its own database last", async (_, before) => {
    const transaction = gathering.begin();
    // In an order in which another database would have been the coordinator.
    if (before) await write(transaction, EAST, "INSERT INTO written VALUES (1)");
    await counted(transaction);
    if (!before) await write(transaction, EAST, "INSERT INTO written VALUES (1)");
    await write(transaction, WEST, "INSERT INTO written VALUES (1)");
    await write(transaction, MAIN, "INSERT INTO written VALUES (1)");
    expect(await transaction.commit(signal)).toBe("two-phase");
    expect(await writtenIds()).toEqual({ main: ["1"], east: ["1"], west: ["1"] });
  });

  test("writes to other databases alone are committed beside it", async () => {
    const transaction = gathering.begin();
    await counted(transaction);
    await write(transaction, WEST, "INSERT INTO written VALUES (2)");
    await write(transaction, EAST, "INSERT INTO written VALUES (2)");
    expect(await transaction.commit(signal)).toBe("two-phase");
    expect(await writtenIds()).toEqual({ main: [], east: ["2"], west: ["2"] });
  });

  test("one that was undone with its savepoint still keeps its database from being prepared", async () => {
    const transaction = gathering.begin();
    await write(transaction, EAST, "INSERT INTO written VALUES (3)");
    await transaction.savepoint("s");
    await counted(transaction);
    await transaction.rollbackTo("s");
    await write(transaction, MAIN, "INSERT INTO written VALUES (3)");
    expect(await counted(transaction)).toEqual([["9", "203"]]);
    expect(await transaction.commit(signal)).toBe("two-phase");
    expect(await writtenIds()).toEqual({ main: ["3"], east: ["3"], west: [] });
  });

  test("one that fails leaves what was before its savepoint", async () => {
    const failing = "SELECT 1 / (id - 201), name FROM users";
    const plan = gatherPlan(
      [users({ main: failing, west: failing })],
      "SELECT 1 FROM pg_temp.users",
    );
    const transaction = gathering.begin();
    await write(transaction, WEST, "INSERT INTO written VALUES (4)");
    await transaction.savepoint("s");
    const failed = gathering.run(plan, { as: "SELECT 1", transaction });
    await expect(failed).rejects.toMatchObject({ fields: { C: "22012" } });
    await transaction.fail();
    await transaction.rollbackTo("s");
    expect(await counted(transaction)).toEqual([["9", "203"]]);
    await transaction.commit(signal);
    expect(await writtenIds()).toEqual({ main: [], east: [], west: ["4"] });
  });

  test("a function of the finish that writes is committed with the rest", async () => {
    await servers.first.query(
      "main",
      `CREATE OR REPLACE FUNCTION note(bigint) RETURNS bigint LANGUAGE sql AS
         $$ INSERT INTO written VALUES ($1) RETURNING id $$`,
    );
    const transaction = gathering.begin();
    await write(transaction, EAST, "INSERT INTO written VALUES (5)");
    const plan = gatherPlan([users()], "SELECT note(max(id)) FROM pg_temp.users");
    const answer = await gathering.run(
      { ...plan, access: "write" },
      { as: "SELECT max(id) FROM users", transaction },
    );
    expect(rowTexts(answer)).toEqual([["203"]]);
    expect(await transaction.commit(signal)).toBe("two-phase");
    expect(await writtenIds()).toEqual({ main: ["203"], east: ["5"], west: [] });
  });

  test("one snapshot for several databases is refused as anywhere", async () => {
    const transaction = gathering.begin({ ...NO_MODES, isolation: "repeatable read" });
    await expect(counted(transaction)).rejects.toMatchObject({ id: "snapshot_over_databases" });
    await transaction.rollback();
  });
});

describe("in a read-only transaction", () => {
  test("its tables are made beside it, under its settings", async () => {
    const transaction = gathering.begin(READ_ONLY);
    transaction.addSetting("SET LOCAL TimeZone = 'Asia/Tokyo'", false);
    const plan = gatherPlan(
      [users()],
      "SELECT count(*), current_setting('TimeZone') FROM pg_temp.users",
    );
    for (let time = 0; time < 2; time += 1) {
      const answer = await gathering.run(plan, { as: "SELECT 1::bigint, ''::text", transaction });
      expect(rowTexts(answer)).toEqual([["9", "Asia/Tokyo"]]);
    }
    expect(await transaction.commit(signal)).toBe("none");
  });

  test("one that has written to the catalog database before is refused", async () => {
    const transaction = gathering.begin();
    await write(transaction, MAIN, "DELETE FROM users WHERE id = 1");
    await transaction.changeModes(READ_ONLY);
    await expect(counted(transaction)).rejects.toMatchObject({
      id: "gather_read_only",
      sqlstate: "25006",
    });
    await transaction.rollback();
  });

  test("a statement that may write is refused, as it is anywhere in one", async () => {
    const transaction = gathering.begin(READ_ONLY);
    const writing = { ...COUNTED, access: "write" as const };
    const refused = gathering.run(writing, { as: COUNTED_AS, transaction });
    await expect(refused).rejects.toMatchObject({ id: "gather_read_only" });
    await transaction.rollback();
  });

  test("one snapshot is not given by two transactions", async () => {
    const transaction = gathering.begin({ ...READ_ONLY, isolation: "serializable" });
    await expect(counted(transaction)).rejects.toMatchObject({ id: "gather_read_only" });
    await transaction.rollback();
  });
});

describe("outside of a transaction", () => {
  test("one is made that writes, whatever the session's default", async () => {
    const session = gathering.openSession("SET default_transaction_read_only = on");
    const answer = await gathering.run(COUNTED, { as: COUNTED_AS }, session);
    expect(rowTexts(answer)).toEqual([["9", "203"]]);
  });

  test("a database that is asked for several tables gives them as of one instant", async () => {
    const ids = "SELECT id FROM written";
    const written = {
      table: "written",
      columns: ["id"],
      shape: ids,
      from: { west: ids },
      gather: { kind: "passThrough" },
    } as const;
    const slowly = "SELECT id, name FROM users, pg_sleep(0.5)";
    const plan = gatherPlan(
      [users({ west: slowly, main: slowly }), written],
      "SELECT count(*) FROM pg_temp.written",
    );
    const running = gathering.run(plan, { as: "SELECT count(*) FROM users" });
    const sleeping =
      "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = 'west'";
    await expect
      .poll(async () => (await servers.second.query("postgres", sleeping)).rows.length)
      .toBe(1);
    await servers.second.query("west", "INSERT INTO written VALUES (9)");
    expect(rowTexts(await running)).toEqual([["0"]]);
    await writtenIds();
  });
});
