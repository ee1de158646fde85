/**
 * Nothing leaks between clients that share backends. COLONNADE_FULL=1: 200 clients for five
 * minutes, as `npm run test:isolation`.
 */
import { expect, test } from "vitest";
import { inFullRun } from "../support/run-mode.ts";
import { printIsolation, runIsolation } from "./isolation/run.ts";

const CLIENTS = inFullRun(200, 30);
const SECONDS = inFullRun(300, 6);

test.each(["usual", "long", "multiplexed"] as const)(
  `${CLIENTS} clients read nothing of each other, statements going the %s way`,
  { timeout: SECONDS * 1_000 + 120_000 },
  async (way) => {
    const seed = Date.now() % 1_000_000;
    const report = await runIsolation(CLIENTS, SECONDS, seed, way);
    process.stdout.write(`seed ${seed}\n${printIsolation(report)}\n`);
    expect(report.leaks).toEqual([]);
    expect(report.done["temporary tables"]).toBeGreaterThan(CLIENTS / 2);
    expect(report.done["cancelled"]).toBeGreaterThan(0);
  },
);
