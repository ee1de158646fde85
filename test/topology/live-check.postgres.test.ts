/** What `check --live` finds on real servers that differ from the map and from each other. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { databaseName } from "../../base/ids.ts";
import { parseBackendAddress } from "../../proxy/backend/backend-address.ts";
import { checkLive } from "../../proxy/topology/live-check.ts";
import type { LiveFinding } from "../../proxy/topology/live-check.ts";
import { backendAddresses } from "../../proxy/topology/backend-addresses.ts";
import { parseShardMap } from "../../shardmap/schema.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";

const TABLES = `
  CREATE TYPE mood AS ENUM ('sad', 'happy');
  CREATE TABLE users (id bigint PRIMARY KEY, name varchar(80) NOT NULL, mood mood);
  CREATE TABLE orders (user_id bigint NOT NULL, number integer NOT NULL, total numeric(10,2) DEFAULT 0,
    PRIMARY KEY (user_id, number));
  CREATE TABLE countries (code text PRIMARY KEY);
  CREATE TABLE invoices (id integer PRIMARY KEY);
`;

const GUARDS = `
  ALTER TABLE users ADD CONSTRAINT colonnade_guard CHECK (true);
  ALTER TABLE orders ADD CONSTRAINT colonnade_guard CHECK (true);
`;

let server: TestPostgres;

beforeAll(async () => {
  server = await startPostgres({
    databases: ["main", "same", "other"],
    settings: { max_prepared_transactions: "10" },
  });
  await server.query("main", TABLES + GUARDS);
  await server.query("same", TABLES + GUARDS);
  await server.query(
    "other",
    `CREATE TYPE mood AS ENUM ('happy', 'sad');
     CREATE TABLE users (id integer PRIMARY KEY, name varchar(90), mood mood);
     CREATE TABLE orders (number integer NOT NULL, user_id bigint NOT NULL, total numeric(10,2));
     CREATE VIEW countries AS SELECT 'at'::text AS code`,
  );
});

afterAll(async () => {
  await server.stop();
});

function mapOf(second: string): ShardMap {
  const url = (name: string): string => `{ primary: "${server.url(name)}" }`;
  const parsed = parseShardMap(
    `version: 1
catalog: main
databases:
  main: ${url("main")}
  same: ${url("same")}
  second: ${second}
colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: 10
    tables: { users: id, orders: user_id }
    placements:
      - { shards: 0-4, database: same }
      - { shards: 5-9, database: second }
groups:
  billing: { database: main, tables: [invoices] }
reference_tables: [countries]
`,
    "test.yaml",
  );
  if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
  return parsed.map;
}

async function findings(map: ShardMap): Promise<readonly LiveFinding[]> {
  return await checkLive(map, backendAddresses(map));
}

function about(all: readonly LiveFinding[], object: string): readonly string[] {
  return all
    .filter((each) => each.object === object)
    .map(({ severity, message }) => `${severity}: ${message}`);
}

describe("databases that are alike", () => {
  test("nothing is found", async () => {
    await server.query("postgres", "DROP DATABASE IF EXISTS twin");
    await server.query("postgres", "CREATE DATABASE twin TEMPLATE same");
    expect(await findings(mapOf(`{ primary: "${server.url("twin")}" }`))).toEqual([]);
  });
});

describe("databases that differ", () => {
  let all: readonly LiveFinding[];

  beforeAll(async () => {
    all = await findings(mapOf(`{ primary: "${server.url("other")}" }`));
  });

  test("only the one that differs is named, and every finding has a remedy", () => {
    expect(new Set(all.map(({ database }) => database))).toEqual(new Set([databaseName("second")]));
    for (const { remedy } of all) expect(remedy).toMatch(/[.;]$/);
  });

  test("types, modifiers and nullability of columns", () => {
    expect(about(all, "public.users.id")).toEqual([
      "error: type is int4, that of the canonical table int8",
    ]);
    expect(about(all, "public.users.name")).toEqual([
      "error: type is varchar with modifier 94, that of the canonical table varchar with modifier 84",
      "warning: NOT NULL is false, that of the canonical table true",
    ]);
  });

  test("the order of an enum's labels", () => {
    expect(about(all, "public.users.mood")).toEqual([
      "error: enum is (happy, sad), that of the canonical table (sad, happy)",
    ]);
  });

  test("columns in another order, missing keys and guards", () => {
    expect(about(all, "public.orders")).toEqual([
      "error: columns are (number, user_id, total), those of the canonical table (user_id, number, total)",
      "error: primary key is (), that of the canonical table (user_id, number)",
      'error: has no unique index on (user_id, number), as "orders_pkey" is for the canonical table',
      "warning: has no guard, so the database itself does not refuse rows of another placement",
    ]);
  });

  test("a guard that was never checked against the rows is not taken for none", async () => {
    await server.query("postgres", "DROP DATABASE IF EXISTS unchecked");
    await server.query("postgres", "CREATE DATABASE unchecked TEMPLATE same");
    await server.query(
      "unchecked",
      `ALTER TABLE users DROP CONSTRAINT colonnade_guard;
       ALTER TABLE users ADD CONSTRAINT colonnade_guard CHECK (true) NOT VALID`,
    );
    const found = await findings(mapOf(`{ primary: "${server.url("unchecked")}" }`));
    expect(about(found, "public.users")).toEqual([
      "warning: has a guard that is NOT VALID: it refuses new rows of another placement, and was never checked against those that are there",
    ]);
    expect(found).toHaveLength(1);
    expect(found[0]?.remedy).toContain("colonnade guard verify");
  });

  test("a view in place of a reference table", () => {
    expect(about(all, "public.countries")[0]).toBe("error: is a view, not a table");
  });
});

describe("the map against the canonical tables", () => {
  test("tables and key columns that do not exist, types that are not the map's", async () => {
    await server.query(
      "main",
      'CREATE TABLE tagged (tag text COLLATE "C", other uuid, UNIQUE (other))',
    );
    const map = mapOf(`{ primary: "${server.url("other")}" }`);
    const [users] = map.colocations.values();
    if (users === undefined) throw new Error("no colocation");
    const add = (name: string, keyColumns: readonly string[]) =>
      [name, { kind: "sharded", name, colocation: users, keyColumns } as const] as const;
    const tables = new Map([
      ...map.tables,
      add("nowhere", ["id"]),
      add("beheaded", ["id"]),
      add("tagged", ["tag"]),
      add("countries", ["absent"]),
    ]);
    await server.query("same", "CREATE TABLE beheaded (id bigint)");
    const all = await findings({ ...map, tables });
    await server.query("same", "DROP TABLE beheaded");
    expect(about(all, "public.beheaded")).toEqual([
      "error: canonical table does not exist, though the table stands in same.public",
    ]);
    expect(about(all, "public.nowhere")).toContain("error: canonical table does not exist");
    expect(about(all, "public.tagged.tag")).toEqual([
      "error: shard key column has type text, the shard map says bigint",
      "warning: shard key column may be NULL, and a row with a NULL key has no placement",
    ]);
    expect(about(all, "public.tagged")[0]).toContain(
      'unique index "tagged_other_key" does not include the shard key',
    );
    expect(about(all, "public.countries.absent")).toEqual([
      "error: shard key column does not exist",
    ]);
  });
});

describe("servers", () => {
  test("one that cannot be reached is a finding, and the others are still compared", async () => {
    const all = await findings(mapOf('{ primary: "postgres://app:secret@127.0.0.1:1/x" }'));
    expect(all).toHaveLength(1);
    expect(all[0]).toMatchObject({ severity: "error", database: "second", object: "server" });
    expect(JSON.stringify(all)).not.toContain("secret");
  });

  test("a role that may make no temporary tables in the catalog database", async () => {
    const map = mapOf(`{ primary: "${server.url("other")}" }`);
    const temporary = async (): Promise<readonly string[]> =>
      about(await findings(map), "temporary tables");
    expect(await temporary()).toEqual([]);
    await server.query(
      "main",
      `CREATE ROLE plain LOGIN; REVOKE TEMPORARY ON DATABASE main FROM PUBLIC;
       GRANT SELECT ON ALL TABLES IN SCHEMA public TO plain`,
    );
    const addresses = new Map(backendAddresses(map));
    const catalog = parseBackendAddress(server.url("main", "plain"));
    const asPlain = await checkLive(map, addresses.set(databaseName("main"), catalog));
    await server.query("main", "GRANT TEMPORARY ON DATABASE main TO PUBLIC");
    expect(about(asPlain, "temporary tables")).toEqual([
      expect.stringMatching(/^warning: the role may not make temporary tables/),
    ]);
    const warning = [
      expect.stringMatching(/^warning: the role of the database's URL may not keep the record/),
    ];
    expect(about(asPlain, "schema colonnade")).toEqual(warning);
    // The schema's rights alone are of no use where another role has made the table.
    await server.query(
      "main",
      `CREATE SCHEMA colonnade; GRANT USAGE, CREATE ON SCHEMA colonnade TO plain;
       CREATE TABLE colonnade.commit_record (transaction text, committed boolean)`,
    );
    expect(about(await checkLive(map, addresses), "schema colonnade")).toEqual(warning);
    await server.query("main", "GRANT SELECT, INSERT, DELETE ON colonnade.commit_record TO plain");
    expect(about(await checkLive(map, addresses), "schema colonnade")).toEqual([]);
    await server.query("main", "DROP SCHEMA colonnade CASCADE");
  });

  test("settings, encoding and default collation", async () => {
    await using own = await startPostgres({ settings: { max_prepared_transactions: "0" } });
    await own.query(
      "postgres",
      "CREATE DATABASE odd TEMPLATE template0 ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C'",
    );
    await own.query("odd", TABLES + GUARDS);
    const all = await findings(mapOf(`{ primary: "${own.url("odd")}" }`));
    expect(about(all, "max_prepared_transactions")[0]).toMatch(
      /^error: max_prepared_transactions is 0/,
    );
    expect(about(all, "encoding")[0]).toMatch(/^error: encoding is LATIN1/);
    expect(about(all, "default collation")[0]).toMatch(/^error: default collation is libc C/);
  });
});
