/** Transactions over several databases, with every way in which their commit can go wrong. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { databaseName } from "../../base/ids.ts";
import type { SqlError } from "../../base/sql-error.ts";
import { parseBackendAddress } from "../../proxy/backend/backend-address.ts";
import { BackendError } from "../../proxy/backend/backend-error.ts";
import { Backends } from "../../proxy/backend/backends.ts";
import { CREATE_COMMIT_RECORD, preparedName } from "../../proxy/execution/commit-record.ts";
import { InDoubt } from "../../proxy/execution/in-doubt.ts";
import { LockHolders } from "../../proxy/execution/lock-holders.ts";
import { Pauses } from "../../proxy/execution/pauses.ts";
import { SessionBackends } from "../../proxy/execution/session-backends.ts";
import { NO_SETTINGS } from "../../proxy/execution/session-settings.ts";
import { Transaction } from "../../proxy/execution/transaction.ts";
import { TwoPhaseCommit } from "../../proxy/execution/two-phase-commit.ts";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";

const NAMES = ["a", "b", "c"].map(databaseName);
const [A, B, C] = NAMES as [(typeof NAMES)[0], (typeof NAMES)[0], (typeof NAMES)[0]];
const NO_MODES = { isolation: undefined, readOnly: undefined, deferrable: undefined };
const signal = new AbortController().signal;

let server: TestPostgres;

beforeAll(async () => {
  server = await startPostgres({ databases: NAMES, settings: { max_prepared_transactions: "20" } });
  for (const name of NAMES) {
    await server.query(name, "CREATE TABLE t (id int PRIMARY KEY, CHECK (id < 1000))");
    await server.query(
      name,
      "ALTER TABLE t ADD CONSTRAINT late UNIQUE (id) DEFERRABLE INITIALLY DEFERRED",
    );
  }
});

afterAll(async () => {
  await server.stop();
});

/** Each with its own pools and instance name, as one proxy process has them. */
function openProxy(target: TestPostgres = server, instance = Math.random().toString(36).slice(2)) {
  const addresses = new Map(
    NAMES.map((name) => [name, parseBackendAddress(target.url(name))] as const),
  );
  const backends = new Backends(addresses, { pool: { waitMs: 5000 }, drainMs: 1000 });
  const inDoubt = new InDoubt(backends);
  const twoPhase = new TwoPhaseCommit(backends, inDoubt, () => instance);
  const session = new SessionBackends(
    backends,
    inDoubt,
    () => NO_SETTINGS,
    new LockHolders(),
    new Pauses({ waitMs: 1_000, waitersMax: 1 }),
  );
  return {
    backends,
    inDoubt,
    session,
    begin: () => new Transaction(session, twoPhase, NO_MODES, databaseName("none")),
    async [Symbol.asyncDispose]() {
      await backends.close();
    },
  };
}

async function write(transaction: Transaction, database: typeof A, sql: string) {
  const participant = await transaction.join(database, signal);
  await participant.connection.query(sql);
  participant.wrote = "yes";
  return participant;
}

async function ids(name: string, where: string, target: TestPostgres = server): Promise<unknown[]> {
  return (await target.query(name, `SELECT id FROM t WHERE ${where} ORDER BY id`)).rows.map(
    ({ id }) => id,
  );
}

async function preparedLeft(target: TestPostgres = server): Promise<number> {
  return (await target.query("postgres", "SELECT 1 FROM pg_prepared_xacts")).rows.length;
}

describe("a part that is left, found over a connection that is another role", () => {
  test("is finished by the user that has prepared it", async () => {
    await server.query("a", "CREATE ROLE weak_one");
    await using proxy = openProxy();
    const id = "role-1";
    const transaction = { id, coordinator: B };
    await server.query(
      "a",
      `BEGIN; INSERT INTO t VALUES (901); PREPARE TRANSACTION '${preparedName(transaction, A)}'`,
    );
    await proxy.inDoubt.addUnfinished({ transaction, participant: A });
    const left = await proxy.backends.acquire(A, signal);
    await left.query("SET ROLE weak_one");
    left.sessionTag = "a client's";
    proxy.backends.release(left);
    const connection = await proxy.session.acquire(A, signal);
    expect(connection).toBe(left);
    proxy.session.release(connection);
    expect(await ids("a", "id = 901")).toEqual([901]);
    expect(await preparedLeft()).toBe(0);
  });
});

