/**
 * `node test/migration/main.ts --kills N --seed N [--runs N] [--pause MS]`: the exactness stress
 * at any size. Prints one line a run; ends with 1 where any row differs or anything stopped.
 */
import { parseArgs } from "node:util";
import { startRig } from "./rig.ts";
import { runStress } from "./stress.ts";
import { STRESS_TABLES, TARGETS } from "./stress-tables.ts";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
    runs: { type: "string", default: "1" },
    keys: { type: "string", default: "12000" },
    pause: { type: "string", default: "2" },
    writers: { type: "string", default: "6" },
  },
});

let failures = 0;
for (let run = 0; run < Number(values.runs); run += 1) {
  const seed = Number(values.seed) + run;
  await using rig = await startRig(TARGETS);
  const startedMs = performance.now();
  try {
    const outcome = await runStress(rig, {
      seed,
      kills: Number(values.kills),
      keys: Number(values.keys),
      chunkRows: 100,
      writerCount: Number(values.writers),
      pauseMs: Number(values.pause),
      tables: STRESS_TABLES,
    });
    const { missing, extra, stale, rows } = outcome.differences;
    const isEqual = missing.length + extra.length + stale.length === 0;
    if (!isEqual) failures += 1;
    console.log(
      `${isEqual ? "PASS" : "FAIL"} seed ${seed}: ${outcome.commits} commits, ${outcome.kills} kills (${outcome.killsWhileCopying} while copying), ${rows} rows: ${missing.length} missing, ${extra.length} extra, ${stale.length} stale, in ${Math.round((performance.now() - startedMs) / 1000)} s`,
    );
    for (const difference of [...missing, ...extra, ...stale].slice(0, 10))
      console.log(`  ${difference}`);
  } catch (error) {
    failures += 1;
    console.log(`FAIL seed ${seed}: ${String(error)}`);
  }
}
process.exitCode = failures === 0 ? 0 : 1;
