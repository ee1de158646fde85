/**
 * Damaged protocol frames against the running proxy: it lives, its memory does not grow,
 * and a client beside it never notices.
 *
 * 1,000,000 frames with `COLONNADE_FULL=1`. `FUZZ_SEED` replays a run.
 */
import { expect, test } from "vitest";
import { Random } from "../differential/random.ts";
import { inFullRun } from "../support/run-mode.ts";
import { beNeighbour, startFuzzTarget } from "./fuzz-proxy.ts";
import { damageFrames } from "./damaged-frames.ts";

const FRAMES = inFullRun(1_000_000, 20_000);
/** Before the first look at the memory: code is compiled, pools are full, and the allocator has its working size, which it keeps from then on. */
const WARM_UP_FRAMES = inFullRun(400_000, 5_000);
const GROWTH_BYTES_MAX = 50 * 1024 * 1024;
const SEED = Number(process.env["FUZZ_SEED"] ?? 20_240_229);

test(`${FRAMES} damaged frames`, { timeout: 3_600_000 }, async () => {
  await using target = await startFuzzTarget();
  const { proxy } = target;
  const stop = new AbortController();
  const neighbour = beNeighbour(proxy, stop.signal);

  await damageFrames(proxy, new Random(SEED + 1), WARM_UP_FRAMES);
  const before = (await proxy.memory()).residentBytes;
  const sent = await damageFrames(proxy, new Random(SEED), FRAMES);
  const after = (await proxy.memory()).residentBytes;
  stop.abort();
  const { faults, answers, slowestMs } = await neighbour;

  const megabytes = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MB`;
  process.stdout.write(
    `seed ${SEED}: ${sent} damaged frames; resident ${megabytes(before)} before, ${megabytes(after)} after; neighbour: ${answers} answers, slowest ${slowestMs.toFixed(0)} ms\n`,
  );
  expect(proxy.isAlive(), proxy.output()).toBe(true);
  expect(faults).toEqual([]);
  expect(answers).toBeGreaterThan(10);
  expect(sent).toBeGreaterThanOrEqual(FRAMES);
  expect(after - before).toBeLessThan(GROWTH_BYTES_MAX);
});
