/**
 * A program in Python: a virtual environment of its own with the pinned packages of its
 * requirements.txt, and the module of checks that all of them share.
 */
import { execFile } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { ROOT } from "../../../tidy/sources.ts";
import type { CompatProgram, Missing, Ready } from "../compat-program.ts";

const run = promisify(execFile);

const MATRIX = join(ROOT, "test", "compat", "matrix");
const VERSION_MIN = "3.10";
/** What was installed, so that a second set-up finds it done. */
const INSTALLED = "requirements.installed";

export interface PythonProgram {
  readonly name: string;
  /** Below programs/, with main.py and requirements.txt. */
  readonly folder: string;
  /** As its package index names it. */
  readonly distribution: string;
  readonly checks?: CompatProgram["checks"];
  readonly extraChecks?: CompatProgram["extraChecks"];
}

export function pythonProgram(python: PythonProgram): CompatProgram {
  const { name, folder, distribution, checks, extraChecks } = python;
  return {
    name,
    language: "Python",
    ...(checks && { checks }),
    ...(extraChecks && { extraChecks }),
    setup: async (cacheFolder, signal) =>
      await setUpEnvironment(join(MATRIX, "programs", folder), cacheFolder, signal),
    command: (cacheFolder) => [interpreterOf(cacheFolder), "-B", "main.py"],
    version: async (cacheFolder) => {
      const program = `import importlib.metadata as m; print(m.version(${JSON.stringify(distribution)}))`;
      const { stdout } = await run(interpreterOf(cacheFolder), ["-c", program]);
      return stdout.trim();
    },
  };
}

async function setUpEnvironment(
  folder: string,
  cacheFolder: string,
  signal: AbortSignal,
): Promise<Ready | Missing> {
  const requirements = await readFile(join(folder, "requirements.txt"), "utf8");
  const marker = join(cacheFolder, INSTALLED);
  const installed = await readFile(marker, "utf8").catch(() => undefined);
  if (installed === requirements) {
    await shareModules(cacheFolder);
    return {};
  }
  if (!(await hasPython(signal))) return { missing: `Python ${VERSION_MIN} or later (python3)` };
  try {
    await run("python3", ["-m", "venv", "--clear", cacheFolder], { signal });
  } catch {
    return { missing: "Python's modules venv and ensurepip" };
  }
  const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
  await run(
    interpreterOf(cacheFolder),
    [...install, "--requirement", join(folder, "requirements.txt")],
    { signal },
  );
  await shareModules(cacheFolder);
  await writeFile(marker, requirements);
  return {};
}

async function hasPython(signal: AbortSignal): Promise<boolean> {
  const [major, minor] = VERSION_MIN.split(".");
  const program = `import sys; sys.exit(sys.version_info < (${major}, ${minor}))`;
  try {
    await run("python3", ["-c", program], { signal });
    return true;
  } catch {
    return false;
  }
}

/** A .pth file's lines are folders that Python looks for modules in; the repository may have moved. */
async function shareModules(cacheFolder: string): Promise<void> {
  const libraries = join(cacheFolder, "lib");
  for (const version of await readdir(libraries)) {
    const file = join(libraries, version, "site-packages", "colonnade-compat.pth");
    await writeFile(file, `${join(MATRIX, "python")}\n`);
  }
}

function interpreterOf(cacheFolder: string): string {
  return join(cacheFolder, "bin", "python");
}
