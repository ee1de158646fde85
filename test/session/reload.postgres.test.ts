/** A map that is read again moves no rows: one that would lose sight of some is refused. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { createLog } from "../../base/log.ts";
import { Metrics } from "../../base/metrics.ts";
import { DEFAULT_CONFIG } from "../../proxy/config/config.ts";
import { startProxy } from "../../proxy/main.ts";
import type { RunningProxy } from "../../proxy/running-proxy.ts";
import { parseShardMap } from "../../shardmap/schema.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";

let server: TestPostgres;
let proxy: RunningProxy;

function map(change: (text: string) => string = (text) => text): ShardMap {
  const text = change(`
version: 2
catalog: main
databases:
  main: { primary: ${server.url("main")} }
  other: { primary: ${server.url("other")} }
colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: 2
    tables: { users: id }
    placements:
      - { shards: 0, database: main }
      - { shards: 1, database: other }
`);
  const parsed = parseShardMap(text, "map.yaml");
  if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
  return parsed.map;
}

beforeAll(async () => {
  server = await startPostgres({ databases: ["main", "other"] });
  for (const name of ["main", "other"]) {
    await server.query(name, "CREATE TABLE users (id bigint PRIMARY KEY)");
  }
  await server.query("main", "CREATE TABLE notes (id int)");
  proxy = await startProxy({
    version: "0.0.0",
    map: map(),
    config: DEFAULT_CONFIG,
    port: 0,
    adminPort: 0,
    log: createLog("fatal"),
    metrics: new Metrics(),
  });
});

afterAll(async () => {
  await proxy.close();
  await server.stop();
});

test("with another table and a higher version is taken", async () => {
  await proxy.reload(map((text) => text.replace("version: 2", "version: 3")));
  await proxy.reload(
    map((text) =>
      text
        .replace("version: 2", "version: 4")
        .replace("{ users: id }", "{ users: id, orders: id }"),
    ),
  );
});

test("with a lower version is refused", async () => {
  const lower = map((text) => text.replace("version: 2", "version: 1"));
  await expect(proxy.reload(lower)).rejects.toMatchObject({
    id: "map_version_lower",
    sqlstate: "F0000",
  });
});

test("with placements that change places is refused", async () => {
  const swapped = map((text) =>
    text
      .replace("version: 2", "version: 9")
      .replace("{ users: id }", "{ users: id, orders: id }")
      .replace("shards: 0,", "shards: X,")
      .replace("shards: 1,", "shards: 0,")
      .replace("shards: X,", "shards: 1,"),
  );
  await expect(proxy.reload(swapped)).rejects.toMatchObject({
    id: "map_leaves_rows",
    detail: expect.stringContaining('table "users" would have its logical shard 0') as string,
  });
});

test("that no longer lists a table is refused, whether or not the proxy has seen the table yet", async () => {
  const unlisted = map((text) => text.replace("version: 2", "version: 9"));
  await expect(proxy.reload(unlisted)).rejects.toMatchObject({
    id: "map_leaves_rows",
    detail: 'table "orders" is no longer listed',
  });
});

test("that lists a table of the catalog database is refused", async () => {
  const listed = map((text) =>
    text
      .replace("version: 2", "version: 9")
      .replace("{ users: id }", "{ users: id, orders: id, notes: id }"),
  );
  await expect(proxy.reload(listed)).rejects.toMatchObject({ id: "map_leaves_rows" });
});
