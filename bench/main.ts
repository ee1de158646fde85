/**
 * `npm run bench`: the bounds the project holds, measured and printed with their limits.
 * Method and machine are in README.md beside this file.
 *
 * `--only planner,idle,select` runs a part; `--seconds N` sets the time of each load.
 */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { measureIdleClients } from "./idle-clients.ts";
import { measurePlanner } from "./planner.ts";
import { measurePointSelects } from "./point-select.ts";
import type { Measurement } from "./measurement.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "planner,idle,select" },
    seconds: { type: "string", default: "5" },
  },
});

const parts: Readonly<Record<string, () => Promise<readonly Measurement[]>>> = {
  planner: measurePlanner,
  idle: measureIdleClients,
  select: () => measurePointSelects(Number(values.seconds)),
};

process.stdout.write(
  `${cpus().length} x ${cpus()[0]?.model ?? "unknown processor"}, Node ${process.version}\n`,
);
for (const name of values.only.split(",")) {
  const part = parts[name];
  if (part === undefined)
    throw new Error(`no such part: ${name}; there are ${Object.keys(parts).join(", ")}`);
  for (const measurement of await part()) process.stdout.write(`${line(measurement)}\n`);
}

function line({ name, value, unit, bound }: Measurement): string {
  const shown = `${name.padEnd(64)} ${value.toFixed(value < 10 ? 2 : 0).padStart(9)} ${unit.padEnd(8)}`;
  if (bound === undefined) return shown;
  return `${shown} bound ${bound} ${unit}: ${value <= bound ? "held" : "NOT HELD"}`;
}
