/**
 * A program in Go: one of this module's commands, compiled into the cache folder. Modules are
 * those of go.sum, fetched by the go command into a folder beside it.
 */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { ROOT } from "../../../tidy/sources.ts";
import type { CompatProgram, Missing, Ready } from "../compat-program.ts";

const run = promisify(execFile);

const MODULE = join(ROOT, "test", "compat", "matrix", "go");

export interface GoProgram {
  readonly name: string;
  /** Of the command's package, below this module. */
  readonly folder: string;
  /** As go.mod names it. */
  readonly module: string;
  readonly checks?: CompatProgram["checks"];
  readonly extraChecks?: CompatProgram["extraChecks"];
}

export function goProgram(go: GoProgram): CompatProgram {
  const { name, folder, module, checks, extraChecks } = go;
  return {
    name,
    language: "Go",
    ...(checks && { checks }),
    ...(extraChecks && { extraChecks }),
    setup: async (cacheFolder, signal) => await build(folder, cacheFolder, signal),
    command: (cacheFolder) => [executableOf(cacheFolder)],
    version: async () => {
      const text = await readFile(join(MODULE, "go.mod"), "utf8");
      const words = text.split("\n").map((line) => line.trim().split(/\s+/));
      return (
        words.flatMap(([path, version]) => (path === module && version ? version : []))[0] ?? ""
      );
    },
  };
}

/** The go command itself knows what is built already. */
async function build(
  folder: string,
  cacheFolder: string,
  signal: AbortSignal,
): Promise<Ready | Missing> {
  const minimum = await requiredVersion();
  const version = await installedVersion(signal);
  if (version === undefined || isOlder(version, minimum))
    return { missing: `Go ${minimum} or later` };
  const modules = join(dirname(cacheFolder), "go-modules");
  await run("go", ["build", "-o", executableOf(cacheFolder), `./${folder}`], {
    cwd: MODULE,
    // Files that can be removed with the rest, and no other toolchain than the one that is there.
    env: { ...process.env, GOMODCACHE: modules, GOFLAGS: "-modcacherw", GOTOOLCHAIN: "local" },
    signal,
  });
  return {};
}

async function requiredVersion(): Promise<string> {
  const text = await readFile(join(MODULE, "go.mod"), "utf8");
  return /^go (\d+\.\d+)/m.exec(text)?.[1] ?? "";
}

async function installedVersion(signal: AbortSignal): Promise<string | undefined> {
  try {
    const { stdout } = await run("go", ["env", "GOVERSION"], { signal });
    return /^go(\d+\.\d+)/.exec(stdout)?.[1];
  } catch {
    return undefined;
  }
}

function isOlder(version: string, minimum: string): boolean {
  return version.localeCompare(minimum, "en", { numeric: true }) < 0;
}

function executableOf(cacheFolder: string): string {
  return join(cacheFolder, "program");
}
