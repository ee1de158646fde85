/**
 * What moving live data takes: the copy of one table beside what else copies one, changes that are
 * applied, rows that are compared, and for how long clients wait in a cutover.
 *
 * Source and target are two servers on this machine, so all of it shares its cores. Each contender
 * copies into an empty table with a primary key, and makes two more indexes afterwards.
 */
import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { databaseName } from "../base/ids.ts";
import { verifyMove } from "../migration/verify.ts";
import type { MarkerWaits } from "../migration/marker-waits.ts";
import type { VerifyLevel } from "../migration/verify-sql.ts";
import type { Move } from "../migration/move.ts";
import { Journal } from "../test/migration/journal.ts";
import { finish, prepareMove, settled, startMover, startRig } from "../test/migration/rig.ts";
import type { Rig } from "../test/migration/rig.ts";
import { FIRST, requireDone, startServed } from "../test/migration/served.ts";
import { median, spread } from "./measurement.ts";
import type { Measurement } from "./measurement.ts";

const ROWS = 500_000;
const CHANGES = 200_000;
const ROUNDS = 3;
const TABLE = "(id bigint PRIMARY KEY, customer int, note text, pad text)";
const INDEXES = ["customer", "note"] as const;

export async function measureMigrate(cutovers: number): Promise<readonly Measurement[]> {
  await using rig = await startRig(["t1"]);
  await rig.source.query(
    "app",
    `CREATE TABLE moved ${TABLE}; CREATE INDEX ON moved (customer); CREATE INDEX ON moved (note);
     INSERT INTO moved SELECT i, i % 10000, md5(i::text), repeat('x', 120) FROM generate_series(1, ${ROWS}) i`,
  );
  await rig.source.query("app", "VACUUM ANALYZE moved");
  return [
    ...(await measureCopies(rig)),
    ...(await measureStream(rig)),
    ...(await measurePauses(cutovers)),
  ];
}

const CONTENDERS: readonly (readonly [name: string, copy: (rig: Rig) => Promise<void>])[] = [
  ["COPY through a pipe, as pg_dump | psql does", piped],
  ["a native subscription", subscribed],
  ["a move, two workers", async (rig) => await moved(rig, 2)],
  ["a move, four workers", async (rig) => await moved(rig, 4)],
];

/** In turns; milliseconds of each are of one round. */
async function measureCopies(rig: Rig): Promise<readonly Measurement[]> {
  const taken = new Map<string, number[]>(CONTENDERS.map(([name]) => [name, []]));
  for (let round = 0; round < ROUNDS; round += 1)
    for (const [name, copy] of CONTENDERS) {
      const startMs = performance.now();
      await copy(rig);
      taken.get(name)?.push(performance.now() - startMs);
      const { rows } = await rig.target.query("t1", "SELECT count(*)::int AS n FROM public.moved");
      if (rows[0]?.["n"] !== ROWS) throw new Error(`${name}: ${String(rows[0]?.["n"])} rows`);
      await rig.target.query(
        "t1",
        "DROP SCHEMA IF EXISTS colonnade CASCADE; DROP TABLE public.moved",
      );
    }
  const native = taken.get("a native subscription") ?? [];
  return [...taken].flatMap(([name, times]): Measurement[] => {
    const ratios = times.map((ms, round) => ms / (native[round] ?? Number.NaN));
    const isOurs = name.startsWith("a move");
    return [
      { name: `copy, ${name}`, value: ROWS / (median(times) / 1_000), unit: "rows/s" },
      ...(isOurs
        ? [
            {
              name: `its time by that of a native subscription`,
              value: median(ratios),
              spread: spread(ratios),
              unit: "",
              bound: 1,
            },
          ]
        : []),
    ];
  });
}

const execute = promisify(execFile);

async function piped(rig: Rig): Promise<void> {
  await rig.target.query("t1", `CREATE TABLE public.moved ${TABLE}`);
  const psql = (url: string, sql: string): string => `psql -X -q -c "${sql}" "${url}"`;
  const from = psql(rig.source.url("app"), "COPY moved TO STDOUT");
  const to = psql(rig.target.url("t1"), "COPY public.moved FROM STDIN");
  await execute("/bin/sh", ["-c", `${from} | ${to}`]);
  await makeIndexes(rig);
}

async function subscribed(rig: Rig): Promise<void> {
  await rig.target.query("t1", `CREATE TABLE public.moved ${TABLE}`);
  await rig.source.query("app", "CREATE PUBLICATION native FOR TABLE moved");
  await rig.target.query(
    "t1",
    `CREATE SUBSCRIPTION native CONNECTION '${rig.source.url("app")}' PUBLICATION native`,
  );
  for (;;) {
    const { rows } = await rig.target.query(
      "t1",
      "SELECT srsubstate AS s FROM pg_subscription_rel",
    );
    if (rows.length > 0 && rows.every(({ s }) => s === "r" || s === "s")) break;
    await sleep(10);
  }
  await makeIndexes(rig);
  await rig.target.query("t1", "DROP SUBSCRIPTION native");
  await rig.source.query("app", "DROP PUBLICATION native");
}

async function makeIndexes(rig: Rig): Promise<void> {
  for (const column of INDEXES)
    await rig.target.query("t1", `CREATE INDEX ON public.moved (${column})`);
}

async function moved(rig: Rig, workerCount: number): Promise<void> {
  const move = await prepared(rig, `moved_${workerCount}_${Math.round(performance.now())}`);
  const mover = await startMover(rig, move, { workerCount });
  await settled(rig, mover);
  await finish(rig, move);
  await mover.stop();
  await dropSlots(rig);
}

