/** One that stands between clients and servers, ready to be measured; and how its program is started. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findServerAccount } from "../../../cli/dev/server-account.ts";

export interface Contender extends AsyncDisposable {
  readonly name: string;
  /** Of its program, for the record. */
  readonly version: string;
  readonly port: number;
  /** What a client connects to, by whether it prepares statements by name. */
  readonly database: (prepares: boolean) => string;
  /** The proxy's processes, whose time and memory count; none where nothing stands between client and server. */
  readonly pids: readonly number[];
  /** One process does all of its work, so it may have a core of its own. */
  readonly isSingleProcess: boolean;
  /** What a case does in one statement where the servers' own tables are not to be had: other texts. */
  readonly dialect: "tables" | "functions";
  /** Of the slice before those that count, which pays for connections and caches. */
  readonly warmUpSeconds: number;
  /** Gives back what it holds without need, before its memory is looked at. */
  readonly settle: () => Promise<void>;
  /** Where its inspector opens, if it was started to be profiled. */
  readonly inspectorPort: number | undefined;
}

/** What most contenders are like. */
export const USUAL_CONTENDER = {
  database: () => "app",
  isSingleProcess: true,
  dialect: "tables",
  warmUpSeconds: 1,
  settle: async () => undefined,
  inspectorPort: undefined,
} as const satisfies Partial<Contender>;

const HOST = "127.0.0.1";
const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 10_000;

/** The first of these files that there is. */
export function firstFile(...paths: readonly string[]): string | undefined {
  return paths.find((path) => existsSync(path));
}

/** Files by their names; they may say where they are. */
type Files = (path: (name: string) => string) => Readonly<Record<string, string>>;

/** A directory that the servers' account may write in, with these files. */
export async function configured(
  filesAt: Files,
): Promise<{ readonly directory: string; readonly path: (name: string) => string }> {
  const directory = await mkdtemp(join(tmpdir(), "colonnade-bench-"));
  const path = (name: string): string => join(directory, name);
  const files = filesAt(path);
  for (const [name, text] of Object.entries(files)) await writeFile(path(name), text);
  const account = findServerAccount();
  if (account !== undefined)
    for (const owned of [directory, ...Object.keys(files).map(path)])
      chownSync(owned, account.uid, account.gid);
  return { directory, path };
}

export interface Daemon extends AsyncDisposable {
  readonly pid: number;
}

/** What a program that is started is told apart by. */
export interface DaemonOptions {
  readonly port: number;
  readonly directory: string;
  readonly stopBy: NodeJS.Signals;
  /** It is a file of this project, which the servers' account may not be able to read. */
  readonly isOurs?: true;
}

/**
 * Runs a program in the foreground as the servers' account until it listens; its end is a signal
 * and, where that is not heeded, SIGKILL. Its directory goes with it.
 */
export async function startDaemon(
  command: readonly [program: string, ...words: string[]],
  { port, directory, stopBy, isOurs }: DaemonOptions,
): Promise<Daemon> {
  const [program, ...words] = command;
  const account = isOurs === true ? undefined : findServerAccount();
  const child = spawn(program, words, {
    cwd: directory,
    stdio: ["ignore", "ignore", "pipe"],
    ...(account && { uid: account.uid, gid: account.gid }),
  });
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-2_000)));
  const stop = async (): Promise<void> => {
    await endProcess(child, stopBy);
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await untilListening(port, child);
  } catch (cause) {
    await stop();
    throw new Error(`${program} does not listen: ${errors}`, { cause });
  }
  return { pid: child.pid as number, [Symbol.asyncDispose]: stop };
}

async function endProcess(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill(signal);
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(timer);
}

async function untilListening(port: number, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const socket = net.connect(port, HOST);
    try {
      await once(socket, "connect");
      return;
    } catch (error) {
      if (child.exitCode !== null || performance.now() > deadline) throw error;
      await sleep(20);
    } finally {
      socket.destroy();
    }
  }
}
