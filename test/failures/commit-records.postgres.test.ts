/**
 * How long a commit record is kept: as long as somebody can ask for it, and no longer. And that it
 * is on disk when it is acted upon, whatever the client says of its own commits.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { databaseName } from "../../base/ids.ts";
import { COMMIT_RECORDS_FORGOTTEN_AT_ONCE } from "../../base/limits.ts";
import { parseBackendAddress } from "../../proxy/backend/backend-address.ts";
import { Backends } from "../../proxy/backend/backends.ts";
import { CREATE_COMMIT_RECORD, preparedName } from "../../proxy/execution/commit-record.ts";
import { InDoubt } from "../../proxy/execution/in-doubt.ts";
import { startTestProxy } from "../support/proxy.ts";
import { KEYS, startThreeDatabases } from "./three-databases.ts";
import type { ThreeDatabases } from "./three-databases.ts";

const [A, B] = ["a", "b"].map(databaseName) as [
  ReturnType<typeof databaseName>,
  ReturnType<typeof databaseName>,
];
const signal = new AbortController().signal;

let databases: ThreeDatabases;
let backends: Backends;
let inDoubt: InDoubt;

beforeAll(async () => {
  // What is not flushed at once stays in memory until the server is killed.
  databases = await startThreeDatabases({ wal_writer_delay: "10s" });
  const addresses = new Map(
    ([A, B] as const).map((name) => [
      name,
      parseBackendAddress(databases.serverOf(name as "a" | "b").url(name)),
    ]),
  );
  backends = new Backends(addresses, { pool: {}, drainMs: 1_000 });
  inDoubt = new InDoubt(backends);
  await databases.first.query("a", CREATE_COMMIT_RECORD);
});
afterAll(async () => {
  await backends?.close();
  await databases?.[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await databases.reset();
  await databases.first.query("a", "TRUNCATE colonnade.commit_record");
});

async function addRecord(
  id: string,
  committed: boolean,
  ageSeconds: number,
  participants = "{b}",
): Promise<void> {
  await databases.first.query(
    "a",
    `INSERT INTO colonnade.commit_record (transaction, committed, decided_at, participants)
     VALUES ($1, $2, clock_timestamp() - $3 * interval '1 second', $4::text[])`,
    [id, committed, ageSeconds, participants],
  );
}

async function sweep(): Promise<readonly unknown[]> {
  await inDoubt.sweepRecords(A, signal);
  const sql = "SELECT transaction FROM colonnade.commit_record ORDER BY 1";
  const { rows } = await databases.first.query("a", sql);
  return rows.map(({ transaction }) => transaction);
}

describe("the record of a commit", () => {
  test("goes when no part is prepared any more, and stays while one is", async () => {
    await addRecord("over", true, 60);
    await addRecord("open", true, 60);
    await addRecord("young", true, 0);
    const part = preparedName({ id: "open", coordinator: A }, B);
    const client = await databases.second.connect("b");
    await client.query(`BEGIN; UPDATE items SET note = 'new'; PREPARE TRANSACTION '${part}'`);
    expect(await sweep()).toEqual(["open", "young"]);
    await client.query(`COMMIT PREPARED '${part}'`);
    await client.end();
    expect(await sweep()).toEqual(["young"]);
  });

  test("stays while a participant cannot be asked", async () => {
    await addRecord("of a database the map has lost", true, 60, "{b,gone}");
    await addRecord("of nobody knows whom", true, 60, "{}");
    expect(await sweep()).toHaveLength(2);
  });

  test("goes in rounds where there are many", async () => {
    const count = COMMIT_RECORDS_FORGOTTEN_AT_ONCE + 10;
    await databases.first.query(
      "a",
      `INSERT INTO colonnade.commit_record SELECT 'many ' || n, true, now() - interval '1 hour', '{b}'
       FROM generate_series(1, ${count}) AS n`,
    );
    expect(await sweep()).toHaveLength(10);
    expect(await sweep()).toEqual([]);
  });
});

describe("the record of a decision against a commit", () => {
  test("stays while a transaction is open that began before it", async () => {
    await addRecord("over", false, 3_600);
    await addRecord("just now", false, 0);
    const slow = await databases.first.connect("a");
    await slow.query("BEGIN; SELECT 1");
    await sleep(1_000);
    await addRecord("slow", false, 10.5);
    expect(await sweep()).toEqual(["just now", "slow"]);
    await slow.query("COMMIT");
    expect(await sweep()).toEqual(["just now"]);
    await slow.end();
  });

  test("stays while somebody is connected of whom nothing may be seen", async () => {
    await databases.first.query("a", "CREATE ROLE modest LOGIN; CREATE ROLE other LOGIN");
    await databases.first.query(
      "a",
      "GRANT USAGE ON SCHEMA colonnade TO modest; GRANT ALL ON colonnade.commit_record TO modest",
    );
    const url = databases.first.url("a", "modest");
    const modest = new Backends(new Map([[A, parseBackendAddress(url)]]), {
      pool: {},
      drainMs: 1_000,
    });
    const other = await databases.first.connect("a", { user: "other" });
    const seeing = await databases.first.connect("a", { user: "modest" });
    try {
      await backends.close();
      await addRecord("seen by few", false, 3_600);
      const left = async (): Promise<number> => {
        await new InDoubt(modest).sweepRecords(A, signal);
        return (await seeing.query("TABLE colonnade.commit_record")).rows.length;
      };
      expect(await left()).toBe(1);
      await other.end();
      await expect.poll(left, { timeout: 5_000 }).toBe(0);
    } finally {
      await other.end().catch(() => undefined);
      await seeing.end();
      await modest.close();
    }
  });
});

test("a commit over several databases outlives a crash, though the client waits for no disk", async () => {
  await using proxy = await startTestProxy(databases.map("gated"));
  const client = await proxy.connect();
  await client.query("UPDATE items SET note = 'older'");
  await client.query("SET synchronous_commit = off");
  await client.query("BEGIN; UPDATE items SET note = 'new'");
  const held = databases.gates.first.stop("answer", "INSERT INTO colonnade.commit_record");
  const committing = client.query("COMMIT").catch(() => undefined);
  await held.reached;
  // The others commit by the record that the server has just said it has.
  held.release();
  await committing;
  await databases.first.kill9();
  await databases.first.restart();
  expect(await databases.notes()).toEqual(["new", "new", "new"]);

  await client.query("SELECT 1").catch(() => undefined);
  const next = await proxy.connect();
  // Of one database's own commits the client may still say that they need no disk.
  await next.query("SET synchronous_commit = off");
  await next.query(`UPDATE items SET note = 'newest' WHERE id = ${KEYS.b}`);
  expect(await next.query("SHOW synchronous_commit")).toEqual([["off"]]);
  await next.close();
});
