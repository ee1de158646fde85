/**
 * `colonnade rehearse`: a migration tried out on servers that are thrown away, with clients that
 * write down every answer, there to the end and once more with a rollback.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import { readSql } from "../dev/load-sql.ts";
import { CommandFailure, reasonOf } from "../failure.ts";
import { requireMap } from "../input-files.ts";
import { Interruption } from "../migrate/run.ts";
import { printJson, printLines } from "../output.ts";
import { packageVersion } from "../package-root.ts";
import { faultsOf } from "./faults.ts";
import { runPass } from "./pass.ts";
import type { PassOptions } from "./pass.ts";
import { Random } from "./random.ts";
import { EXIT_CODES, markdownOf, outcomeOf, summaryLines } from "./report.ts";
import type { PassReport, Report } from "./report.ts";

export interface RehearseFlags {
  readonly from: string;
  readonly to: string;
  readonly schema: string;
  readonly seed: number;
  readonly report?: string;
  /** Rows of each table that are there and that nobody writes. */
  readonly rows: number;
  /** Faults in each pass. */
  readonly faults: number;
  /** Milliseconds. */
  readonly hold: number;
  readonly proxies: number;
  readonly pass: "both" | "complete" | "rollback";
  readonly json?: true;
}

const WRITERS_PER_PROXY = 2;
const ROWS_PER_WRITER = 100;
/** At the first pass writers go as fast as answers come; at the second the stream keeps up with them. */
const PAUSE_MS = { complete: 0, rollback: 10 } as const;

/** Exit codes: 0 passed, 1 refused, 2 not done, 3 a promise is broken, 4 it did not end. */
export async function rehearseCommand(flags: RehearseFlags): Promise<void> {
  const [from, to] = [requireMap(flags.from), requireMap(flags.to)];
  requireSameCatalog(from, to);
  const statements = await readSql([flags.schema]);
  const directory = reportDirectory(flags.report);
  using interruption = new Interruption();
  const passes: PassReport[] = [];
  for (const name of ["complete", "rollback"] as const) {
    if (flags.pass !== "both" && flags.pass !== name) continue;
    const options = { ...passOptions(flags, name), from, to, statements };
    try {
      passes.push(await runPass(options, interruption.signal));
    } catch (error) {
      if (interruption.signal.aborted) throw new CommandFailure("interrupted: nothing is left");
      throw error;
    }
    if (passes.at(-1)?.outcome === "refused") break;
  }
  const report = reportOf(flags, passes);
  if (directory !== undefined) {
    writeFileSync(join(directory, "rehearsal.json"), `${JSON.stringify(report, null, 2)}\n`);
    writeFileSync(join(directory, "rehearsal.md"), markdownOf(report));
  }
  if (flags.json === true) printJson(report);
  else printLines(summaryLines(report));
  const code = EXIT_CODES[report.outcome];
  if (code !== 0) throw new CommandFailure(`the rehearsal is ${report.outcome}`, code);
}

function passOptions(
  { seed, faults, hold, rows, proxies, json }: RehearseFlags,
  name: PassReport["name"],
): Omit<PassOptions, "from" | "to" | "statements"> {
  return {
    name,
    proxyCount: proxies,
    traffic: {
      seed,
      rows,
      writersPerProxy: WRITERS_PER_PROXY,
      rowsPerWriter: ROWS_PER_WRITER,
      pauseMs: PAUSE_MS[name],
    },
    holdMs: hold,
    faults: faultsOf(new Random(seed * 2 + (name === "complete" ? 0 : 1)), faults),
    // Standard output is the report's alone.
    say: json === true ? () => undefined : (line) => printLines([line]),
  };
}

function requireSameCatalog(from: ShardMap, to: ShardMap): void {
  if (from.catalog === to.catalog && from.canonicalSchema === to.canonicalSchema) return;
  throw new CommandFailure(
    `--from has its catalog in ${from.catalog}.${from.canonicalSchema} and --to in ${to.catalog}.${to.canonicalSchema}: the canonical tables are not moved by a migration`,
    1,
  );
}

/** Made where it is missing, before anything is started. */
function reportDirectory(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    mkdirSync(resolve(path), { recursive: true });
    return resolve(path);
  } catch (cause) {
    throw new CommandFailure(`cannot use ${path} for the report: ${reasonOf(cause)}`, 2, { cause });
  }
}

function reportOf(flags: RehearseFlags, passes: readonly PassReport[]): Report {
  return {
    schema: 1,
    run: {
      seed: flags.seed,
      version: packageVersion(),
      node: process.versions.node,
      mapFrom: flags.from,
      mapTo: flags.to,
    },
    outcome: outcomeOf(passes),
    passes,
  };
}
