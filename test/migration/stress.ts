/**
 * The exactness stress: rows are copied and streamed while clients write, the moving process is
 * killed at random moments, and in the end every row is where it belongs, as it is.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseLsn } from "../../base/lsn.ts";
import { compareRows, type Differences } from "./compare-rows.ts";
import { MoverProcess } from "./killed-mover.ts";
import type { MoverJob } from "./mover-process.ts";
import { Random } from "../../cli/rehearse/random.ts";
import { prepareMove, type Rig } from "./rig.ts";
import {
  createTables,
  fillTables,
  type StressTable,
  stressMove,
  TARGETS,
} from "./stress-tables.ts";
import { Writers } from "./writers.ts";

export interface StressOptions {
  readonly seed: number;
  readonly kills: number;
  readonly keys: number;
  readonly chunkRows: number;
  readonly writerCount: number;
  readonly pauseMs: number;
  readonly tables: readonly StressTable[];
}

export interface StressOutcome {
  readonly commits: number;
  readonly kills: number;
  /** Kills before all was copied. */
  readonly killsWhileCopying: number;
  readonly differences: Differences;
  /** The last process's words. */
  readonly output: string;
}

async function makeTables(rig: Rig, { tables, keys }: StressOptions): Promise<void> {
  await rig.source.query("app", createTables(tables) + fillTables(tables, keys));
}

export async function runStress(rig: Rig, options: StressOptions): Promise<StressOutcome> {
  const { seed, tables } = options;
  await makeTables(rig, options);
  const writers = new Writers(rig.source, options);
  await prepareMove(rig, stressMove("stress", tables));
  const random = new Random(seed);
  let killsWhileCopying = 0;
  for (let kill = 0; kill < options.kills; kill += 1) {
    const mover = new MoverProcess(job(rig, options, kill + 1));
    await mover.started;
    await sleep(random.integer(0, 800));
    if (mover.hasFailed) throw new Error(mover.output);
    if (!mover.output.includes("copied")) killsWhileCopying += 1;
    await mover.kill();
  }
  const last = new MoverProcess(job(rig, options, options.kills + 1));
  try {
    await last.copied;
    await sleep(300);
    await writers.stop();
    await caughtUp(rig, last);
    const differences = await compareRows(rig, tables);
    const { commits } = writers;
    return { commits, kills: options.kills, killsWhileCopying, differences, output: last.output };
  } finally {
    await last.kill();
  }
}

function job(rig: Rig, { tables, chunkRows }: StressOptions, epoch: number): MoverJob {
  return {
    move: "stress",
    tables: tables.map(({ name }) => name),
    source: rig.source.url("app"),
    targets: Object.fromEntries(TARGETS.map((name) => [name, rig.target.url(name)])),
    epoch,
    workerCount: 2,
    chunkRows,
  };
}

/** Every target has all that the source had committed. */
async function caughtUp(rig: Rig, mover: MoverProcess): Promise<void> {
  const { rows } = await rig.source.query("app", "SELECT pg_current_wal_flush_lsn()::text AS at");
  const position = parseLsn(String(rows[0]?.["at"])) ?? 0n;
  for (const database of TARGETS) {
    for (;;) {
      if (mover.hasFailed) throw new Error(mover.output);
      const progress = await rig.target.query(
        database,
        "SELECT position::text AS at FROM colonnade.move_progress",
      );
      if ((parseLsn(String(progress.rows[0]?.["at"])) ?? 0n) >= position) break;
      await sleep(50);
    }
  }
}
