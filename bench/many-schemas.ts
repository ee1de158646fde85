/**
 * A map of many placements: 480 logical shards, each a schema of 20 tables, on four databases, as
 * teams have laid out their data who meant to spread it further later. What it costs beside a map
 * of four placements over the same databases: starting, memory, statements of one shard and of all.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommand } from "../test/support/command.ts";
import { startPostgres } from "../test/support/postgres.ts";
import type { TestPostgres } from "../test/support/postgres.ts";
import { startTestProxy } from "../test/support/proxy.ts";
import type { TestProxy } from "../test/support/proxy.ts";
import { CountingClient } from "./counting-client.ts";
import { median, spread } from "./measurement.ts";
import type { Measurement } from "./measurement.ts";

const DATABASES = ["south", "north", "east", "west"] as const;
const SHARDS = 480;
const TABLES = Array.from({ length: 20 }, (_, index) => `t${String(index).padStart(2, "0")}`);
const COLUMNS = "workspace bigint, id bigint, body text, PRIMARY KEY (workspace, id)";
const ROWS = 20_000;
/** Statements timed as one, so that a time is of many and not of the clock. */
const SELECTS_A_TURN = 200;
const TURNS_MIN = 9;
const WARM_UP_TURNS = 8;

interface Layout {
  readonly schemaOf: (shard: number) => string;
}

/** Every shard in a schema of its own, or all of a database in `public`. */
const MANY: Layout = { schemaOf: (shard) => `shard_${String(shard).padStart(3, "0")}` };
const FEW: Layout = { schemaOf: () => "public" };

export async function measureManySchemas(seconds: number): Promise<readonly Measurement[]> {
  // pg_dump and a check of the whole server lock as many tables; a scatter some hundred.
  const settings = { shared_buffers: "512MB", max_locks_per_transaction: "128" };
  await using server = await startPostgres({ databases: ["app", ...DATABASES], settings });
  await makeTables(server);
  const began = performance.now();
  await using many = await startTestProxy(mapOf(server, MANY));
  const manyMs = performance.now() - began;
  await using few = await startTestProxy(mapOf(server, FEW));
  const fewMs = performance.now() - began - manyMs;
  await fill(many);
  await fill(few);

  const clients = { many: await connectTo(many), few: await connectTo(few) };
  try {
    const single = await turns(clients, seconds, () => pointSelects());
    const scatter = await turns(clients, seconds, () => ["SELECT count(*) FROM t00"]);
    const memory = { many: await many.memory(), few: await few.memory() };
    return [
      measured("start", manyMs / 1_000, "s", 5),
      measured("start, with 4 placements", fewMs / 1_000, "s"),
      ...compared(`${SELECTS_A_TURN} statements of one shard`, single, 1.05),
      ...compared("count(*) of all shards", scatter),
      measured("statements of count(*), a database", await statementsADatabase(many), "", 1),
      measured("resident memory, afterwards", megabytes(memory.many.residentBytes), "MB", 250),
      measured("the same, with 4 placements", megabytes(memory.few.residentBytes), "MB"),
      measured("check --live", await checkSeconds(server), "s", 30),
    ];
  } finally {
    for (const client of Object.values(clients)) client.close();
  }
}

function megabytes(bytes: number): number {
  return bytes / 1024 / 1024;
}

function measured(what: string, value: number, unit: string, bound?: number): Measurement {
  return { name: `${SHARDS} schemas: ${what}`, value, unit, ...(bound !== undefined && { bound }) };
}

interface Times {
  readonly many: readonly number[];
  readonly few: readonly number[];
}

function compared(what: string, { many, few }: Times, bound?: number): readonly Measurement[] {
  const ratios = many.map((time, turn) => time / (few[turn] ?? Number.NaN));
  return [
    { ...measured(what, median(many), "ms"), spread: spread(many) },
    { ...measured(`${what}, with 4 placements`, median(few), "ms"), spread: spread(few) },
    { ...measured(`${what}, by 4 placements`, median(ratios), "x", bound), spread: spread(ratios) },
  ];
}

