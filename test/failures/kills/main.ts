/**
 * `npm run test:kills -- --kills 200 --seed N`: the bank under fire, printed. Exit code 1 where a
 * promise was broken.
 */
import { parseArgs } from "node:util";
import { printKills, runKills } from "./run.ts";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "200" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
process.stdout.write(`seed ${values.seed}\n`);
const report = await runKills(Number(values.kills), Number(values.seed), (line) =>
  process.stderr.write(`${line}\n`),
);
process.stdout.write(`${printKills(report)}\n`);
process.exitCode = report.faults.length > 0 ? 1 : 0;
