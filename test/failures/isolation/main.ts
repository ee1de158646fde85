/**
 * `npm run test:isolation -- --clients 200 --seconds 300 --seed N`: many clients that must read
 * nothing of each other, printed. Exit code 1 where one did. `--multiplexed` has their reads share
 * connections; `--long-way` turns off what makes usual statements fast.
 */
import { parseArgs } from "node:util";
import { printIsolation, runIsolation } from "./run.ts";

const { values } = parseArgs({
  options: {
    clients: { type: "string", default: "200" },
    seconds: { type: "string", default: "300" },
    multiplexed: { type: "boolean", default: false },
    "long-way": { type: "boolean", default: false },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
process.stdout.write(`seed ${values.seed}\n`);
const report = await runIsolation(
  Number(values.clients),
  Number(values.seconds),
  Number(values.seed),
  values.multiplexed ? "multiplexed" : values["long-way"] ? "long" : "usual",
);
process.stdout.write(`${printIsolation(report)}\n`);
process.exitCode = report.leaks.length > 0 ? 1 : 0;
