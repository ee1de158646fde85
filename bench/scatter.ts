/**
 * What a statement over four databases costs through the proxy, beside what the same shards
 * cost without it: each shard's own part, asked directly, and plain PostgreSQL that has the
 * shards as foreign partitions. All take turns in one run: the ratios say more than the times.
 */
import { startPostgres } from "../test/support/postgres.ts";
import type { TestPostgres } from "../test/support/postgres.ts";
import { startTestProxy } from "../test/support/proxy.ts";
import { CountingClient } from "./counting-client.ts";
import { median, spread } from "./measurement.ts";
import type { Measurement } from "./measurement.ts";

const SHARDS = ["shard0", "shard1", "shard2", "shard3"] as const;
const ROWS = 1_000_000;
const SCANNED_ROWS = 100_000;
const WARM_UP_TURNS = 3;
const TURNS_MIN = 5;

/** A row a second, so that a range of time is a number of rows. */
const FIRST_MOMENT = "2026-01-01 00:00:00+00";
/** A constant: what is worked out when the statement runs, postgres_fdw does not send. */
const SCANNED_UNTIL = "2026-01-02 03:46:40+00";

interface Scenario {
  readonly name: string;
  readonly rows: number;
  readonly sql: string;
  /** What one shard answers for its part, where that is not the same text. */
  readonly part?: string;
  /** Of postgres_fdw: rows a round trip, what suits the statement best. */
  readonly fetchSize: number;
}

const SCENARIOS: readonly Scenario[] = [
  { name: "count(*)", rows: 1, sql: "SELECT count(*) FROM events", fetchSize: 10_000 },
  {
    name: "group by, order by, limit 10",
    rows: 10,
    sql: "SELECT product, count(*), sum(amount) FROM events GROUP BY product ORDER BY 3 DESC, 1 LIMIT 10",
    part: "SELECT product, count(*), sum(amount) FROM events GROUP BY product",
    fetchSize: 10_000,
  },
  {
    name: "top 10 by time",
    rows: 10,
    sql: "SELECT id, user_id, placed, amount FROM events ORDER BY placed DESC, id DESC LIMIT 10",
    fetchSize: 10,
  },
  {
    name: `ordered scan of ${SCANNED_ROWS} rows`,
    rows: SCANNED_ROWS,
    sql: `SELECT id, user_id, placed, amount FROM events WHERE placed < '${SCANNED_UNTIL}' ORDER BY placed, id`,
    fetchSize: 10_000,
  },
];

export async function measureScatter(seconds: number): Promise<readonly Measurement[]> {
  // Compiling expressions costs a plan of many rows more than it gains here, on either side.
  const settings = { jit: "off", shared_buffers: "512MB", max_parallel_workers_per_gather: "0" };
  await using server = await startPostgres({
    databases: ["app", "foreign", ...SHARDS],
    settings,
  });
  await fillShards(server);
  await makeForeignPartitions(server);
  await using proxy = await startTestProxy(mapOf(server));

  const shards = await Promise.all(SHARDS.map((database) => connectTo(server, database)));
  const foreign = await connectTo(server, "foreign");
  const proxied = await CountingClient.connect({ ...proxy, database: "app" });
  const measurements: Measurement[] = [];
  try {
    for (const scenario of SCENARIOS) {
      await setFetchSize(server, scenario);
      const times = await turns(scenario, { shards, foreign, proxied }, seconds);
      measurements.push(...report(scenario, times));
    }
  } finally {
    for (const client of [...shards, foreign, proxied]) client.close();
  }
  return measurements;
}

interface Clients {
  readonly shards: readonly CountingClient[];
  readonly foreign: CountingClient;
  readonly proxied: CountingClient;
}

/** Milliseconds, one of each a turn. */
interface Times {
  /** The slowest shard's part, each asked while the others rest. */
  readonly alone: number[];
  /** The slowest shard's part, all asked at once: they share the machine's cores, as they do for a scatter. */
  readonly together: number[];
  readonly proxied: number[];
  readonly foreign: number[];
}

async function turns(scenario: Scenario, clients: Clients, seconds: number): Promise<Times> {
  const { shards, foreign, proxied } = clients;
  const { sql, part = sql } = scenario;
  const times: Times = { alone: [], together: [], proxied: [], foreign: [] };
  const deadline = performance.now() + seconds * 1_000;
  for (let turn = -WARM_UP_TURNS; turn < TURNS_MIN || performance.now() < deadline; turn++) {
    const alone: number[] = [];
    for (const shard of shards) alone.push(await timed(() => shard.query(part)));
    const together = await Promise.all(shards.map((shard) => timed(() => shard.query(part))));
    const throughProxy = await timed(() => expectRows(proxied, scenario));
    const throughForeign = await timed(() => expectRows(foreign, scenario));
    if (turn < 0) continue;
    times.alone.push(Math.max(...alone));
    times.together.push(Math.max(...together));
    times.proxied.push(throughProxy);
    times.foreign.push(throughForeign);
  }
  return times;
}

