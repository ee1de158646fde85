/**
 * The initialised data directory that throw-away servers copy theirs from. A test run makes one
 * for all its processes (vitest calls `setup`); a program on its own makes its own with its first
 * server, and removes it with its last.
 */
import { randomBytes } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { initializeDataDirectory } from "./embedded-server.ts";
import { findServerAccount, reachableDirectory } from "./server-account.ts";

/** Says to processes of one test run where their template is. */
const TEMPLATE_VARIABLE = "COLONNADE_SERVER_TEMPLATE";

/** Vitest's global setup: before the first test process starts, and after the last has ended. */
export async function setup(): Promise<() => Promise<void>> {
  const directory = await makeTemplate();
  process.env[TEMPLATE_VARIABLE] = directory;
  return async () => await rm(directory, { recursive: true, force: true });
}

let users = 0;
let ownTemplate: Promise<string> | undefined;

export async function acquireTemplate(): Promise<string> {
  const ofTheRun = process.env[TEMPLATE_VARIABLE];
  if (ofTheRun !== undefined) return ofTheRun;
  users += 1;
  ownTemplate ??= makeTemplate();
  try {
    return await ownTemplate;
  } catch (cause) {
    users -= 1;
    ownTemplate = undefined;
    throw cause;
  }
}

export async function releaseTemplate(): Promise<void> {
  if (ownTemplate === undefined) return;
  users -= 1;
  if (users > 0) return;
  const directory = await ownTemplate;
  if (users > 0) return;
  ownTemplate = undefined;
  await rm(directory, { recursive: true, force: true });
}

/** Named by the process that makes it, so that what a killed one leaves is found. */
export function temporaryDirectory(): string {
  const name = `colonnade-server-${process.pid}-${randomBytes(6).toString("hex")}`;
  return reachableDirectory(join(tmpdir(), name), findServerAccount());
}

async function makeTemplate(): Promise<string> {
  await removeLeftovers();
  const directory = temporaryDirectory();
  await initializeDataDirectory(directory);
  return directory;
}

/** Of processes that were killed: their servers have stopped by themselves, their data has not gone. */
async function removeLeftovers(): Promise<void> {
  const parent = dirname(temporaryDirectory());
  for (const name of await readdir(parent).catch(() => [])) {
    const pid = /^colonnade-server-(\d+)-[0-9a-f]{12}(-[0-9a-f]{12})?$/.exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    await rm(join(parent, name), { recursive: true, force: true }).catch(() => undefined);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === "EPERM";
  }
}
