/**
 * `npm run test:chaos -- --seconds 200 --seed N`: chaos, printed as it happens. Exit code 1 where a
 * promise was broken, 2 where it was asked for what it cannot do.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ROOT } from "../tidy/sources.ts";
import { printChaos } from "./report.ts";
import { runChaos } from "./run.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "200" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
const [seconds, seed] = [Number(values.seconds), Number(values.seed)];
if (!(seconds > 0) || !Number.isSafeInteger(seed)) {
  process.stderr.write("--seconds is a positive number, and --seed a whole one\n");
  process.exit(2);
}
// Proxies and commands start in half the time, as in test runs.
process.env["NODE_COMPILE_CACHE"] ??= join(ROOT, "node_modules", ".cache", "node-compile");
process.stdout.write(`seed ${seed}\n`);
const report = await runChaos(seed, seconds, (line) => process.stdout.write(`${line}\n`));
process.stdout.write(`${printChaos(report)}\nseed ${seed}\n`);
process.exitCode = report.faults.length > 0 ? 1 : 0;
