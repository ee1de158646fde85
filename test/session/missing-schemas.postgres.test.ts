/** Tables that are made through the proxy where a database lacks the schema of a placement. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runCommand } from "../support/command.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { startTestProxy } from "../support/proxy.ts";
import { errorsOf } from "./refusing.ts";
import { query } from "./conversation.ts";

let server: TestPostgres;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "colonnade-schemas-"));
  const settings = { max_prepared_transactions: "10" };
  server = await startPostgres({ databases: ["main", "users0"], settings });
});

afterAll(async () => {
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

function map(): string {
  return `version: 1
catalog: main
databases:
  main: { primary: "${server.url("main")}" }
  users0: { primary: "${server.url("users0")}" }
colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: 4
    tables: { users: id }
    placements:
      - { shards: 0-1, database: users0 }
      - { shards: 2-3, database: users0, schema: far }
groups:
  billing: { database: users0, schema: money, tables: [invoices] }
`;
}

test("the database and the schema are told, by the error and by check --live, and it works once they are there", async () => {
  const path = join(directory, "map.yaml");
  writeFileSync(path, map());
  const checked = await runCommand("check", path, "--live");
  for (const schema of ["far", "money"])
    expect(checked.stdout).toContain(
      `warning: users0: schema ${schema}: does not exist, so no table can be made where the shard map places it. CREATE SCHEMA "${schema}" in this database`,
    );
  await using proxy = await startTestProxy(map());
  const client = await proxy.connect();
  const tables = {
    far: "CREATE TABLE users (id bigint PRIMARY KEY)",
    money: "CREATE TABLE invoices (id bigint PRIMARY KEY)",
  };
  for (const [schema, sql] of Object.entries(tables)) {
    const [error, ...more] = await errorsOf(client, [query(sql)]);
    expect(more).toEqual([]);
    expect(error).toMatchObject({
      C: "3F000",
      M: `schema "${schema}" does not exist`,
      H: `Database "users0" has no schema "${schema}", where the shard map places tables. CREATE SCHEMA "${schema}" there, or correct the map; colonnade check --live names all that are missing.`,
    });
    await server.query("users0", `CREATE SCHEMA ${schema}`);
    await client.query(sql);
  }
  expect((await runCommand("check", path, "--live")).stdout).not.toContain(": schema ");
  const [own] = await errorsOf(client, [query("CREATE TABLE nowhere.things (id bigint)")]);
  expect(own).toMatchObject({ C: "3F000" });
  expect(own).not.toHaveProperty("H");
  await client.close();
});
