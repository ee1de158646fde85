/** What /proc tells of processes and of the machine: CPU time and memory. Linux alone has it. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

/** USER_HZ: what /proc counts in, 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
const BYTES_PER_KILOBYTE = 1024;

/** Of one line of /proc/PID/stat. */
export interface ProcessStat {
  readonly parent: number;
  /** Seconds of CPU it has used, in user and kernel mode, and its children that have ended and been waited for. */
  readonly seconds: number;
}

export function parseStat(line: string): ProcessStat {
  // The command's name stands in parentheses and may hold anything.
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  const ticks = [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0);
  return { parent: Number(fields[1]), seconds: ticks / TICKS_PER_SECOND };
}

/**
 * Seconds of CPU of these processes and all below them. Of a process that ends, its parent has the
 * time, so the difference of two looks is what was used between them.
 */
export function treeSeconds(roots: readonly number[]): number {
  const stats = allStats();
  return descendants(roots, stats).reduce((sum, pid) => sum + (stats.get(pid)?.seconds ?? 0), 0);
}

/** The processes, and all below them. */
export function treeOf(roots: readonly number[]): readonly number[] {
  return descendants(roots, allStats());
}

function allStats(): ReadonlyMap<number, ProcessStat> {
  const stats = new Map<number, ProcessStat>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const line = readIfThere(`/proc/${name}/stat`);
    if (line !== undefined) stats.set(Number(name), parseStat(line));
  }
  return stats;
}

export function descendants(
  roots: readonly number[],
  stats: ReadonlyMap<number, ProcessStat>,
): readonly number[] {
  const found = new Set(roots.filter((pid) => stats.has(pid)));
  // A Set's iterator comes to what is added while it goes.
  for (const parent of found)
    for (const [pid, stat] of stats) if (stat.parent === parent) found.add(pid);
  return [...found];
}

/** Seconds the machine's cores have been busy, with what the host took of them. */
export function machineSeconds(): number {
  return parseMachine(readFileSync("/proc/stat", "latin1"));
}

export function parseMachine(text: string): number {
  const [line = ""] = text.split("\n");
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line
    .replace(/^cpu +/, "")
    .split(" ")
    .map(Number);
  return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND;
}

/** Proportional set size: memory that processes share counts once. */
export function memoryBytes(roots: readonly number[]): number {
  return treeOf(roots).reduce((sum, pid) => sum + proportionalBytes(pid), 0);
}

function proportionalBytes(pid: number): number {
  return kilobytes(readIfThere(`/proc/${pid}/smaps_rollup`) ?? "", "Pss") * BYTES_PER_KILOBYTE;
}

/** From now on `peakBytes` is of what follows. */
export function resetPeak(roots: readonly number[]): void {
  for (const pid of treeOf(roots)) writeFileSync(`/proc/${pid}/clear_refs`, "5");
}

/** The highest resident memory of each process since `resetPeak`, added up. */
export function peakBytes(roots: readonly number[]): number {
  return (
    treeOf(roots).reduce(
      (sum, pid) => sum + kilobytes(readIfThere(`/proc/${pid}/status`) ?? "", "VmHWM"),
      0,
    ) * BYTES_PER_KILOBYTE
  );
}

/** As `peakBytes`, of now. */
export function residentBytes(roots: readonly number[]): number {
  return (
    treeOf(roots).reduce(
      (sum, pid) => sum + kilobytes(readIfThere(`/proc/${pid}/status`) ?? "", "VmRSS"),
      0,
    ) * BYTES_PER_KILOBYTE
  );
}

/** 0 where there is no such line: a process that has just ended has no memory. */
export function kilobytes(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text)?.[1] ?? 0);
}

/** Undefined where the process has ended meanwhile. */
function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined;
  }
}
