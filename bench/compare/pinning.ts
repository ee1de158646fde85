/**
 * Which core does what, so that the scheduler moves nothing about while it is measured. A proxy of
 * one process has a core of its own to run on; with four cores or more nobody else uses it.
 */
import { execFileSync } from "node:child_process";
import { availableParallelism } from "node:os";
import { treeOf } from "./proc.ts";

/** Lists of cores, as `taskset` takes them; undefined: any. */
export interface CoreLayout {
  readonly proxy: string | undefined;
  readonly load: string | undefined;
  readonly server: string | undefined;
}

/** Below it, a core for the proxy alone would leave the server and the load to share one. */
const CORES_FOR_ALL_MIN = 4;
const NO_LAYOUT: CoreLayout = { proxy: undefined, load: undefined, server: undefined };

export function coreLayout(cores: number, hasTaskset: boolean): CoreLayout {
  if (!hasTaskset || cores < 2) return NO_LAYOUT;
  if (cores < CORES_FOR_ALL_MIN) return { ...NO_LAYOUT, proxy: "0" };
  return { proxy: "0", load: "1", server: `2-${cores - 1}` };
}

export function layoutHere(): CoreLayout {
  return coreLayout(availableParallelism(), canPin());
}

function canPin(): boolean {
  try {
    execFileSync("taskset", ["-c", "-p", String(process.pid)], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** All threads of these processes and of those below them; what they start later inherits it. */
export function pin(roots: readonly number[], cores: string | undefined): void {
  if (cores === undefined) return;
  for (const pid of treeOf(roots))
    execFileSync("taskset", ["-a", "-c", "-p", cores, String(pid)], { stdio: "ignore" });
}
