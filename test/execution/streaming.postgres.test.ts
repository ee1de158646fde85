/**
 * Answers of any size through a proxy of bounded memory, and servers that stop when enough
 * has come. The proxy is a process of its own, whose memory the system tells.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { startTestProxy } from "../support/proxy.ts";
import type { TestProxy } from "../support/proxy.ts";
import type { RawClient } from "../support/raw-client.ts";
import { queryFrame, startupFrame } from "../support/raw-frames.ts";
import { inFullRun } from "../support/run-mode.ts";

const DATABASES = ["south", "north", "east"];
const ROWS = 30_000;
const MEGABYTES = inFullRun(2_000, 200);
/** All of the process: code, parser and what passes through. */
const RESIDENT_MEGABYTES_MAX = 200;

let server: TestPostgres;
let proxy: TestProxy;

beforeAll(async () => {
  server = await startPostgres({ databases: ["app", ...DATABASES] });
  for (const [index, database] of ["app", ...DATABASES].entries()) {
    await server.query(
      database,
      `CREATE TABLE items (id bigint PRIMARY KEY, wait double precision NOT NULL DEFAULT 0);
       CREATE SCHEMA far; CREATE TABLE far.items (LIKE items INCLUDING ALL)`,
    );
    // By id modulo the number of databases: each merged row comes from another one than the last.
    const rows = `SELECT n FROM generate_series(0, ${ROWS - 1}) AS n WHERE n % ${DATABASES.length} = ${index - 1}`;
    await server.query(database, `INSERT INTO items ${rows}; ANALYZE items`);
  }
  proxy = await startTestProxy(mapOf(server));
}, 120_000);

afterAll(async () => {
  await proxy?.stop();
  await server?.stop();
});

/** The keys lie elsewhere than their hash says, which only a statement with a key would notice. */
function mapOf(postgres: TestPostgres): string {
  const placements = DATABASES.map(
    (name, index) => `      - { shards: ${2 * index}-${2 * index}, database: ${name} }
      - { shards: ${2 * index + 1}-${2 * index + 1}, database: ${name}, schema: far }`,
  );
  return `version: 1
catalog: app
databases:
${["app", ...DATABASES].map((name) => `  ${name}: { primary: "${postgres.url(name)}" }`).join("\n")}
colocations:
  items:
    shard_key: bigint
    function: hash
    logical_shards: ${2 * DATABASES.length}
    tables: { items: id }
    placements:
${placements.join("\n")}
`;
}

/** A socket that reads in bursts with rests between, after one long rest. */
async function readSlowly(sql: string): Promise<{ bytes: number; residentMegabytes: number }> {
  const socket = net.connect({ host: proxy.host, port: proxy.port });
  let bytes = 0;
  let sinceRest = 0;
  let residentMegabytes = 0;
  let last: Buffer = Buffer.alloc(0);
  const ready = (): Promise<void> =>
    new Promise((resolve, reject) => {
      socket.once("error", reject);
      socket.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        sinceRest += chunk.length;
        last = Buffer.concat([last, chunk]).subarray(-READY_FOR_QUERY.length);
        if (last.equals(READY_FOR_QUERY)) resolve();
        if (sinceRest < BURST_BYTES) return;
        sinceRest = 0;
        socket.pause();
        residentMegabytes = Math.max(residentMegabytes, residentMegabytesOf(proxy));
        setTimeout(() => socket.resume(), REST_MS);
      });
      socket.resume();
    });
  try {
    await once(socket, "connect");
    socket.write(startupFrame({ user: "postgres", database: "app" }));
    await ready();
    socket.removeAllListeners("data").pause();
    [bytes, last] = [0, Buffer.alloc(0)];
    socket.write(queryFrame(sql));
    await sleep(FIRST_REST_MS);
    residentMegabytes = residentMegabytesOf(proxy);
    await ready();
    return { bytes, residentMegabytes };
  } finally {
    socket.destroy();
  }
}

const READY_FOR_QUERY = Buffer.from("Z\0\0\0\x05I", "latin1");
const BURST_BYTES = 4_000_000;
const REST_MS = 10;
const FIRST_REST_MS = 1_000;

function residentMegabytesOf({ pid }: TestProxy): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

describe.skipIf(process.platform !== "linux")("memory", () => {
  const width = Math.floor((MEGABYTES * 1_000_000) / ROWS);

  test.each([
    ["rows in any order", ""],
    ["merged rows", "ORDER BY id"],
    ["merged rows without their hidden column", "ORDER BY -id"],
  ])(
    `${MEGABYTES} MB of %s for a slow client`,
    async (_, order) => {
      const sql = `SELECT id, repeat('x', ${width}) FROM items ${order}`;
      const { bytes, residentMegabytes } = await readSlowly(sql);
      expect(bytes).toBeGreaterThan(MEGABYTES * 1_000_000);
      expect(residentMegabytes).toBeLessThan(RESIDENT_MEGABYTES_MAX);
    },
    inFullRun(600_000, 120_000),
  );
});

describe("a satisfied LIMIT", () => {
  const STOPPED_WITHIN_MS = 100;
  const TIMES = 5;
  /** Only the rows of `south` come without waiting. */
  const FIRST_ROWS =
    "SELECT id FROM items WHERE pg_sleep(CASE WHEN id % 3 = 0 THEN 0 ELSE 60 END) IS NOT NULL LIMIT 5";

  let client: RawClient;
  let watcher: pg.Client;

  beforeAll(async () => {
    client = await proxy.connect();
    watcher = await server.connect();
  });

  afterAll(async () => {
    await client.close();
    await watcher.end();
  });

  async function sleepingServers(): Promise<number> {
    const { rows } = await watcher.query<{ readonly n: number }>(
      "SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
    );
    return rows[0]?.n ?? 0;
  }

  /** Milliseconds from the client's last row until no server is at work for it. */
  async function msUntilStopped(): Promise<number> {
    client.write(queryFrame(FIRST_ROWS));
    const types: string[] = [];
    while (types.at(-1) !== "C") types.push((await client.receive()).type);
    const answered = performance.now();
    expect(types).toEqual(["T", "D", "D", "D", "D", "D", "C"]);
    while ((await sleepingServers()) > 0) expect(performance.now() - answered).toBeLessThan(10_000);
    const stopped = performance.now();
    expect((await client.receive()).type).toBe("Z");
    return stopped - answered;
  }

  test("stops the other servers within 100 ms", async () => {
    const times: number[] = [];
    for (let time = 0; time < TIMES; time++) times.push(await msUntilStopped());
    // What else the machine does can make one of them late.
    const usual = times.toSorted((a, b) => a - b)[Math.floor(TIMES / 2)];
    expect(usual).toBeLessThan(STOPPED_WITHIN_MS);
  }, 60_000);

  test("leaves the servers' connections as they were", async () => {
    await msUntilStopped();
    expect(await client.query("SELECT count(*) FROM items")).toEqual([[String(ROWS)]]);
  });

  test("was needed: without it the others go on", async () => {
    client.write(queryFrame(FIRST_ROWS.replace("LIMIT 5", "")));
    while ((await sleepingServers()) < 2);
    await sleep(2 * STOPPED_WITHIN_MS);
    expect(await sleepingServers()).toBe(2);
    client.destroy();
    client = await proxy.connect();
    while ((await sleepingServers()) > 0);
  }, 30_000);
});
