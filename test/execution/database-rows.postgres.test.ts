/** Reading one database's part of a statement, over a connection to a real server. */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { databaseName } from "../../base/ids.ts";
import { parseBackendAddress } from "../../proxy/backend/backend-address.ts";
import { BackendConnection } from "../../proxy/backend/backend-connection.ts";
import { DatabaseRows } from "../../proxy/execution/database-rows.ts";
import { plainRequest } from "../../proxy/execution/fragment-request.ts";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";

let server: TestPostgres;
let connection: BackendConnection;

beforeAll(async () => {
  server = await startPostgres();
  connection = await BackendConnection.open(parseBackendAddress(server.url()), {
    database: databaseName("users0"),
    connectTimeoutMs: 5_000,
  });
});

afterAll(async () => {
  connection.destroy();
  await server.stop();
});

function reading(...statements: readonly string[]): DatabaseRows {
  const fragments = statements.map((sql, index) => ({
    placementId: `p${index}`,
    request: plainRequest(sql),
    rowIndexes: undefined,
  }));
  return new DatabaseRows(connection, fragments, () => undefined);
}

test("a later fragment may be asked first; the rows of the earlier one wait", async () => {
  const rows = reading("SELECT generate_series(1, 3)", "SELECT 4");
  const [first, second] = rows.results;
  expect((await second?.next())?.count).toBe(1);
  expect((await first?.next())?.count).toBe(3);
  await rows.finish();
  expect(rows.results.map(({ tag }) => tag)).toEqual(["SELECT 3", "SELECT 1"]);
});

test("what is abandoned is cancelled on the server", async () => {
  const rows = reading("SELECT pg_sleep(60)");
  rows.start();
  const began = performance.now();
  await rows.abandon(true);
  expect(performance.now() - began).toBeLessThan(30_000);
  expect(await rows.results[0]?.next()).toBeUndefined();
  expect((await connection.query("SELECT 'ready'")).rows).toEqual([["ready"]]);
});

test("what is abandoned before it began does not begin, and who asks for it is told", async () => {
  const rows = reading("SELECT 1");
  await rows.abandon(true);
  expect(await rows.results[0]?.next()).toBeUndefined();
  await expect(rows.results[0]?.columns()).rejects.toMatchObject({
    id: "statement_stopped",
    sqlstate: "57014",
  });
  expect(connection.pendingReadyForQuery).toBe(0);
});

test("a server that has said all is not asked to stop", async () => {
  const cancel = vi.spyOn(connection, "cancel");
  const rows = reading("SELECT generate_series(1, 1000)");
  await rows.results[0]?.next();
  await rows.abandon(true);
  expect(connection.pendingReadyForQuery).toBe(0);
  expect(cancel).not.toHaveBeenCalled();
  cancel.mockRestore();
});