describe("commit", () => {
  test("of three databases is whole, and leaves nothing prepared", async () => {
    await using proxy = openProxy();
    const transaction = proxy.begin();
    for (const name of NAMES) await write(transaction, name, "INSERT INTO t VALUES (1)");
    expect(await transaction.commit(signal)).toBe("two-phase");
    for (const name of NAMES) expect(await ids(name, "id = 1")).toEqual([1]);
    expect(await preparedLeft()).toBe(0);
  });

  test("of one written and one read database is one phase", async () => {
    await using proxy = openProxy();
    const transaction = proxy.begin();
    await write(transaction, A, "INSERT INTO t VALUES (2)");
    await (await transaction.join(B, signal)).connection.query("SELECT 1");
    expect(await transaction.commit(signal)).toBe("single");
    expect(await ids("a", "id = 2")).toEqual([2]);
  });

  test("asks a database whose writes touched no row whether anything was written", async () => {
    await using proxy = openProxy();
    const transaction = proxy.begin();
    await write(transaction, A, "INSERT INTO t VALUES (3)");
    (await write(transaction, B, "UPDATE t SET id = id WHERE false")).wrote = "maybe";
    expect(await transaction.commit(signal)).toBe("single");

    const second = proxy.begin();
    await write(second, A, "INSERT INTO t VALUES (4)");
    (await write(second, B, "INSERT INTO t VALUES (4)")).wrote = "maybe";
    expect(await second.commit(signal)).toBe("two-phase");
    expect(await ids("b", "id = 4")).toEqual([4]);
  });

  test.each([A, B, C])(
    "rolls back everywhere when database %s refuses at the end",
    async (refusing) => {
      await using proxy = openProxy();
      const transaction = proxy.begin();
      for (const name of NAMES) await write(transaction, name, "INSERT INTO t VALUES (10)");
      const { connection } = await transaction.join(refusing, signal);
      await connection.query(
        "SET CONSTRAINTS late DEFERRED; ALTER TABLE t DROP CONSTRAINT t_pkey; INSERT INTO t VALUES (10)",
      );
      const error = await transaction.commit(signal).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(BackendError);
      expect((error as BackendError).fields.C).toBe("23505");
      for (const name of NAMES) expect(await ids(name, "id = 10")).toEqual([]);
      expect(await preparedLeft()).toBe(0);
    },
  );

  test.each([[[A]], [[A, B]]])(
    "of %j is an error where the last of them had failed before",
    async (databases) => {
      await using proxy = openProxy();
      const transaction = proxy.begin();
      for (const name of databases) await write(transaction, name, "INSERT INTO t VALUES (15)");
      const { connection } = await transaction.join(databases.at(-1) ?? A, signal);
      await connection.query("SELECT 1/0").catch(() => undefined);
      await expect(transaction.commit(signal)).rejects.toMatchObject({
        id: "transaction_aborted",
        sqlstate: "40000",
        hint: "Retry the transaction.",
      });
      for (const name of databases) expect(await ids(name, "id = 15")).toEqual([]);
      expect(await preparedLeft()).toBe(0);
    },
  );

  test("is in doubt, and said to be, when the deciding connection is lost", async () => {
    await using proxy = openProxy();
    // The first one asks whether the record's table is there: a loss then decides nothing.
    const first = proxy.begin();
    for (const name of [A, B]) await write(first, name, "INSERT INTO t VALUES (21)");
    await first.commit(signal);
    const transaction = proxy.begin();
    const coordinator = await write(transaction, A, "INSERT INTO t VALUES (20)");
    await write(transaction, B, "INSERT INTO t VALUES (20)");
    const committing = transaction.commit(signal).catch((thrown: unknown) => thrown);
    coordinator.connection.destroy();
    expect(((await committing) as SqlError).id).toBe("transaction_in_doubt");
    await expect.poll(() => recoverAll(proxy), { timeout: 15_000, interval: 500 }).toBe(0);
    const [inA, inB] = [await ids("a", "id = 20"), await ids("b", "id = 20")];
    expect(inA).toEqual(inB);
  });
});

async function recoverAll({ inDoubt }: ReturnType<typeof openProxy>): Promise<number> {
  for (const name of NAMES) await inDoubt.recover(name, signal);
  return preparedLeft();
}

