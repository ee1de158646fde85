/**
 * `npm run bench -- compare`: the proxy beside others that do its work, in short slices that
 * take turns (A B C, A B C, ...), so that whatever else the machine does falls on all alike.
 * What counts is the ratio within a turn; medians and quartiles over the turns are printed.
 */
import { execFileSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { cpus, loadavg, release, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { hasPgbench, runPgbench } from "../../test/pgbench/pgbench.ts";
import { startPostgres } from "../../test/support/postgres.ts";
import { median, spread } from "../measurement.ts";
import { CASES, SETUP } from "./cases.ts";
import type { Case } from "./cases.ts";
import { CONTENDERS } from "./contenders.ts";
import type { Contender } from "./contenders.ts";
import { machineSeconds, processSeconds } from "./process-time.ts";

/** One contender at one case for one slice. */
interface Slice {
  readonly case: string;
  readonly contender: string;
  readonly turn: number;
  readonly perSecond: number;
  /** Of the proxy's process; undefined for direct connections. */
  readonly cpuMicroseconds: number | undefined;
  /** Cores busy on the whole machine, our own work included. */
  readonly busyCores: number;
}

interface Wish {
  readonly seconds: number;
  readonly turns: number;
  readonly cases: readonly Case[];
  readonly contenders: readonly string[];
  readonly json: string | undefined;
}

const SECONDS_MAX = 3_600;
const TURNS_MAX = 1_000;

/** What was asked for; throws what is wrong with it. */
export function readWish(words: readonly string[]): Wish {
  const { values } = parseArgs({
    args: [...words],
    options: {
      seconds: { type: "string", default: "2" },
      turns: { type: "string", default: "5" },
      cases: { type: "string", default: CASES.map(({ name }) => name).join(",") },
      contenders: { type: "string", default: Object.keys(CONTENDERS).join(",") },
      json: { type: "string" },
    },
  });
  const caseNames = CASES.map(({ name }) => name);
  const wanted = chosen("cases", values.cases, caseNames);
  return {
    seconds: wholeNumber("seconds", values.seconds, SECONDS_MAX),
    turns: wholeNumber("turns", values.turns, TURNS_MAX),
    cases: CASES.filter(({ name }) => wanted.includes(name)),
    contenders: chosen("contenders", values.contenders, Object.keys(CONTENDERS)),
    json: values.json,
  };
}

function chosen(option: string, list: string, known: readonly string[]): readonly string[] {
  const names = list.split(",");
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return names;
  throw new Error(`--${option}: there is no "${unknown}"; there are ${known.join(", ")}`);
}

function wholeNumber(option: string, text: string, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= max) return value;
  throw new Error(`--${option}: a whole number from 1 to ${max} is needed, not "${text}"`);
}

export async function compare(wish: Wish): Promise<number> {
  if (!hasPgbench()) {
    process.stderr.write("bench: compare needs pgbench\n");
    return 2;
  }
  const contenders: Contender[] = [];
  const slices: Slice[] = [];
  await using server = await startPostgres({ databases: ["app"] });
  await server.query("app", SETUP);
  try {
    for (const name of wish.contenders) {
      const contender = await CONTENDERS[name]?.(server);
      if (contender === undefined) process.stdout.write(`${name}: not installed, left out\n`);
      else contenders.push(contender);
    }
    for (const each of wish.cases) {
      // The first slice of each pays for connections, caches and compilation.
      for (const contender of contenders) await slice(each, contender, 0, 1);
      for (let turn = 1; turn <= wish.turns; turn += 1)
        for (const contender of contenders)
          slices.push(await slice(each, contender, turn, wish.seconds));
      printCase(each, contenders, slices);
    }
  } finally {
    for (const contender of contenders) await contender[Symbol.asyncDispose]();
  }
  if (wish.json !== undefined)
    await writeFile(
      wish.json,
      JSON.stringify({ ...circumstances(wish, contenders), slices }, undefined, 1),
    );
  return 0;
}

async function slice(
  of: Case,
  contender: Contender,
  turn: number,
  seconds: number,
): Promise<Slice> {
  const { pid, name, port, database } = contender;
  const { protocol, clients, script } = of;
  const cpuBefore = pid === undefined ? 0 : processSeconds(pid);
  const machineBefore = machineSeconds();
  const started = performance.now();
  const run = { host: "127.0.0.1", port, database: database(of), protocol, seconds, clients };
  const { transactions, perSecond } = await runPgbench({ ...run, script });
  const tookSeconds = (performance.now() - started) / 1000;
  const cpu = pid === undefined ? undefined : processSeconds(pid) - cpuBefore;
  return {
    case: of.name,
    contender: name,
    turn,
    perSecond,
    cpuMicroseconds: cpu === undefined ? undefined : (cpu * 1e6) / transactions,
    busyCores: (machineSeconds() - machineBefore) / tookSeconds,
  };
}

function printCase(
  { name }: Case,
  contenders: readonly Contender[],
  slices: readonly Slice[],
): void {
  const ours = slices.filter((each) => each.case === name);
  const of = (contender: string) => ours.filter((each) => each.contender === contender);
  for (const contender of contenders) {
    const own = of(contender.name);
    const rates = own.map(({ perSecond }) => perSecond);
    const cpu = own.flatMap(({ cpuMicroseconds }) => cpuMicroseconds ?? []);
    const cells = [
      name.padEnd(20),
      contender.name.padEnd(12),
      `${around(rates, 0)} per s`.padEnd(34),
      cpu.length === 0 ? "".padEnd(30) : `${around(cpu, 1)} us CPU`.padEnd(30),
    ];
    for (const other of contenders.filter((each) => each !== contender)) {
      if (contender.name !== "colonnade") continue;
      const against = of(other.name);
      cells.push(`${ratio(own, against, "perSecond")} x ${other.name}`);
      if (other.pid !== undefined)
        cells.push(`${ratio(own, against, "cpuMicroseconds")} x its CPU`);
    }
    process.stdout.write(`${cells.join(" ").trimEnd()}\n`);
  }
}

/** Turn by turn: what disturbed one contender mostly disturbed its neighbour, too. */
function ratio(
  own: readonly Slice[],
  other: readonly Slice[],
  of: "perSecond" | "cpuMicroseconds",
): string {
  const ratios = own.map(
    (each, index) => (each[of] ?? Number.NaN) / (other[index]?.[of] ?? Number.NaN),
  );
  return around(ratios, 2);
}

function around(values: readonly number[], digits: number): string {
  const [low, high] = spread(values);
  return `${median(values).toFixed(digits)} (${low.toFixed(digits)} to ${high.toFixed(digits)})`;
}

function circumstances(
  { seconds, turns }: Wish,
  contenders: readonly Contender[],
): Readonly<Record<string, unknown>> {
  const git = (...words: string[]) =>
    execFileSync("git", words, { cwd: import.meta.dirname })
      .toString()
      .trim();
  return {
    at: new Date().toISOString(),
    commit: git("rev-parse", "HEAD"),
    isClean: git("status", "--porcelain", "--untracked-files=no") === "",
    machine: {
      cores: cpus().length,
      processor: cpus()[0]?.model,
      memoryBytes: totalmem(),
      kernel: release(),
      load: loadavg(),
    },
    node: process.version,
    pgbench: execFileSync("pgbench", ["--version"]).toString().trim(),
    contenders: Object.fromEntries(contenders.map(({ name, version }) => [name, version])),
    seconds,
    turns,
  };
}
