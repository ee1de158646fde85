/** Runs this program's own command line as a person does: another process, its output, its exit code. */
import { type ChildProcess, spawn } from "node:child_process";
import { extname, join } from "node:path";
import { packageFile } from "../package-root.ts";
import { endWithUs } from "./end-with-us.ts";

export interface CommandResult {
  /** null where a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCommand {
  readonly child: ChildProcess;
  readonly finished: Promise<CommandResult>;
  /** Fulfilled when standard output holds the text; rejected when the command ends before. */
  untilPrinted(text: string): Promise<void>;
  output(): string;
}

/** `main.ts` in a clone, `main.js` in an installed package. */
const ENTRY = join(import.meta.dirname, "..", `main${extname(import.meta.filename)}`);

/** Paths among the words are whole, or of the package's directory. */
export function startCommand(...words: readonly string[]): RunningCommand {
  const child = spawn(process.execPath, [ENTRY, ...words], {
    cwd: packageFile(),
    stdio: ["ignore", "pipe", "pipe"],
    // As from a terminal of its own, so that Ctrl-C reaches nobody but who started it.
    detached: true,
  });
  endWithUs(child);
  let stdout = "";
  let stderr = "";
  let onOutput: () => void = () => undefined;
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
    onOutput();
  });
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const finished = new Promise<CommandResult>((resolve) => {
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
  return {
    child,
    finished,
    output: () => stdout,
    untilPrinted: async (text) =>
      await new Promise((resolve, reject) => {
        onOutput = () => {
          if (stdout.includes(text)) resolve();
        };
        onOutput();
        void finished.then(({ code }) =>
          reject(
            new Error(`ended with ${code} before it printed "${text}":\n${stdout}\n${stderr}`),
          ),
        );
      }),
  };
}

export async function runCommand(...words: readonly string[]): Promise<CommandResult> {
  return await startCommand(...words).finished;
}