function prepared(rig: Rig, name: string): Promise<Move> {
  const placement = { database: databaseName("t1"), schema: "public" };
  const tables = [
    { schema: "public", name: "moved", destination: { kind: "one", placement } as const },
  ];
  return prepareMove(rig, { name, source: databaseName("source"), tables });
}

async function dropSlots(rig: Rig): Promise<void> {
  await rig.source.query(
    "app",
    "SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots WHERE active_pid IS NOT NULL",
  );
  await rig.source.query(
    "app",
    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots",
  );
}

/** Changes that have waited in the log, and rows compared while nobody writes. */
async function measureStream(rig: Rig): Promise<readonly Measurement[]> {
  const move = await prepared(rig, "streamed");
  const first = await startMover(rig, move);
  await settled(rig, first);
  await first.stop();
  const third = Math.floor(CHANGES / 3);
  for (const sql of [
    `INSERT INTO moved SELECT ${ROWS} + i, 0, 'new', repeat('y', 120) FROM generate_series(1, ${third}) i`,
    `UPDATE moved SET customer = customer + 1 WHERE id <= ${third}`,
    `DELETE FROM moved WHERE id > ${ROWS}`,
  ])
    await rig.source.query("app", sql);
  const startMs = performance.now();
  await using mover = await startMover(rig, move, { epoch: 2n });
  await settled(rig, mover);
  const microseconds = ((performance.now() - startMs) * 1_000) / (3 * third);
  const compared: Measurement[] = [];
  for (const level of ["fast", "exact"] as const)
    for (const markers of [undefined, mover.markers])
      compared.push(await measureVerification(rig, move, { level, markers }));
  await mover.stop();
  return [
    {
      name: "a change applied, of those that had waited",
      value: microseconds,
      unit: "µs",
      bound: 50,
    },
    ...compared,
  ];
}

/** `markers`: of a mover that applies the stream meanwhile; without, nobody may write. */
async function measureVerification(
  rig: Rig,
  move: Move,
  { level, markers }: { readonly level: VerifyLevel; readonly markers: MarkerWaits | undefined },
): Promise<Measurement> {
  const taken: number[] = [];
  // Not of the first, which marks rows as committed.
  for (let round = 0; round <= ROUNDS; round += 1) {
    const startMs = performance.now();
    const { rowCount, differences } = await verifyMove(
      {
        move,
        source: rig.sourceDatabase,
        targets: rig.targetDatabases,
        markers,
        level,
        isQuiet: markers === undefined,
      },
      AbortSignal.timeout(60_000),
    );
    if (differences.length > 0) throw new Error("rows differ");
    if (round > 0) taken.push(((performance.now() - startMs) * 1_000) / rowCount);
  }
  return {
    name: `a row of 200 bytes compared on both sides, ${level}${markers === undefined ? "" : ", while it may be written"}`,
    value: median(taken),
    spread: spread(taken),
    unit: "µs",
    bound: level === "fast" ? 1 : 3.4,
  };
}

const MOVE = "move_users_users0_public";

/** There and back, while four clients write through two proxies. */
async function measurePauses(count: number): Promise<readonly Measurement[]> {
  await using served = await startServed(2);
  const [one, two] = served.proxies;
  if (one === undefined || two === undefined) throw new Error("two proxies");
  const client = await one.connect();
  await client.query("INSERT INTO users SELECT i, 'u' || i FROM generate_series(1, 3000) i");
  await client.query("INSERT INTO orders SELECT i, 1, 'o' FROM generate_series(1, 3000) i");
  await client.end();
  const journals = [one, two, one, two].map(
    (proxy, index) =>
      new Journal({
        connect: () => proxy.connect(),
        firstId: 100_000 + index * 1_000,
        rowCount: 200,
        seed: index,
        pauseMs: 5,
      }),
  );
  const users = ["shards: 0-3, database: users2", "shards: 4-7, database: users1"];
  requireDone(await served.migrate("plan", "--to", served.mapFile(2, { ...FIRST, users })));
  served.start("migrate", "start", MOVE);
  const until = async (state: string): Promise<void> => {
    const sql = "SELECT state FROM colonnade.migration";
    while ((await served.data.query("main", sql)).rows[0]?.["state"] !== state) await sleep(50);
  };
  const pauses: number[] = [];
  let givenUp = 0;
  while (pauses.length < count) {
    await until("ready");
    for (const command of ["cutover", "rollback"]) {
      await sleep(300);
      const { code, stdout } = await served.migrate(command, MOVE, "--json");
      const { pausedMs } = JSON.parse(stdout) as { readonly pausedMs: number };
      if (code !== 0) {
        givenUp += 1;
        break;
      }
      pauses.push(pausedMs);
    }
    const [row] = (await served.data.query("main", "SELECT state FROM colonnade.migration")).rows;
    if (row?.["state"] === "reversible") requireDone(await served.migrate("rollback", MOVE));
    await sleep(100);
    if (row?.["state"] !== "ready") requireDone(await served.migrate("resync", MOVE));
  }
  for (const journal of journals) await journal.stop();
  const sorted = pauses.toSorted((a, b) => a - b);
  const at = (part: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN;
  const of = `pause of ${pauses.length} cutovers and rollbacks under load`;
  return [
    { name: `${of}, p50`, value: median(pauses), spread: spread(pauses), unit: "ms", bound: 300 },
    { name: `${of}, p99`, value: at(0.99), unit: "ms", bound: 1_500 },
    { name: `${of}, longest`, value: at(1), unit: "ms", bound: 2_000 },
    { name: "attempts given up", value: givenUp, unit: "" },
  ];
}
