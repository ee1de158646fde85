/**
 * A bank whose proxies and servers are killed (SIGKILL) at random: kills/run.ts says what is
 * compared with what. COLONNADE_FULL=1 kills 200 times, as does `npm run test:kills`.
 */
import { expect, test } from "vitest";
import { inFullRun } from "../support/run-mode.ts";
import { printKills, runKills } from "./kills/run.ts";

const KILLS = inFullRun(200, 3);
const TIMEOUT_MS = inFullRun(3_600_000, 170_000);

test(`after ${KILLS} kills no money is lost or made`, { timeout: TIMEOUT_MS }, async () => {
  const seed = Date.now() % 1_000_000;
  const report = await runKills(KILLS, seed, () => undefined);
  process.stdout.write(`seed ${seed}\n${printKills(report)}\n`);
  expect(report.faults).toEqual([]);
  expect(report.account.acknowledged).toBeGreaterThan(KILLS);
});
