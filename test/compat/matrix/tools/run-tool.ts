/** Runs one of PostgreSQL's programs for a check: its input, and all it says in the order it says it. */
import { spawn } from "node:child_process";
import { mkdtemp, open, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Tool } from "./postgresql-18.ts";

export interface ToolRun {
  readonly code: number | null;
  /** Standard output and standard error together. */
  readonly said: string;
}

export interface ToolInput {
  readonly words?: readonly string[];
  readonly input?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Sends SIGINT a moment after it has printed this. */
  readonly interruptAfter?: string;
}

const TIMEOUT_MS = 60_000;
/** What comes after the words it waits for has been sent by then. */
const INTERRUPT_AFTER_MS = 500;

/** Both outputs go to one file: two pipes would lose their order. */
export async function runTool(tool: Tool, more: ToolInput): Promise<ToolRun> {
  const directory = await mkdtemp(join(tmpdir(), "colonnade-compat-tool-"));
  const path = join(directory, "said");
  const file = await open(path, "a");
  try {
    const child = spawn(tool.file, [...(more.words ?? [])], {
      cwd: directory,
      env: { ...process.env, ...tool.environment, ...more.environment },
      stdio: ["pipe", file.fd, file.fd],
      timeout: TIMEOUT_MS,
    });
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(more.input ?? "");
    const ended = new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    if (more.interruptAfter !== undefined) {
      while (
        child.exitCode === null &&
        !(await readFile(path, "utf8")).includes(more.interruptAfter)
      )
        await sleep(50);
      await sleep(INTERRUPT_AFTER_MS);
      child.kill("SIGINT");
    }
    return { code: await ended, said: await readFile(path, "utf8") };
  } finally {
    await file.close();
    await rm(directory, { recursive: true, force: true });
  }
}
