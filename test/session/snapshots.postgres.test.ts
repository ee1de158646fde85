/**
 * REPEATABLE READ and SERIALIZABLE: one database's tables to a transaction, whatever else of the
 * session it asks or sets, and reference tables as that database's snapshot has them.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ServerError } from "../support/raw-client.ts";
import type { RawClient } from "../support/raw-client.ts";
import { startServers } from "./servers.ts";
import type { Servers } from "./servers.ts";

const EAST = "SELECT balance FROM accounts WHERE id = 1";
const WEST = "SELECT balance FROM accounts WHERE id = 101";
const COUNTRIES = "SELECT count(*) FROM countries";

/** None of them takes a snapshot; most run on the catalog database. */
const WITHOUT_SNAPSHOT = [
  "SET LOCAL work_mem = '5MB'",
  "SET work_mem = '5MB'",
  "RESET work_mem",
  "SET LOCAL ROLE NONE",
  "SHOW transaction_isolation",
  "NOTIFY changed",
];

/** Each takes the transaction's snapshot where it is the first, and reads no table. */
const WITHOUT_TABLES = [
  "SELECT 1",
  "SELECT now()",
  "SELECT set_config('work_mem', '5MB', true)",
  "SELECT current_setting('work_mem')",
  "EXPLAIN SELECT 1",
];

let servers: Servers;
let client: RawClient;

beforeAll(async () => {
  servers = await startServers();
});
afterAll(async () => {
  await servers?.[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await servers.reset();
  client = await servers.proxy.connect();
  return () => client.destroy();
});

/** The first field, or the error's SQLSTATE. */
async function told(sql: string): Promise<string | null | undefined> {
  try {
    return (await client.query(sql))[0]?.[0];
  } catch (error) {
    if (error instanceof ServerError) return error.fields["C"];
    throw error;
  }
}

describe.each(["REPEATABLE READ", "SERIALIZABLE", "SERIALIZABLE READ ONLY DEFERRABLE"])(
  "%s",
  (level) => {
    test("what takes no snapshot comes before and after the rows of one database", async () => {
      for (const sql of WITHOUT_SNAPSHOT) {
        await client.query(`BEGIN ISOLATION LEVEL ${level}`);
        await client.query(sql);
        expect([sql, await told(EAST)]).toEqual([sql, "10"]);
        for (const other of [...WITHOUT_SNAPSHOT, ...WITHOUT_TABLES]) await client.query(other);
        expect(await told(EAST)).toBe("10");
        expect(await told(WEST)).toBe("0A000");
        await client.query("ROLLBACK");
      }
    });

    test("a SELECT without a table has taken the snapshot, where it is the first", async () => {
      for (const sql of WITHOUT_TABLES) {
        await client.query(`BEGIN ISOLATION LEVEL ${level}`);
        await client.query(sql);
        expect([sql, await told(EAST)]).toEqual([sql, "0A000"]);
        await client.query("ROLLBACK");
      }
    });
  },
);

describe("REPEATABLE READ", () => {
  beforeEach(() => client.query("BEGIN ISOLATION LEVEL REPEATABLE READ"));

  test("a reference table is read under the snapshot that the transaction has", async () => {
    expect(await told(EAST)).toBe("10");
    const other = await servers.proxy.connect();
    await other.query("INSERT INTO countries VALUES ('ch', 'Switzerland')");
    expect(await other.query(COUNTRIES)).toEqual([["1"]]);
    await other.close();
    expect(await told(COUNTRIES)).toBe("0");
    await client.query("COMMIT");
    expect(await told(COUNTRIES)).toBe("1");
  });

  test("one that was read first has claimed its database", async () => {
    expect(await told(COUNTRIES)).toBe("0");
    expect(await told(EAST)).toBe("0A000");
  });

  test("a database that was used without a snapshot is no exception", async () => {
    expect(await told("SHOW transaction_isolation")).toBe("repeatable read");
    expect(await told(EAST)).toBe("10");
    expect(await told("SELECT count(*) FROM notes")).toBe("0A000");
  });

  test("what commits after the first SELECT is not seen, whatever that read", async () => {
    expect(await told("SELECT 1")).toBe("1");
    const other = await servers.proxy.connect();
    await other.query("INSERT INTO countries VALUES ('at', 'Austria')");
    await other.close();
    expect(await told(COUNTRIES)).toBe("0");
  });

  test("so is one whose claim a savepoint's rollback has undone", async () => {
    await client.query("SAVEPOINT s");
    expect(await told(EAST)).toBe("10");
    await client.query("ROLLBACK TO SAVEPOINT s");
    expect(await told("SELECT 1")).toBe("1");
    expect(await told(WEST)).toBe("0A000");
    await client.query("ROLLBACK TO SAVEPOINT s");
    expect(await told(EAST)).toBe("10");
  });

  test("a write commits with a notification, and under its settings", async () => {
    const listener = await servers.proxy.connect();
    await listener.query("LISTEN changed");
    await client.query("SET LOCAL TimeZone = 'Asia/Tokyo'; SAVEPOINT s");
    await client.query("UPDATE accounts SET balance = 11 WHERE id = 1; NOTIFY changed");
    expect(await told("SHOW TimeZone")).toBe("Asia/Tokyo");
    await client.query("COMMIT");
    expect(await listener.query(EAST)).toEqual([["11"]]);
    await listener.close();
  });

  test("what a function may have read or written counts as a table", async () => {
    expect(await told("SELECT lo_create(0) > 0")).toBe("t");
    expect(await told(EAST)).toBe("0A000");
  });
});
