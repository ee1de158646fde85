/** What a proxy takes of the machine while no text is one that it knows. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { startTestProxy, type TestProxy } from "../support/proxy.ts";

const CLIENTS = 8;
const STATEMENTS = 6_000;
/** Without bounds it is near 300 MB, and grows on with the statements. */
const RESIDENT_MB_MAX = 250;

/** Half of it is Node's own program. Without what the start gives back it is 150. */
const STARTED_MB_MAX = 140;

let server: TestPostgres;
let proxy: TestProxy;

beforeAll(async () => {
  server = await startPostgres({ databases: ["app"] });
  await server.query("app", "CREATE TABLE items (owner bigint, id bigint, name text)");
  proxy = await startTestProxy(`version: 1
catalog: app
databases: { app: { primary: "${server.url("app")}" } }
colocations:
  owners: { shard_key: bigint, function: hash, logical_shards: 8, tables: { items: owner }, placements: [{ shards: 0-7, database: app }] }
`);
});

afterAll(async () => {
  await proxy?.stop();
  await server?.stop();
});

test("what the start alone needed is given back", () => {
  expect(memoryMb(proxy.pid, "VmRSS")).toBeLessThan(STARTED_MB_MAX);
});

test("garbage of statements that are planned one by one does not pile up", async () => {
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => proxy.connect()));
  let next = 0;
  await Promise.all(
    clients.map(async (client) => {
      while (next < STATEMENTS) {
        const key = ++next;
        // A key that stands twice in its text: each text is planned by itself.
        const rows = await client.query(
          `SELECT a.name, b.name FROM items a JOIN items b ON b.owner = a.owner WHERE a.owner = ${key} AND a.id = ${key} ORDER BY a.name LIMIT 10`,
        );
        expect(rows).toEqual([]);
      }
    }),
  );
  expect(memoryMb(proxy.pid, "VmHWM")).toBeLessThan(RESIDENT_MB_MAX);
  for (const client of clients) await client.close();
});

/** Resident, now or at most. */
function memoryMb(pid: number, field: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const [, kilobytes] = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status) ?? [];
  return Number(kilobytes) / 1024;
}
