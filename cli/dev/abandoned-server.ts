/**
 * Clears a data directory of the server that an earlier, killed process of ours left in it.
 *
 * Only a process whose command line names this very data directory is stopped: the
 * number in postmaster.pid may long belong to somebody else.
 */
import { execFile } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

/** A fast shutdown writes a checkpoint; the watch of embedded-server.ts has usually begun it already. */
const ABANDONED_STOP_MS = 20_000;
const ABANDONED_POLL_MS = 50;

const run = promisify(execFile);

export async function stopAbandonedServer(dataDirectory: string): Promise<void> {
  const pidFile = join(dataDirectory, "postmaster.pid");
  const pid = await readPid(pidFile);
  if (pid === undefined) return;
  if (!(await isServerOf(pid, dataDirectory))) {
    // PostgreSQL would refuse to start while any process, whichever, has this number.
    await rm(pidFile, { force: true });
    return;
  }
  signalIfAlive(pid, "SIGINT");
  const deadline = Date.now() + ABANDONED_STOP_MS;
  while (await isServerOf(pid, dataDirectory)) {
    if (Date.now() > deadline) {
      throw new Error(
        `a PostgreSQL server (process ${pid}) still uses ${dataDirectory}: stop it, then start again`,
      );
    }
    await sleep(ABANDONED_POLL_MS);
  }
}

async function readPid(pidFile: string): Promise<number | undefined> {
  const text = await readFile(pidFile, "utf8").catch(() => "");
  const pid = Number.parseInt(text.split("\n")[0] ?? "", 10);
  return Number.isInteger(pid) && pid > 1 ? pid : undefined;
}

async function isServerOf(pid: number, dataDirectory: string): Promise<boolean> {
  const { stdout } = await run("ps", ["-ww", "-o", "args=", "-p", String(pid)]).catch(() => ({
    stdout: "",
  }));
  return stdout.includes("postgres") && stdout.includes(`-D ${dataDirectory} `);
}

function signalIfAlive(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ESRCH") throw cause;
  }
}
