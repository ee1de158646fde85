/**
 * `npm run test:migrate`: the twenty checks that the design of migrations asks for, over the
 * same code as `colonnade rehearse`. Each prints PASS or FAIL with its evidence, or SKIP with why
 * it is not decided. Exit code 1 where one fails, 2 where it was asked for what it cannot do.
 *
 *     npm run test:migrate                        all, reduced: ten minutes on two cores
 *     npm run test:migrate -- --full              with the design's own counts: days
 *     npm run test:migrate -- --checks 2,8 --kills 30 --seed 7
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ROOT } from "../tidy/sources.ts";
import { calm } from "./checks/calm.ts";
import { otherCarriers } from "./checks/carriers.ts";
import { CHECKS, CI, FULL } from "./checks/check.ts";
import type { Context, Profile, Result } from "./checks/check.ts";
import { exactness, resumeCost } from "./checks/exactness.ts";
import { killedAnything, plainLosses } from "./checks/losses.ts";
import { pauses, types } from "./checks/others.ts";
import { frozenProxy, slotLoss, twoOrchestrators } from "./checks/troubles.ts";
import { verificationSpeed } from "./checks/verification-speed.ts";
import { verifierCanFail } from "./checks/verifier.ts";

/** What runs together, in this order, and which checks it decides. */
const PARTS: readonly (readonly [
  checks: readonly number[],
  run: (context: Context) => void | Promise<void>,
])[] = [
  [[4, 5, 6, 12, 14, 15, 16, 20], calm],
  [[1], plainLosses],
  [[2], killedAnything],
  [[3], frozenProxy],
  [[8], exactness],
  [[9], resumeCost],
  [[10], types],
  [[11], verifierCanFail],
  [[13], verificationSpeed],
  [[17], slotLoss],
  [[18], twoOrchestrators],
  [[19], otherCarriers],
  [[7], pauses],
];

const { values } = parseArgs({
  options: {
    full: { type: "boolean", default: false },
    checks: { type: "string" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    runs: { type: "string" },
    kills: { type: "string" },
    verbose: { type: "boolean", default: false },
  },
});
const seed = Number(values.seed);
const wanted = new Set(values.checks?.split(",").map(Number) ?? Object.keys(CHECKS).map(Number));
const counts = [values.runs, values.kills].filter((text) => text !== undefined).map(Number);
const isUnderstood =
  Number.isSafeInteger(seed) &&
  [...wanted].every((check) => check in CHECKS) &&
  counts.every((count) => Number.isSafeInteger(count) && count > 0);
if (!isUnderstood) {
  process.stderr.write(
    "--checks names some of 1 to 20, with commas; --seed, --runs and --kills are whole numbers\n",
  );
  process.exit(2);
}
// Proxies and commands start in half the time, as in test runs.
process.env["NODE_COMPILE_CACHE"] ??= join(ROOT, "node_modules", ".cache", "node-compile");
const base = values.full ? FULL : CI;
const profile: Profile = {
  ...base,
  plainRuns: Number(values.runs ?? base.plainRuns),
  killRuns: Number(values.kills ?? base.killRuns),
};

const results: Result[] = [];
const startMs = performance.now();
const context: Context = {
  profile,
  seed,
  signal: new AbortController().signal,
  say: (line) => {
    if (values.verbose) print(`  ${line}`);
  },
  tell: (check, status, evidence) => {
    if (!wanted.has(check)) return;
    const told = status === true ? "PASS" : status === false ? "FAIL" : status;
    results.push({ check, status: told, evidence });
    print(`${told} ${check} ${CHECKS[check]}: ${evidence}`);
  },
  pausesMs: [],
};

function print(line: string): void {
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(0);
  process.stdout.write(`${seconds.padStart(5)} s  ${line}\n`);
}

print(`seed ${seed}, ${values.full ? "full" : "reduced"}`);
for (const [checks, run] of PARTS) {
  const own = checks.filter((check) => wanted.has(check));
  if (own.length === 0) continue;
  try {
    await run(context);
  } catch (error) {
    // What was not decided before it is not decided at all.
    for (const check of own)
      if (!results.some((result) => result.check === check))
        context.tell(check, false, `it did not come to its end: ${String(error)}`);
  }
}
const count = (status: Result["status"]): number =>
  results.filter((result) => result.status === status).length;
print(`${count("PASS")} passed, ${count("FAIL")} failed, ${count("SKIP")} not run, seed ${seed}`);
process.exitCode = count("FAIL") > 0 ? 1 : 0;
