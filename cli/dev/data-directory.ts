/**
 * The directory that `colonnade dev` keeps between two starts: one process at a time may
 * use it, and it remembers which server holds which database and whether the first start
 * came to its end.
 */
import { execFileSync } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";
import { CommandFailure, reasonOf } from "../failure.ts";

const stateSchema = z.strictObject({
  /** Database name to the index of its server. */
  servers: z.record(z.string(), z.int().min(0)),
  /** The SQL of the first start has run to its end. */
  isLoaded: z.boolean(),
});

export type DevState = z.output<typeof stateSchema>;

export interface DevDirectory extends Disposable {
  readonly path: string;
  /** undefined on a first start. */
  readState(): DevState | undefined;
  writeState(state: DevState): void;
  /** The map as other commands may use it while the servers run. Gives its path. */
  writeMap(text: string): string;
}

const LOCK = "lock";
const STATE = "state.json";
const MAP = "map.yaml";

/** Takes the directory for this process; it is made where it is missing. */
export function openDevDirectory(directory: string): DevDirectory {
  const path = resolve(directory);
  makeDirectory(path);
  refuseForeignDirectory(path);
  takeLock(path);
  return {
    path,
    readState: () => readState(path),
    writeState: (state) => writeFileSync(join(path, STATE), `${JSON.stringify(state, null, 2)}\n`),
    writeMap: (text) => {
      const file = join(path, MAP);
      writeFileSync(file, text);
      return file;
    },
    [Symbol.dispose]: () => rmSync(join(path, LOCK), { force: true }),
  };
}

/** Its parent must exist: a mistyped path is not made whole. */
function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o755 });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === "EEXIST") return;
    throw unusable(path, code === "ENOENT" ? "its parent is missing" : reasonOf(cause), cause);
  }
}

function unusable(path: string, reason: string, cause?: unknown): CommandFailure {
  return new CommandFailure(
    `cannot use ${path} for the servers' data (${reason}): name another directory with --data`,
    2,
    { cause },
  );
}

/** `--reset` empties the directory, so it must never be one that holds something else. */
function refuseForeignDirectory(path: string): void {
  let names: readonly string[];
  try {
    names = readdirSync(path);
  } catch (cause) {
    throw unusable(path, reasonOf(cause), cause);
  }
  if (names.length === 0 || names.includes(LOCK) || names.includes(STATE)) return;
  throw unusable(path, "it holds files that are not ours");
}

function takeLock(path: string): void {
  const lock = join(path, LOCK);
  for (;;) {
    try {
      const file = openSync(lock, "wx", 0o644);
      writeFileSync(file, `${process.pid} ${startTime(process.pid)}\n`);
      closeSync(file);
      return;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EEXIST") {
        throw unusable(path, reasonOf(cause), cause);
      }
    }
    const holder = lockHolder(lock);
    if (holder !== undefined) {
      throw new CommandFailure(
        `colonnade dev (process ${holder}) already uses ${path}: stop it, or name another directory with --data`,
      );
    }
    rmSync(lock, { force: true });
  }
}

/** The running process that the lock names; undefined where it is gone, also if its number went to another. */
function lockHolder(lock: string): number | undefined {
  let text = "";
  try {
    text = readFileSync(lock, "utf8").trim();
  } catch {
    return undefined;
  }
  const [, digits, started] = /^(\d+) (.*)$/.exec(text) ?? [];
  const pid = Number(digits);
  if (digits === undefined || pid === process.pid) return undefined;
  const now = startTime(pid);
  return now !== "" && now === started ? pid : undefined;
}

/** When a process began, as `ps` prints it; empty where there is no such process. */
function startTime(pid: number): string {
  try {
    const flags = ["-o", "lstart=", "-p", String(pid)];
    const env = { PATH: process.env["PATH"] ?? "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };
    return execFileSync("ps", flags, { env, stdio: ["ignore", "pipe", "ignore"] })
      .toString()
      .trim();
  } catch {
    return "";
  }
}

function readState(path: string): DevState | undefined {
  let text: string;
  try {
    text = readFileSync(join(path, STATE), "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw unusable(path, reasonOf(cause), cause);
  }
  try {
    return stateSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new CommandFailure(
      `${join(path, STATE)} is damaged: begin anew with --reset, or name another directory with --data`,
      2,
      { cause },
    );
  }
}
