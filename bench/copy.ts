/**
 * What COPY of much data costs the proxy in memory: rows of about a kilobyte go in through COPY FROM
 * STDIN, each to the one of four databases that its key says, in one transaction over all of them,
 * and come back through COPY TO STDOUT.
 *
 * psql is the client, so that sending and reading are another process' work. The peak is the
 * kernel's (VmHWM), which misses nothing between two looks: Linux alone tells it.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { startPostgres } from "../test/support/postgres.ts";
import { startTestProxy } from "../test/support/proxy.ts";
import type { TestProxy } from "../test/support/proxy.ts";
import type { Measurement } from "./measurement.ts";

const DATABASES = ["copy0", "copy1", "copy2", "copy3"] as const;
const ROW_BYTES = 1_000;
const ROWS_AT_ONCE = 100;
/** Above what the process had at rest: buffers of both directions, and garbage that is not collected yet. */
const GROWTH_MAX_MB = 256;

export async function measureCopy(gigabytes: number): Promise<readonly Measurement[]> {
  await using server = await startPostgres({
    databases: ["home", ...DATABASES],
    settings: { max_wal_size: "2GB" },
  });
  const table = "CREATE TABLE rows (id bigint PRIMARY KEY, body text NOT NULL)";
  for (const name of ["home", ...DATABASES]) await server.query(name, table);
  await using proxy = await startTestProxy(mapOf((name) => server.url(name)));
  // What a first COPY loads is no matter of its size.
  await copyIn(proxy, ROWS_AT_ONCE, -1);
  const restBytes = await peakBytes(proxy);

  const count = Math.ceil((gigabytes * 2 ** 30) / ROW_BYTES / ROWS_AT_ONCE) * ROWS_AT_ONCE;
  const sent = await timed(() => copyIn(proxy, count, 1));
  const inBytes = await peakBytes(proxy);
  const read = await timed(() => copyOut(proxy));
  const outBytes = await peakBytes(proxy);
  if (read.result.bytes !== sent.result.bytes || read.result.sum !== sent.result.sum)
    throw new Error(
      `${JSON.stringify(sent.result)} went in, ${JSON.stringify(read.result)} came out`,
    );

  const megabytes = sent.result.bytes / 2 ** 20;
  const growth = (bytes: number): number => (bytes - restBytes) / 2 ** 20;
  const of = `of ${(megabytes / 1024).toFixed(2)} GB`;
  return [
    {
      name: `COPY FROM STDIN ${of} over four databases`,
      value: megabytes / sent.seconds,
      unit: "MB/s",
    },
    {
      name: `COPY TO STDOUT ${of} over four databases`,
      value: megabytes / read.seconds,
      unit: "MB/s",
    },
    { name: "resident memory of the proxy before", value: restBytes / 2 ** 20, unit: "MB" },
    {
      name: `peak above that, COPY FROM STDIN ${of}`,
      value: growth(inBytes),
      unit: "MB",
      bound: GROWTH_MAX_MB,
    },
    {
      name: `peak above that, and COPY TO STDOUT ${of}`,
      value: growth(outBytes),
      unit: "MB",
      bound: GROWTH_MAX_MB,
    },
  ];
}

/** Whatever order the rows come in, the sum of their bytes is one. */
interface Moved {
  bytes: number;
  sum: number;
}

async function timed<T>(
  run: () => Promise<T>,
): Promise<{ readonly result: T; readonly seconds: number }> {
  const startMs = performance.now();
  const result = await run();
  return { result, seconds: (performance.now() - startMs) / 1_000 };
}

/** Rows with the keys `sign`, 2 `sign`, ... */
async function copyIn(proxy: TestProxy, count: number, sign: 1 | -1): Promise<Moved> {
  const psql = startPsql(proxy, "\\copy rows FROM STDIN");
  const moved: Moved = { bytes: 0, sum: 0 };
  for (let first = 1; first <= count; first += ROWS_AT_ONCE) {
    const rows: string[] = [];
    for (let row = first; row < first + ROWS_AT_ONCE; row++)
      rows.push(`${sign * row}\t`.padEnd(ROW_BYTES - 1, `row ${row} `), "\n");
    const chunk = Buffer.from(rows.join(""));
    add(moved, chunk);
    if (!psql.child.stdin.write(chunk)) await once(psql.child.stdin, "drain");
  }
  psql.child.stdin.end();
  await psql.ended;
  return moved;
}

/** Without the rows of the first, small COPY. */
async function copyOut(proxy: TestProxy): Promise<Moved> {
  const psql = startPsql(proxy, "\\copy (SELECT * FROM rows WHERE id > 0) TO STDOUT");
  psql.child.stdin.end();
  const moved: Moved = { bytes: 0, sum: 0 };
  for await (const chunk of psql.child.stdout) add(moved, chunk as Buffer);
  await psql.ended;
  return moved;
}

function add(moved: Moved, chunk: Buffer): void {
  let { sum } = moved;
  for (let index = 0; index < chunk.length; index++) sum += chunk[index] as number;
  moved.sum = sum;
  moved.bytes += chunk.length;
}

function startPsql(proxy: TestProxy, command: string) {
  const child = spawn("psql", ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", command, proxy.url()], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  // Where psql ends early, its exit says why.
  child.stdin.on("error", () => undefined);
  const ended = once(child, "close").then(([code]) => {
    if (code !== 0) throw new Error(`psql ended with ${String(code)}: ${errors}${proxy.output()}`);
  });
  return { child, ended };
}

async function peakBytes({ pid }: TestProxy): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

function mapOf(url: (name: string) => string): string {
  const databases = DATABASES.map((name) => `  ${name}: { primary: ${url(name)} }`);
  const placements = DATABASES.map(
    (name, index) => `      - { shards: ${index * 8}-${index * 8 + 7}, database: ${name} }`,
  );
  return `
version: 1
catalog: home
databases:
  home: { primary: ${url("home")} }
${databases.join("\n")}
colocations:
  rows:
    shard_key: bigint
    function: hash
    logical_shards: 32
    tables: { rows: id }
    placements:
${placements.join("\n")}
`;
}
