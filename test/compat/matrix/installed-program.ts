/**
 * A program in a language of the machine's own, with the machine's own packages: nothing is
 * installed for it, and where something is missing it is skipped by that name.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { CompatProgram } from "./compat-program.ts";

const run = promisify(execFile);

export interface InstalledProgram extends Pick<
  CompatProgram,
  "name" | "language" | "checks" | "extraChecks"
> {
  /** Prints the version, and fails where the interpreter or the package is not there. */
  readonly probe: readonly [string, ...string[]];
  /** What is missing then, and where it is to be had. */
  readonly missing: string;
  readonly command: readonly [string, ...string[]];
}

export function installedProgram(installed: InstalledProgram): CompatProgram {
  const { name, language, checks, extraChecks, probe, missing, command } = installed;
  const [file, ...words] = probe;
  return {
    name,
    language,
    ...(checks && { checks }),
    ...(extraChecks && { extraChecks }),
    setup: async (_cacheFolder, signal) =>
      await run(file, words, { signal }).then(
        () => ({}),
        () => ({ missing }),
      ),
    command: () => command,
    version: async () => (await run(file, words)).stdout.trim(),
  };
}