describe("recovery by another proxy", () => {
  test.each([
    { record: "committed", expected: [30] },
    { record: "missing", expected: [] },
  ])("with the record $record", async ({ record, expected }) => {
    const transaction = { id: `gone-${record}`, coordinator: A };
    await server.query("a", CREATE_COMMIT_RECORD);
    if (record === "committed") {
      await server.query(
        "a",
        `INSERT INTO colonnade.commit_record VALUES ('${transaction.id}', true)`,
      );
    }
    const client = await server.connect("b");
    await client.query(`BEGIN; DELETE FROM t WHERE id = 30; INSERT INTO t VALUES (30)`);
    await client.query(`PREPARE TRANSACTION '${preparedName(transaction, B)}'`);
    await client.end();

    await using proxy = openProxy();
    await expect.poll(() => recoverAll(proxy), { timeout: 15_000, interval: 500 }).toBe(0);
    expect(await ids("b", "id = 30")).toEqual(expected);
    await server.query("b", "DELETE FROM t WHERE id = 30");
  });

  test("shuts out a coordinator that comes back after the decision", async () => {
    const transaction = { id: "slow", coordinator: A };
    const slow = await server.connect("a");
    await slow.query("BEGIN; INSERT INTO t VALUES (40)");
    const participant = await server.connect("b");
    await participant.query("BEGIN; INSERT INTO t VALUES (40)");
    await participant.query(`PREPARE TRANSACTION '${preparedName(transaction, B)}'`);
    await participant.end();

    await using proxy = openProxy();
    await expect.poll(() => recoverAll(proxy), { timeout: 15_000, interval: 500 }).toBe(0);
    await expect(
      slow.query("INSERT INTO colonnade.commit_record VALUES ('slow', true)"),
    ).rejects.toMatchObject({ code: "23505" });
    await slow.end();
    expect(await ids("b", "id = 40")).toEqual([]);
  });

  test("waits for a coordinator that is committing", async () => {
    const transaction = { id: "committing", coordinator: A };
    const coordinator = await server.connect("a");
    await coordinator.query("BEGIN; INSERT INTO t VALUES (50)");
    await coordinator.query("INSERT INTO colonnade.commit_record VALUES ('committing', true)");
    const participant = await server.connect("b");
    await participant.query("BEGIN; INSERT INTO t VALUES (50)");
    await participant.query(`PREPARE TRANSACTION '${preparedName(transaction, B)}'`);
    await participant.end();

    await using proxy = openProxy();
    const undecided = async () =>
      (await proxy.inDoubt.recover(B, signal)).map(({ outcome }) => outcome);
    await expect.poll(undecided, { timeout: 15_000, interval: 500 }).toEqual(["undecided"]);
    await coordinator.query("COMMIT");
    await coordinator.end();
    await expect.poll(() => recoverAll(proxy), { timeout: 15_000, interval: 500 }).toBe(0);
    expect(await ids("b", "id = 50")).toEqual([50]);
  });

  test("leaves prepared transactions of others alone", async () => {
    const client = await server.connect("b");
    await client.query("BEGIN; INSERT INTO t VALUES (60); PREPARE TRANSACTION 'somebody else''s'");
    await client.query("BEGIN; INSERT INTO t VALUES (61); PREPARE TRANSACTION 'colonnade:1:%zz:b'");
    await using proxy = openProxy();
    await new Promise((resolve) => setTimeout(resolve, 3500));
    expect(await proxy.inDoubt.recover(B, signal)).toEqual([
      { preparedName: "colonnade:1:%zz:b", outcome: "undecided" },
    ]);
    await client.query("ROLLBACK PREPARED 'somebody else''s'");
    await client.query("ROLLBACK PREPARED 'colonnade:1:%zz:b'");
    await client.end();
  });
});

test("a database with an unfinished commit is finished before a session reads it", async () => {
  await using proxy = openProxy();
  const transaction = { id: "unfinished", coordinator: A };
  const client = await server.connect("b");
  await client.query("BEGIN; INSERT INTO t VALUES (70)");
  await client.query(`PREPARE TRANSACTION '${preparedName(transaction, B)}'`);
  await client.end();
  await proxy.inDoubt.addUnfinished({ transaction, participant: B });

  const connection = await proxy.session.acquire(B, signal);
  expect((await connection.query("SELECT id FROM t WHERE id = 70")).rows).toEqual([["70"]]);
  proxy.session.release(connection);
  expect(proxy.inDoubt.hasUnfinished(B)).toBe(false);
});

test("a server that cannot prepare transactions is named, with the remedy", async () => {
  await using without = await startPostgres({
    databases: NAMES,
    settings: { max_prepared_transactions: "0" },
  });
  for (const name of NAMES) await without.query(name, "CREATE TABLE t (id int)");
  await using proxy = openProxy(without);
  const transaction = proxy.begin();
  await write(transaction, A, "INSERT INTO t VALUES (1)");
  await write(transaction, B, "INSERT INTO t VALUES (1)");
  const error = (await transaction.commit(signal).catch((thrown: unknown) => thrown)) as SqlError;
  expect(error.id).toBe("prepared_transactions_disabled");
  expect(error.message).toContain('database "b"');
  expect(error.hint).toContain("max_prepared_transactions");
  expect(await ids("a", "true", without)).toEqual([]);
});

describe("savepoints and settings", () => {
  test("reach a database that joins later", async () => {
    await using proxy = openProxy();
    const transaction = proxy.begin();
    await write(transaction, A, "INSERT INTO t VALUES (80)");
    transaction.addSetting("SET LOCAL work_mem = '3MB'", false);
    await transaction.savepoint("s");
    const late = await write(transaction, B, "INSERT INTO t VALUES (80)");
    expect((await late.connection.query("SHOW work_mem")).rows).toEqual([["3MB"]]);
    await transaction.rollbackTo("s");
    await transaction.commit(signal);
    expect(await ids("a", "id = 80")).toEqual([80]);
    expect(await ids("b", "id = 80")).toEqual([]);
  });

  test("a second database is refused where one snapshot was promised", async () => {
    await using proxy = openProxy();
    const transaction = proxy.begin();
    await transaction.changeModes({ ...NO_MODES, isolation: "repeatable read" });
    await transaction.join(A, signal);
    await expect(transaction.join(B, signal)).rejects.toMatchObject({
      id: "snapshot_over_databases",
    });
    await transaction.rollback();
  });
});
