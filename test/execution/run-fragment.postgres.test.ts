/** One fragment on one real backend: what stays prepared there, and what a client is told of. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { databaseName } from "../../base/ids.ts";
import { plainSql } from "../../planner/sql-template.ts";
import { parseBackendAddress } from "../../proxy/backend/backend-address.ts";
import { BackendConnection } from "../../proxy/backend/backend-connection.ts";
import { plainRequest } from "../../proxy/execution/fragment-request.ts";
import type { FragmentRequest } from "../../proxy/execution/fragment-request.ts";
import { runFragment } from "../../proxy/execution/run-fragment.ts";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";

let server: TestPostgres;
let connection: BackendConnection;

beforeAll(async () => {
  server = await startPostgres({ databases: ["app"] });
  await server.query(
    "app",
    "CREATE TABLE notes (id int PRIMARY KEY); INSERT INTO notes VALUES (1)",
  );
  connection = await BackendConnection.open(parseBackendAddress(server.url("app")), {
    database: databaseName("app"),
    connectTimeoutMs: 5_000,
  });
});

afterAll(async () => {
  connection.destroy();
  await server.stop();
});

function kept(sql: string): FragmentRequest {
  return {
    ...plainRequest(sql),
    rendered: plainSql(sql),
    protocol: {
      kind: "extended",
      parameters: [{ typeOid: 23, format: "text", value: Buffer.from("1") }],
      resultFormats: [],
      keepPrepared: true,
      onBound: () => undefined,
    },
    parameterTypes: [23],
  };
}

async function run(request: FragmentRequest): Promise<void> {
  for await (const event of runFragment(connection, request)) if (event.kind === "complete") return;
}

test("a statement that fails when it runs is prepared once", async () => {
  const failing = kept("INSERT INTO notes VALUES ($1)");
  for (let time = 0; time < 20; time += 1) {
    await expect(run(failing)).rejects.toMatchObject({ fields: { C: "23505" } });
  }
  const held = "SELECT count(*) FROM pg_prepared_statements";
  expect((await connection.query(held)).rows).toEqual([["1"]]);
});
