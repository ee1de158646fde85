/** Checks 8 and 9: the copy and the stream by themselves, killed again and again, and the way that loses rows. */
import { setTimeout as sleep } from "node:timers/promises";
import { MoverProcess } from "../killed-mover.ts";
import { runNaive } from "../naive.ts";
import { prepareMove, startRig } from "../rig.ts";
import { runStress } from "../stress.ts";
import { createTables, STRESS_TABLES, stressMove, TARGETS } from "../stress-tables.ts";
import type { Context } from "./check.ts";

export async function exactness(context: Context): Promise<void> {
  const { profile, seed, tell, say } = context;
  const parts: string[] = [];
  let isRight = true;
  // At the machine's limit, and so slowly that the stream is current, which hides less.
  for (const pauseMs of [0, 2]) {
    await using rig = await startRig(TARGETS);
    const { differences, commits, kills } = await runStress(rig, {
      seed: seed + pauseMs,
      kills: Math.ceil(profile.stressKills / 2),
      keys: 6_000,
      chunkRows: 100,
      writerCount: 6,
      pauseMs,
      tables: STRESS_TABLES,
    });
    const count = differences.missing.length + differences.extra.length + differences.stale.length;
    isRight &&= count === 0;
    parts.push(`${commits} commits, ${kills} SIGKILLs, ${differences.rows} rows, ${count} differ`);
    say(`8: ${parts.at(-1)}`);
  }
  const naive: number[] = [];
  await using rig = await startRig(TARGETS);
  for (let run = 0; run < profile.naiveRuns; run += 1) {
    const { missing, extra, stale } = await runNaive(rig, {
      seed: seed + run,
      keys: 4_000,
      name: `naive${run}`,
    });
    naive.push(missing.length + extra.length + stale.length);
    say(`8: the naive way has ${naive.at(-1)} differences`);
  }
  const isSeen = naive.every((count) => count > 0);
  tell(
    8,
    isRight && isSeen,
    `${parts.join("; ")}, strict-count violations 0; the naive way differs in ${naive.filter((count) => count > 0).length} of ${naive.length} runs (${naive.join(", ")} rows)${profile.stressKills < 50 ? "; scaled from 50 SIGKILLs and 5 naive runs" : ""}`,
  );
}

const CHUNK_ROWS = 2_000;
const WORKERS = 2;

export async function resumeCost({ profile, tell }: Context): Promise<void> {
  const { bulkRows } = profile;
  const table = STRESS_TABLES.find(({ name }) => name === "numbers");
  if (table === undefined) throw new Error("there is a table of numbers");
  await using rig = await startRig(TARGETS);
  await rig.source.query(
    "app",
    `${createTables([table])} INSERT INTO numbers SELECT i, 0, 'first', repeat('x', 100) FROM generate_series(1, ${bulkRows}) i; ANALYZE numbers`,
  );
  await prepareMove(rig, stressMove("stress", [table]));
  const job = {
    move: "stress",
    tables: ["numbers"],
    source: rig.source.url("app"),
    targets: Object.fromEntries(TARGETS.map((name) => [name, rig.target.url(name)])),
    workerCount: WORKERS,
    chunkRows: CHUNK_ROWS,
  };
  const copied = async (): Promise<number> => {
    const { rows } = await rig.target.query(
      "t1",
      "SELECT coalesce(sum(row_count), 0)::int8 AS rows FROM colonnade.move_chunk",
    );
    return Number(rows[0]?.["rows"]) * TARGETS.length;
  };
  const first = new MoverProcess({ ...job, epoch: 1 });
  await first.started;
  while ((await copied()) < bulkRows / 2 && !first.hasFailed) await sleep(5);
  await first.kill();
  const before = await rowsThere(rig);
  const second = new MoverProcess({ ...job, epoch: 2 });
  try {
    await second.copied;
    await sleep(1_500);
    const again = (await insertedRows(rig)) - bulkRows;
    const bound = 2 * CHUNK_ROWS * WORKERS;
    tell(
      9,
      again >= 0 && again <= bound && before > 0,
      `killed with ${before} of ${bulkRows} rows copied; ${again} rows were written again (at most ${bound}, two chunks a worker); scaled from 100 GB`,
    );
  } finally {
    await second.kill();
  }
}

async function rowsThere(rig: Awaited<ReturnType<typeof startRig>>): Promise<number> {
  let sum = 0;
  for (const database of TARGETS)
    for (const schema of ["a", "b"]) {
      const { rows } = await rig.target.query(
        database,
        `SELECT count(*)::int8 AS n FROM ${schema}.numbers`,
      );
      sum += Number(rows[0]?.["n"]);
    }
  return sum;
}

/** Also those of transactions that were rolled back. */
async function insertedRows(rig: Awaited<ReturnType<typeof startRig>>): Promise<number> {
  let sum = 0;
  await sleep(1_200);
  for (const database of TARGETS) {
    const { rows } = await rig.target.query(
      database,
      "SELECT coalesce(sum(n_tup_ins), 0)::int8 AS n FROM pg_stat_user_tables WHERE relname = 'numbers'",
    );
    sum += Number(rows[0]?.["n"]);
  }
  return sum;
}
