/**
 * Nothing leaks between clients that share backends. COLONNADE_FULL=1: 200 clients for five
 * minutes, as `npm run test:isolation`.
 */
import { expect, test } from "vitest";
import { inFullRun } from "../support/run-mode.ts";
import { printIsolation, runIsolation } from "./isolation/run.ts";

const CLIENTS = inFullRun(200, 30);
const SECONDS = inFullRun(300, 6);

test.each([false, true])(
  `${CLIENTS} clients read nothing of each other; multiplexed reads: %s`,
  { timeout: SECONDS * 1_000 + 120_000 },
  async (isMultiplexed) => {
    const seed = Date.now() % 1_000_000;
    const report = await runIsolation(CLIENTS, SECONDS, seed, isMultiplexed);
    process.stdout.write(`seed ${seed}\n${printIsolation(report)}\n`);
    expect(report.leaks).toEqual([]);
    expect(report.done["temporary tables"]).toBeGreaterThan(CLIENTS / 2);
    expect(report.done["cancelled"]).toBeGreaterThan(0);
  },
);
