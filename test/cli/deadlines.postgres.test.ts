/** Servers that take a command's question and never answer it. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { withControl } from "../../cli/control-access.ts";
import { askDatabases } from "../../cli/live-databases.ts";
import { CONTROL_ANSWER_TIMEOUT_MS } from "../../base/limits.ts";
import { parseShardMap } from "../../shardmap/schema.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

let server: TestPostgres;

beforeAll(async () => {
  server = await startPostgres();
});

afterAll(async () => {
  await server.stop();
});

test("a database that is busy is asked no more, what it did is stopped, and its name is told", async () => {
  const parsed = parseShardMap(
    `{ version: 1, catalog: main, databases: { main: { primary: "${server.url("postgres")}" } } }`,
    "map.yaml",
  );
  if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
  const { map } = parsed;
  const ask = async (sql: string): Promise<readonly unknown[]> =>
    await askDatabases(
      map,
      [sql],
      () => map.catalog,
      async (connection, text) => (await connection.query(text)).rows,
      500,
    );
  await expect(ask("SELECT pg_sleep(3600)")).rejects.toThrow(
    "database main has not answered within 0.5 s, and was asked no more. See in pg_stat_activity",
  );
  await expect
    .poll(() => ask("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%(3600)'"))
    .toEqual([[["0"]]]);
});

test("a control schema whose server is frozen holds up no command", async () => {
  const began = performance.now();
  const asking = withControl(
    { control: server.url("postgres") },
    async (database) => {
      const { processId } = database.connection;
      process.kill(processId, "SIGSTOP");
      try {
        await database.query("SELECT 1");
      } finally {
        process.kill(processId, "SIGCONT");
      }
    },
    { mayBeMissing: true },
  );
  await expect(asking).rejects.toThrow(
    /^the control schema's database has not answered within 15 s\. The address is .* Whether it did what it was asked is not known\. Look at/,
  );
  expect(performance.now() - began).toBeGreaterThanOrEqual(CONTROL_ANSWER_TIMEOUT_MS - 100);
});
