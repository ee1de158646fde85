/**
 * `npm run bench`: the bounds the project holds, measured and printed with their limits.
 * Method and machine are in README.md beside this file.
 *
 * `--only planner,idle,select,scatter,schemas,copy,guards,workers,migrate` runs a part; `--seconds N` sets the time of each load,
 * `--gigabytes N` the data of a COPY, `--cutovers N` how many pauses.
 * `npm run bench -- migrate --cutovers 50` runs that part alone.
 * `npm run bench -- compare` measures the proxy beside others (compare/compare.ts).
 * Exit code 1 where a bound is not held, 2 where nothing was measured.
 */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { compare } from "./compare/compare.ts";
import { readWish as readComparison } from "./compare/wish.ts";
import { measureCopy } from "./copy.ts";
import { measureGuards } from "./guards.ts";
import { measureIdleClients } from "./idle-clients.ts";
import { measureMigrate } from "./migrate.ts";
import { measureManySchemas } from "./many-schemas.ts";
import { measurePlanner } from "./planner.ts";
import { measurePointSelects } from "./point-select.ts";
import { measureScatter } from "./scatter.ts";
import { measureWorkers } from "./workers.ts";
import type { Measurement } from "./measurement.ts";

type Part = (size: Size) => Promise<readonly Measurement[]>;

interface Size {
  readonly seconds: number;
  readonly gigabytes: number;
  readonly cutovers: number;
}

const PARTS: Readonly<Record<string, Part>> = {
  planner: measurePlanner,
  idle: measureIdleClients,
  select: ({ seconds }) => measurePointSelects(seconds),
  scatter: ({ seconds }) => measureScatter(seconds),
  schemas: ({ seconds }) => measureManySchemas(seconds),
  copy: ({ gigabytes }) => measureCopy(gigabytes),
  guards: ({ seconds }) => measureGuards(seconds),
  workers: ({ seconds }) => measureWorkers(seconds),
  migrate: ({ cutovers }) => measureMigrate(cutovers),
};

/** pgbench's own bound on `-T` is higher; a longer load than an hour is a mistyped one. */
const SECONDS_MAX = 3_600;

/** It takes twice as much of the disk. */
const GIGABYTES_MAX = 1_000;

/** Each takes a few seconds. */
const CUTOVERS_MAX = 1_000;

/** What was asked for, or why it cannot be. */
type Wish = (Size & { readonly parts: readonly string[] }) | string;

function readWish(words: readonly string[]): Wish {
  let given: Readonly<Record<"only" | "seconds" | "gigabytes" | "cutovers", string>>;
  try {
    given = parseArgs({
      args: [...words],
      options: {
        only: { type: "string", default: Object.keys(PARTS).join(",") },
        seconds: { type: "string", default: "5" },
        gigabytes: { type: "string", default: "0.25" },
        cutovers: { type: "string", default: "10" },
      },
    }).values;
  } catch (error) {
    return firstLine(error);
  }
  const parts = given.only.split(",");
  const unknown = parts.find((part) => !Object.hasOwn(PARTS, part));
  if (unknown !== undefined) {
    return `--only: there is no part "${unknown}"; there are ${Object.keys(PARTS).join(", ")}`;
  }
  const seconds = Number(given.seconds);
  if (!/^\d+$/.test(given.seconds) || seconds < 1 || seconds > SECONDS_MAX) {
    return `--seconds: a whole number from 1 to ${SECONDS_MAX} is needed, not "${given.seconds}"`;
  }
  const gigabytes = Number(given.gigabytes);
  if (!(gigabytes > 0 && gigabytes <= GIGABYTES_MAX)) {
    return `--gigabytes: a number up to ${GIGABYTES_MAX} is needed, not "${given.gigabytes}"`;
  }
  const cutovers = Number(given.cutovers);
  if (!/^\d+$/.test(given.cutovers) || cutovers < 1 || cutovers > CUTOVERS_MAX) {
    return `--cutovers: a whole number from 1 to ${CUTOVERS_MAX} is needed, not "${given.cutovers}"`;
  }
  return { parts, seconds, gigabytes, cutovers };
}

/** parseArgs explains some complaints in lines of their own. */
function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split("\n", 1)[0] ?? "";
}

async function runComparison(words: readonly string[]): Promise<number> {
  let wish: Parameters<typeof compare>[0];
  try {
    wish = readComparison(words);
  } catch (error) {
    process.stderr.write(`bench: ${firstLine(error)}\n`);
    return 2;
  }
  return compare(wish);
}

async function main(): Promise<number> {
  const [command, ...words] = process.argv.slice(2);
  if (command === "compare") return runComparison(words);
  const wish = readWish(
    command === "migrate" ? ["--only", "migrate", ...words] : process.argv.slice(2),
  );
  if (typeof wish === "string") {
    process.stderr.write(`bench: ${wish}\n`);
    return 2;
  }
  process.stdout.write(
    `${cpus().length} x ${cpus()[0]?.model ?? "unknown processor"}, Node ${process.version}\n`,
  );
  const broken: string[] = [];
  for (const name of wish.parts) {
    for (const measurement of (await PARTS[name]?.(wish)) ?? []) {
      process.stdout.write(`${line(measurement)}\n`);
      if (!isHeld(measurement)) broken.push(measurement.name);
    }
  }
  for (const name of broken) process.stderr.write(`bench: bound not held: ${name}\n`);
  return broken.length === 0 ? 0 : 1;
}

function line(measurement: Measurement): string {
  const { name, value, unit, spread, bound } = measurement;
  const shown = `${name.padEnd(64)} ${number(value).padStart(9)} ${unit.padEnd(8)}`;
  const around = spread === undefined ? "" : ` ${number(spread[0])} to ${number(spread[1])}`;
  if (bound === undefined) return `${shown}${around}`.trimEnd();
  return `${shown}${around} bound ${bound} ${unit}: ${isHeld(measurement) ? "held" : "NOT HELD"}`;
}

function number(value: number): string {
  return value.toFixed(value < 10 ? 2 : 0);
}

function isHeld({ value, bound }: Measurement): boolean {
  return bound === undefined || value <= bound;
}

process.exitCode = await main();