async function expectRows(client: CountingClient, { sql, rows }: Scenario): Promise<void> {
  const came = await client.query(sql);
  if (came !== rows) throw new Error(`${came} rows came, not ${rows}: ${sql}`);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** Ratios are of one turn's times, so that what disturbs a turn disturbs both of its sides. */
function report({ name }: Scenario, times: Times): readonly Measurement[] {
  const ratio = (over: readonly number[]): number[] =>
    times.proxied.map((time, turn) => time / (over[turn] ?? Number.NaN));
  const shown = (what: string, values: readonly number[], unit: string, bound?: number) => ({
    name: `scatter, ${name}: ${what}`,
    value: median(values),
    unit,
    spread: spread(values),
    ...(bound !== undefined && { bound }),
  });
  return [
    shown("slowest shard's part, alone", times.alone, "ms"),
    shown("slowest shard's part, all at once", times.together, "ms"),
    shown("through the proxy", times.proxied, "ms"),
    shown("foreign partitions", times.foreign, "ms"),
    shown("proxy by parts alone", ratio(times.alone), "x"),
    shown("proxy by parts at once", ratio(times.together), "x", 1.2),
    shown("proxy by foreign partitions", ratio(times.foreign), "x", 1),
  ];
}

function connectTo({ host, port }: TestPostgres, database: string): Promise<CountingClient> {
  return CountingClient.connect({ host, port, database });
}

const COLUMNS =
  "user_id bigint NOT NULL, id bigint NOT NULL, placed timestamptz NOT NULL, product integer NOT NULL, amount numeric(12,2) NOT NULL, note text NOT NULL";

/** The rows are spread by PostgreSQL's own hash partitioning, which is the proxy's too. */
async function fillShards(server: TestPostgres): Promise<void> {
  await server.query("app", `CREATE TABLE events (${COLUMNS}, PRIMARY KEY (user_id, id))`);
  for (const [index, database] of SHARDS.entries()) {
    await server.query(
      database,
      `CREATE TABLE routed (${COLUMNS}) PARTITION BY HASH (user_id);
       CREATE TABLE events PARTITION OF routed FOR VALUES WITH (MODULUS ${SHARDS.length}, REMAINDER ${index});
       INSERT INTO events
         SELECT user_id, id, timestamptz '${FIRST_MOMENT}' + id * interval '1 second', (id % 1000)::integer, (id * 7919 % 100000) / 100.0, 'event number ' || id
         FROM (SELECT id, (id * 2654435761) % 50000 AS user_id FROM generate_series(0::bigint, ${ROWS - 1}) AS id) AS numbered
         WHERE satisfies_hash_partition('routed'::regclass, ${SHARDS.length}, ${index}, user_id);
       ALTER TABLE routed DETACH PARTITION events;
       DROP TABLE routed;
       ALTER TABLE events ADD PRIMARY KEY (user_id, id);
       CREATE INDEX ON events (placed, id)`,
    );
    await server.query(database, "VACUUM (ANALYZE, FREEZE) events");
  }
}

/** As somebody who knows postgres_fdw would set it up. */
async function makeForeignPartitions(server: TestPostgres): Promise<void> {
  const servers = SHARDS.map(
    (database, index) =>
      `CREATE SERVER ${database} FOREIGN DATA WRAPPER postgres_fdw
         OPTIONS (host '${server.host}', port '${server.port}', dbname '${database}', async_capable 'true', fetch_size '100');
       CREATE USER MAPPING FOR postgres SERVER ${database} OPTIONS (user 'postgres', password_required 'false');
       CREATE FOREIGN TABLE events_${index} PARTITION OF events FOR VALUES WITH (MODULUS ${SHARDS.length}, REMAINDER ${index})
         SERVER ${database} OPTIONS (table_name 'events');`,
  );
  await server.query(
    "foreign",
    `CREATE EXTENSION postgres_fdw;
     CREATE TABLE events (${COLUMNS}) PARTITION BY HASH (user_id);
     ${servers.join("\n")}
     ANALYZE events;
     ALTER DATABASE "foreign" SET enable_partitionwise_aggregate = on;
     ALTER DATABASE "foreign" SET enable_partitionwise_join = on`,
  );
}

async function setFetchSize(server: TestPostgres, { fetchSize }: Scenario): Promise<void> {
  const statements = SHARDS.map(
    (name) => `ALTER SERVER ${name} OPTIONS (SET fetch_size '${fetchSize}')`,
  );
  await server.query("foreign", statements.join("; "));
}

function mapOf(server: TestPostgres): string {
  return [
    "version: 1",
    "catalog: app",
    "databases:",
    ...["app", ...SHARDS].map((name) => `  ${name}: { primary: "${server.url(name)}" }`),
    "colocations:",
    "  events:",
    "    shard_key: bigint",
    "    function: hash",
    `    logical_shards: ${SHARDS.length}`,
    "    tables: { events: user_id }",
    "    placements:",
    ...SHARDS.map((name, index) => `      - { shards: ${index}-${index}, database: ${name} }`),
    "",
  ].join("\n");
}
