/**
 * Runs one program of the matrix against one target, and reads its lines. What the program
 * printed is judged here: a check it does not know of, one told twice and one not told are failures of the
 * program, as is an end by a signal or by the clock.
 */
import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { ROOT } from "../../tidy/sources.ts";
import {
  type Answer,
  checksOf,
  type CheckResult,
  type CompatProgram,
  PROGRAM_TIMEOUT_MS,
  SETUP_TIMEOUT_MS,
} from "./compat-program.ts";
import {
  DATABASE,
  EMPTY_DATABASE,
  HOST,
  PASSWORD,
  type Servers,
  type Target,
  USER,
} from "./servers.ts";

export interface FoundProgram {
  /** The name of its folder. */
  readonly folder: string;
  readonly program: CompatProgram;
}

export interface ProgramRun {
  readonly results: ReadonlyMap<string, CheckResult>;
  /** By what was asked. */
  readonly answers: ReadonlyMap<string, string>;
  /** What is wrong with the run as a whole: no end, a line that is none. */
  readonly faults: readonly string[];
  readonly standardError: string;
  readonly milliseconds: number;
}

const STANDARD_ERROR_CHARS = 4_000;
const CACHE = join(ROOT, "node_modules", ".cache", "colonnade-compat");

const checkLine = z.object({
  check: z.string(),
  outcome: z.enum(["passed", "failed", "absent"]),
  detail: z.string().default(""),
});

const answerLine = z.object({ asked: z.string(), answered: z.string() });

export async function cacheFolderOf(found: FoundProgram): Promise<string> {
  const folder = join(CACHE, found.folder);
  await mkdir(folder, { recursive: true });
  return folder;
}

/** Undefined where the program is ready to run, otherwise what is missing. */
export async function setUp(found: FoundProgram, cacheFolder: string): Promise<string | undefined> {
  try {
    const signal = AbortSignal.timeout(SETUP_TIMEOUT_MS);
    return (await found.program.setup(cacheFolder, signal)).missing;
  } catch (error) {
    return `its setup failed: ${String(error)}`;
  }
}

export async function runProgram(
  found: FoundProgram,
  cacheFolder: string,
  servers: Servers,
  target: Target,
): Promise<ProgramRun> {
  const [file, ...words] = found.program.command(cacheFolder);
  const begun = Date.now();
  const child = spawn(file, words, {
    cwd: join(ROOT, "test", "compat", "matrix", "programs", found.folder),
    env: environmentOf(servers, target),
    stdio: ["ignore", "pipe", "pipe"],
    // A group of its own, so that what it starts ends with it.
    detached: true,
  });
  let standardOutput = "";
  let standardError = "";
  child.stdout.on("data", (chunk: Buffer) => (standardOutput += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => {
    standardError = (standardError + chunk.toString()).slice(-STANDARD_ERROR_CHARS);
  });
  const timeoutMs = found.program.timeoutMs ?? PROGRAM_TIMEOUT_MS;
  const timer = setTimeout(() => killGroup(child.pid), timeoutMs);
  const ending = await new Promise<string | undefined>((resolve) => {
    child.once("error", (error) => resolve(`it did not start: ${error.message}`));
    child.once("close", (code, signal) => {
      if (code === 0) resolve(undefined);
      else resolve(code === null ? `ended by ${signal}` : `ended with exit code ${code}`);
    });
  });
  clearTimeout(timer);
  killGroup(child.pid);
  const milliseconds = Date.now() - begun;
  const isTooLong = milliseconds >= timeoutMs;
  const { results, answers, faults } = readLines(standardOutput, found.program);
  if (ending !== undefined) faults.push(ending);
  if (isTooLong) faults.push(`not ended after ${timeoutMs / 1000} s`);
  return { results, answers, faults, standardError, milliseconds };
}

function readLines(
  text: string,
  program: CompatProgram,
): { results: Map<string, CheckResult>; answers: Map<string, string>; faults: string[] } {
  const results = new Map<string, CheckResult>();
  const answers = new Map<string, string>();
  const faults: string[] = [];
  const known = checksOf(program);
  for (const line of text.split("\n").filter((each) => each.trim() !== "")) {
    const read = parseLine(line);
    if (read === undefined) faults.push(`not a check's line: ${line}`);
    else if ("asked" in read) answers.set(read.asked, read.answered);
    else if (!known.includes(read.check)) faults.push(`unknown check "${read.check}"`);
    else if (results.has(read.check)) faults.push(`check "${read.check}" told twice`);
    else results.set(read.check, read);
  }
  for (const check of known) {
    if (!results.has(check)) results.set(check, { check, outcome: "failed", detail: "not told" });
  }
  return { results, answers, faults };
}

function parseLine(line: string): CheckResult | Answer | undefined {
  try {
    const read: unknown = JSON.parse(line);
    return answerLine.safeParse(read).data ?? checkLine.parse(read);
  } catch {
    return undefined;
  }
}

/** What a program is started with: of PG variables, only ours. */
export function environmentOf(servers: Servers, target: Target): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("PG"));
  return {
    ...Object.fromEntries(inherited),
    PGHOST: HOST,
    PGPORT: String(target.port),
    PGUSER: USER,
    PGPASSWORD: PASSWORD,
    PGDATABASE: DATABASE,
    PGSSLMODE: "verify-full",
    PGSSLROOTCERT: servers.caFile,
    COMPAT_TARGET: target.name,
    COMPAT_SCHEMA: "public",
    // For what is restored: a database of the plain server, empty when the program starts.
    COMPAT_EMPTY_PORT: String(servers.targets[0].port),
    COMPAT_EMPTY_DATABASE: EMPTY_DATABASE,
    TZ: "UTC",
    // Goes with the servers, whatever a program that had to be killed has left there.
    TMPDIR: dirname(servers.caFile),
  };
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended, and all it started.
  }
}
