/** Check 13: how fast rows are compared, and what clients of the source feel of it. */
import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { verifyMove } from "../../../migration/verify.ts";
import type { VerifyOptions } from "../../../migration/verify.ts";
import { prepareMove, settled, startMover, startRig } from "../rig.ts";
import type { Rig } from "../rig.ts";
import { createTables, STRESS_TABLES, stressMove, TARGETS } from "../stress-tables.ts";
import type { Context } from "./check.ts";

type Compare = (how: Pick<VerifyOptions, "level" | "isQuiet">) => Promise<number>;

/** Rows of about 200 bytes, on both levels. */
export async function verificationSpeed(context: Context): Promise<void> {
  const { profile, tell, signal } = context;
  const table = STRESS_TABLES.find(({ name }) => name === "numbers");
  if (table === undefined) throw new Error("there is a table of numbers");
  await using rig = await startRig(TARGETS);
  await rig.source.query(
    "app",
    `${createTables([table])} INSERT INTO numbers SELECT i, 0, 'first', repeat('x', 150) FROM generate_series(1, ${profile.bulkRows}) i; ANALYZE numbers`,
  );
  const move = await prepareMove(rig, stressMove("speed", [table]));
  const mover = await startMover(rig, move);
  const [source, targets, markers] = [rig.sourceDatabase, rig.targetDatabases, mover.markers];
  /** Rows a second. */
  const compare: Compare = async (how) => {
    const startMs = performance.now();
    const options = { move, source, targets, markers, ...how };
    const { rowCount, differences } = await verifyMove(options, signal);
    if (differences.length > 0 || rowCount !== profile.bulkRows) throw new Error("rows differ");
    return rowCount / ((performance.now() - startMs) / 1_000);
  };
  try {
    await settled(rig, mover);
    // The first reads what has just been written, and marks it as committed.
    await compare({ level: "exact", isQuiet: true });
    const fast = await compare({ level: "fast", isQuiet: true });
    const exact = await compare({ level: "exact", isQuiet: true });
    tell(
      13,
      fast >= 1_000_000 && exact >= 300_000,
      `${profile.bulkRows} rows of 200 bytes, both sides on one core pair: fast ${Math.round(fast)} rows/s (1,000,000), exact ${Math.round(exact)} rows/s (300,000)`,
    );
    await clientsMeanwhile(context, rig, compare);
  } finally {
    await mover.stop();
  }
}

/** A server each, the comparison and the client: with fewer cores they wait for one another, whoever reads. */
const CORES_MIN = 8;
const MEASURED_MS = 4_000;
const PAUSE_MS = 4;

async function clientsMeanwhile(
  { profile, tell }: Context,
  rig: Rig,
  compare: Compare,
): Promise<void> {
  const client = new pg.Client({ connectionString: rig.source.url("app") });
  await client.connect();
  const p99Of = async (work: Promise<unknown>): Promise<number> => {
    const isOver = { value: false };
    const done = work.finally(() => (isOver.value = true));
    const tookMs: number[] = [];
    while (!isOver.value) {
      const id = 1 + ((tookMs.length * 7_919) % profile.bulkRows);
      const startMs = performance.now();
      await client.query("UPDATE numbers SET version = version + 1 WHERE id = $1", [id]);
      tookMs.push(performance.now() - startMs);
      await sleep(PAUSE_MS);
    }
    await done;
    tookMs.sort((one, other) => one - other);
    return tookMs[Math.floor(0.99 * tookMs.length)] ?? 0;
  };
  try {
    const alone = await p99Of(sleep(MEASURED_MS));
    const meanwhile = await p99Of(comparedFor(compare));
    const cores = availableParallelism();
    const isJudged = cores >= CORES_MIN;
    tell(
      13,
      isJudged ? meanwhile < 1.15 * alone : "SKIP",
      `p99 of a client's updates in the source ${alone.toFixed(1)} ms, and ${meanwhile.toFixed(1)} ms while its rows are compared (less than 15% more)${isJudged ? "" : `; not judged, as ${cores} cores are shared by both servers, the comparison and the client`}`,
    );
  } finally {
    await client.end();
  }
}

/** On both levels, with writers. */
async function comparedFor(compare: Compare): Promise<void> {
  const endMs = performance.now() + MEASURED_MS;
  for (let round = 0; performance.now() < endMs; round += 1)
    await compare({ level: round % 2 === 0 ? "fast" : "exact", isQuiet: false });
}
