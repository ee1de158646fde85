/**
 * A program in Rust: one package of this workspace, compiled into the cache folder with the
 * crates of Cargo.lock.
 */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { ROOT } from "../../../tidy/sources.ts";
import type { CompatProgram, Missing, Ready } from "../compat-program.ts";

const run = promisify(execFile);

const WORKSPACE = join(ROOT, "test", "compat", "matrix", "rust");

export interface RustProgram {
  readonly name: string;
  /** Of this workspace. */
  readonly package: string;
  /** As Cargo.lock names it. */
  readonly crate: string;
  readonly extraChecks?: CompatProgram["extraChecks"];
}

export function rustProgram(rust: RustProgram): CompatProgram {
  const { name, crate, extraChecks } = rust;
  return {
    name,
    language: "Rust",
    ...(extraChecks && { extraChecks }),
    setup: async (cacheFolder, signal) => await build(rust.package, cacheFolder, signal),
    command: (cacheFolder) => [join(cacheFolder, "debug", rust.package)],
    version: async () => {
      const lock = await readFile(join(WORKSPACE, "Cargo.lock"), "utf8");
      return new RegExp(`name = "${crate}"\nversion = "([^"]+)"`).exec(lock)?.[1] ?? "";
    },
  };
}

/** Cargo itself knows what is compiled already, and which Rust it needs. */
async function build(
  name: string,
  cacheFolder: string,
  signal: AbortSignal,
): Promise<Ready | Missing> {
  const minimum = await requiredVersion();
  const version = await installedVersion(signal);
  if (version === undefined || version.localeCompare(minimum, "en", { numeric: true }) < 0) {
    return { missing: `Rust ${minimum} or later (cargo)` };
  }
  await run("cargo", ["build", "--quiet", "--locked", "--package", name], {
    cwd: WORKSPACE,
    env: { ...process.env, CARGO_TARGET_DIR: cacheFolder },
    signal,
  });
  return {};
}

async function requiredVersion(): Promise<string> {
  const text = await readFile(join(WORKSPACE, "Cargo.toml"), "utf8");
  return /^rust-version = "(\d+\.\d+)"/m.exec(text)?.[1] ?? "";
}

async function installedVersion(signal: AbortSignal): Promise<string | undefined> {
  try {
    const { stdout } = await run("cargo", ["--version"], { signal });
    return /^cargo (\d+\.\d+)/.exec(stdout)?.[1];
  } catch {
    return undefined;
  }
}
