/** Reading, writing, stopping and losing a connection to a real server. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { setTimeout as sleep } from "node:timers/promises";
import { databaseName } from "../../base/ids.ts";
import {
  BACKEND_READ_AHEAD_BYTES,
  BACKEND_UNSENT_BYTES,
  CONTROL_ANSWER_BYTES_MAX,
} from "../../base/limits.ts";
import { parseBackendAddress } from "../../proxy/backend/backend-address.ts";
import { BackendConnection, BackendError } from "../../proxy/backend/backend-connection.ts";
import { decodeErrorResponse } from "../../proxy/protocol/backend/error-response.ts";
import { runBody } from "../../proxy/protocol/backend-run-reader.ts";
import { encodeToBuffer } from "../../proxy/protocol/frame-writer.ts";
import { encodeCopyData } from "../../proxy/protocol/frontend/copy-data.ts";
import { encodeCopyDone } from "../../proxy/protocol/frontend/copy-done.ts";
import { encodeQuery } from "../../proxy/protocol/frontend/query.ts";
import { BACKEND_TYPE } from "../../proxy/protocol/message-type.ts";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";

const NAME = databaseName("users0");

let server: TestPostgres;
let connection: BackendConnection;

beforeAll(async () => {
  server = await startPostgres();
});

afterAll(async () => {
  connection.destroy();
  await server.stop();
});

beforeEach(async () => {
  connection?.destroy();
  connection = await open();
});

async function open(): Promise<BackendConnection> {
  const address = parseBackendAddress(server.url());
  return await BackendConnection.open(address, { database: NAME, connectTimeoutMs: 5_000 });
}

function sendQuery(sql: string): void {
  connection.expectReady();
  connection.send(encodeToBuffer(encodeQuery, { kind: "query", sql }));
}

/** Types of all runs up to and with the last ReadyForQuery. */
async function receiveAll(): Promise<string> {
  let types = "";
  while (connection.pendingReadyForQuery > 0) {
    types += String.fromCharCode((await connection.receive()).type);
  }
  return types;
}

async function rowsOf(sql: string): Promise<unknown> {
  return (await server.query("postgres", sql)).rows;
}

describe("control statements", () => {
  test("rows as text, the last tag, and an error that leaves the connection ready", async () => {
    expect(await connection.query("SELECT 1, NULL, 'ü'; SELECT 2")).toEqual({
      rows: [["1", null, "ü"], ["2"]],
      tag: "SELECT 1",
    });
    expect(await connection.query("")).toEqual({ rows: [], tag: "" });
    const error = await connection.query("SELECT 1; SELECT 1/0; SELECT 2").catch((e: unknown) => e);
    expect(error).toBeInstanceOf(BackendError);
    expect(error).toMatchObject({ fields: { C: "22012", S: "ERROR" } });
    expect(connection.isClean).toBe(true);
    expect((await connection.query("BEGIN")).tag).toBe("BEGIN");
  });

  test("an answer over the bound is refused, and its connection given up", async () => {
    const rows = Math.ceil(CONTROL_ANSWER_BYTES_MAX / 1_000_000) + 1;
    const sql = `SELECT repeat('x', 1000000) FROM generate_series(1, ${rows})`;
    await expect(connection.query(sql)).rejects.toMatchObject({
      id: "control_answer_too_large",
      sqlstate: "54000",
    });
    expect(connection.isBroken).toBe(true);
  });

  test("the transaction status is that of the last ReadyForQuery", async () => {
    expect(connection.transactionStatus).toBe("idle");
    await connection.query("BEGIN");
    expect(connection.transactionStatus).toBe("inTransaction");
    expect(connection.isClean).toBe(false);
    await connection.query("SELECT 1/0").catch(() => undefined);
    expect(connection.transactionStatus).toBe("failed");
    await connection.query("ROLLBACK");
    expect(connection.isClean).toBe(true);
  });

  test("COPY FROM STDIN does not hang: the connection is given up", async () => {
    await connection.query("CREATE TEMPORARY TABLE t (a integer)");
    await expect(connection.query("COPY t FROM STDIN")).rejects.toThrow("copy nothing in");
    expect(connection.isBroken).toBe(true);
  });

  test("an aborted one destroys the connection, since what it did is unknown", async () => {
    const running = connection.query("SELECT pg_sleep(60)", AbortSignal.timeout(50));
    await expect(running).rejects.toMatchObject({ name: "TimeoutError" });
    expect(connection.isBroken).toBe(true);
  });
});

describe("runs", () => {
  test("pipelined queries are counted down, one ReadyForQuery each", async () => {
    sendQuery("SELECT 1");
    sendQuery("SELECT 1/0");
    sendQuery("SELECT 3");
    expect(connection.pendingReadyForQuery).toBe(3);
    expect(await receiveAll()).toBe("TDCZEZTDCZ");
    expect(connection.pendingReadyForQuery).toBe(0);
  });

  test("notices and notifications come where they belong", async () => {
    await connection.query("LISTEN news");
    sendQuery("DO $$ BEGIN RAISE NOTICE 'hear'; END $$; NOTIFY news, 'x'");
    expect(await receiveAll()).toMatch(/^NCCA?Z/);
    const idle = connection.receive();
    await server.query("postgres", "NOTIFY news, 'y'");
    expect((await idle).type).toBe(BACKEND_TYPE.notificationResponse);
  });

  test("an aborted receive loses nothing", async () => {
    sendQuery("SELECT pg_sleep(0.2), 7");
    const reason = new Error("client left");
    const aborter = new AbortController();
    const receiving = connection.receive(aborter.signal);
    aborter.abort(reason);
    await expect(receiving).rejects.toBe(reason);
    expect(await receiveAll()).toBe("TDCZ");
  });
});