/** Both proxies take turns, and who goes first changes. */
async function turns(
  clients: { readonly many: CountingClient; readonly few: CountingClient },
  seconds: number,
  statements: () => readonly string[],
): Promise<Times> {
  const times = { many: [] as number[], few: [] as number[] };
  const deadline = performance.now() + seconds * 1_000;
  for (let turn = -WARM_UP_TURNS; turn < TURNS_MIN || performance.now() < deadline; turn++) {
    const asked = statements();
    const order = turn % 2 === 0 ? (["many", "few"] as const) : (["few", "many"] as const);
    for (const name of order) {
      const start = performance.now();
      for (const sql of asked) await expectOneRow(clients[name], sql);
      if (turn >= 0) times[name].push(performance.now() - start);
    }
  }
  return times;
}

async function expectOneRow(client: CountingClient, sql: string): Promise<void> {
  const came = await client.query(sql);
  if (came !== 1) throw new Error(`${came} rows came, not 1: ${sql}`);
}

/** Of keys of all shards. */
function pointSelects(): readonly string[] {
  return Array.from({ length: SELECTS_A_TURN }, () => {
    const key = 1 + Math.floor(Math.random() * ROWS);
    return `SELECT body FROM t00 WHERE workspace = ${key} AND id = ${key}`;
  });
}

/** As EXPLAIN tells it: a line for each text that a database is sent. */
async function statementsADatabase(proxy: TestProxy): Promise<number> {
  const client = await proxy.connect();
  const rows = await client.query("EXPLAIN SELECT count(*) FROM t00");
  await client.close();
  const texts = rows.filter(([line]) => /\bDatabase: /.test(line ?? ""));
  return texts.length / DATABASES.length;
}

async function checkSeconds(server: TestPostgres): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), "colonnade-bench-"));
  try {
    const map = join(directory, "map.yaml");
    await writeFile(map, mapOf(server, MANY));
    const start = performance.now();
    const { code, stderr } = await runCommand("check", map, "--live");
    if (code !== 0) throw new Error(`check --live failed: ${stderr}`);
    return (performance.now() - start) / 1_000;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function fill(proxy: TestProxy): Promise<void> {
  const client = await proxy.connect();
  const rows = `SELECT n, n, 'body ' || n FROM generate_series(1, ${ROWS}) AS n`;
  await client.query(`INSERT INTO t00 ${rows}`);
  await client.close();
}

async function makeTables(server: TestPostgres): Promise<void> {
  const tables = (schema: string): string =>
    TABLES.map((table) => `CREATE TABLE ${schema}.${table} (${COLUMNS})`).join("; ");
  await server.query("app", tables("public"));
  for (const [index, database] of DATABASES.entries()) {
    await server.query(database, tables("public"));
    for (const shard of shardsOf(index)) {
      const schema = MANY.schemaOf(shard);
      await server.query(database, `CREATE SCHEMA ${schema}; ${tables(schema)}`);
    }
  }
}

function shardsOf(database: number): readonly number[] {
  const each = SHARDS / DATABASES.length;
  return Array.from({ length: each }, (_, index) => database * each + index);
}

function mapOf(server: TestPostgres, layout: Layout): string {
  const placements = DATABASES.flatMap((database, index) => {
    const shards = shardsOf(index);
    if (layout === FEW) return [`{ shards: ${shards[0]}-${shards.at(-1)}, database: ${database} }`];
    return shards.map(
      (shard) =>
        `{ shards: ${shard}-${shard}, database: ${database}, schema: ${layout.schemaOf(shard)} }`,
    );
  });
  return [
    "version: 1",
    "catalog: app",
    "databases:",
    ...["app", ...DATABASES].map((name) => `  ${name}: { primary: "${server.url(name)}" }`),
    "colocations:",
    "  workspaces:",
    "    shard_key: bigint",
    "    function: hash",
    `    logical_shards: ${SHARDS}`,
    "    tables:",
    ...TABLES.map((table) => `      ${table}: workspace`),
    "    placements:",
    ...placements.map((placement) => `      - ${placement}`),
    "",
  ].join("\n");
}

function connectTo({ host, port }: TestProxy): Promise<CountingClient> {
  return CountingClient.connect({ host, port, database: "app" });
}
