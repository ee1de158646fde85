/**
 * A fleet in trouble: run.ts says what befalls it, and what is compared with what. In full by
 * `npm run test:chaos`, or with COLONNADE_FULL=1.
 */
import { expect, test } from "vitest";
import { inFullRun } from "../support/run-mode.ts";
import { printChaos } from "./report.ts";
import { runChaos } from "./run.ts";

const SECONDS = inFullRun(200, 4);
const TIMEOUT_MS = inFullRun(900_000, 240_000);

test(
  "a fleet in trouble gives no wrong answer, loses nothing, and follows",
  { timeout: TIMEOUT_MS },
  async () => {
    const seed = Date.now() % 1_000_000;
    const lines: string[] = [];
    const report = await runChaos(seed, SECONDS, (line) => lines.push(line));
    process.stdout.write(`seed ${seed}\n${lines.join("\n")}\n${printChaos(report)}\n`);
    expect(report.faults).toEqual([]);
    expect(report.account.acknowledged).toBeGreaterThan(SECONDS);
    expect(report.followedMs.length).toBeGreaterThan(0);
  },
);