describe("flow", () => {
  test("a result that nobody reads stays with the server, and is whole when read", async () => {
    const rows = 200_000;
    const before = process.memoryUsage().rss;
    sendQuery(`SELECT repeat('x', 1000) FROM generate_series(1, ${rows})`);
    await sleep(1_000);
    expect(process.memoryUsage().rss - before).toBeLessThan(40 * 1024 * 1024);
    expect(
      await rowsOf(`SELECT wait_event FROM pg_stat_activity WHERE pid = ${connection.processId}`),
    ).toEqual([{ wait_event: "ClientWrite" }]);
    let count = 0;
    let peak = 0;
    while (connection.pendingReadyForQuery > 0) {
      const run = connection.tryReceive() ?? (await connection.receive());
      if (run.type === BACKEND_TYPE.dataRow) count += run.count;
      if (count % 10_000 < run.count) {
        await sleep(1);
        peak = Math.max(peak, process.memoryUsage().rss - before);
      }
    }
    expect(count).toBe(rows);
    expect(peak).toBeLessThan(100 * 1024 * 1024);
  });

  test("a row larger than the read-ahead arrives", async () => {
    const bytes = 5 * BACKEND_READ_AHEAD_BYTES;
    const { rows } = await connection.query(`SELECT repeat('é', ${bytes / 2}), 1`);
    expect(Buffer.byteLength(rows[0]?.[0] ?? "")).toBe(bytes);
  });

  test("a sender waits for a server that does not read", async () => {
    await connection.query(
      "CREATE TEMPORARY TABLE sink (line text CHECK (pg_sleep(0.05) IS NOT NULL))",
    );
    sendQuery("COPY sink FROM STDIN");
    expect((await connection.receive()).type).toBe(BACKEND_TYPE.copyInResponse);
    const line = encodeToBuffer(encodeCopyData, {
      kind: "copyData",
      data: Buffer.from(`${"x".repeat(65_000)}\n`),
    });
    let sent = 0;
    const deadline = performance.now() + 500;
    while (performance.now() < deadline) {
      connection.send(line);
      sent += line.length;
      await Promise.race([connection.drained(), sleep(100)]);
      if (sent > 64 * BACKEND_UNSENT_BYTES) break;
    }
    expect(sent).toBeLessThan(64 * BACKEND_UNSENT_BYTES);
    connection.send(encodeToBuffer(encodeCopyDone, { kind: "copyDone" }));
    connection.destroy();
  });
});

describe("the end", () => {
  test("cancel stops what runs, and nothing when nothing runs", async () => {
    sendQuery("SELECT pg_sleep(60)");
    await sleep(50);
    await connection.cancel();
    const run = await connection.receive();
    const last = run.type === BACKEND_TYPE.errorResponse ? run : await connection.receive();
    expect(decodeErrorResponse(runBody(last)).fields.C).toBe("57014");
    await receiveAll();
    await connection.cancel();
    await sleep(20);
    expect((await connection.query("SELECT 1")).rows).toEqual([["1"]]);
  });

  test("a terminated backend says so, and the reason is kept", async () => {
    const running = connection.query("SELECT pg_sleep(60)").catch((error: unknown) => error);
    await server.query("postgres", `SELECT pg_terminate_backend(${connection.processId})`);
    const error = await running;
    expect(error).toMatchObject({
      id: "backend_lost",
      sqlstate: "57P01",
      cause: { fields: { C: "57P01" } },
    });
    expect((error as Error).message).toContain('"users0"');
    await expect(connection.receive()).rejects.toMatchObject({ id: "backend_lost" });
    expect(connection.isBroken).toBe(true);
  });

  test("abandon stops the statement on the server, too", async () => {
    const pid = connection.processId;
    sendQuery("SELECT pg_sleep(60)");
    await sleep(50);
    await connection.abandon();
    await expect
      .poll(() => rowsOf(`SELECT pid FROM pg_stat_activity WHERE pid = ${pid}`), { timeout: 5_000 })
      .toEqual([]);
  });

  test("close says goodbye; what was sent before it is done", async () => {
    await server.query("postgres", "CREATE TABLE IF NOT EXISTS written (a integer)");
    sendQuery("INSERT INTO written VALUES (1)");
    connection.close();
    connection.close();
    await connection.ended;
    await expect
      .poll(() => rowsOf("SELECT a FROM written"), { timeout: 5_000 })
      .toEqual([{ a: 1 }]);
  });

  test("refused, unreachable and unknown servers are told apart from the map's view", async () => {
    const at = async (url: string, connectTimeoutMs = 2_000) =>
      await BackendConnection.open(parseBackendAddress(url), {
        database: NAME,
        connectTimeoutMs,
      }).catch((e: unknown) => e);
    expect(await at("postgres://a@127.0.0.1:1/x")).toMatchObject({
      id: "backend_unavailable",
      message: expect.stringMatching(/database "users0": .*ECONNREFUSED/),
      hint: expect.stringContaining("listens"),
    });
    expect(await at("postgres://a@no-such-host.invalid/x")).toMatchObject({
      id: "backend_unavailable",
    });
    expect(await at("postgres://a@/x?host=/nowhere")).toMatchObject({ id: "backend_unavailable" });
  });

  test("a caller's abort while connecting is the caller's reason", async () => {
    const reason = new Error("shutting down");
    const signal = AbortSignal.abort(reason);
    const address = parseBackendAddress(server.url());
    await expect(
      BackendConnection.open(address, { database: NAME, connectTimeoutMs: 1_000, signal }),
    ).rejects.toBe(reason);
  });
});
