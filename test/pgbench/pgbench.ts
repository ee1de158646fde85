/** Runs PostgreSQL's own `pgbench` against the proxy, and reads what it prints. */
import { execFile, execFileSync } from "node:child_process";
import { promisify } from "node:util";

export interface PgbenchRun {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly protocol: "simple" | "extended" | "prepared";
  readonly seconds: number;
  readonly clients: number;
  /** `-f FILE` or `-b NAME`. */
  readonly script: readonly string[];
}

export interface PgbenchResult {
  readonly transactions: number;
  readonly failed: number;
  readonly perSecond: number;
  readonly output: string;
}

/** Whether the machine has pgbench; tests that need it are skipped where not. */
export function hasPgbench(): boolean {
  try {
    execFileSync("pgbench", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Throws, with all it printed, where a client was aborted. */
export async function runPgbench(run: PgbenchRun): Promise<PgbenchResult> {
  const flags = [
    "-n",
    "-h",
    run.host,
    "-p",
    String(run.port),
    "-U",
    "postgres",
    "-M",
    run.protocol,
    "-T",
    String(run.seconds),
    "-c",
    String(run.clients),
    "-j",
    "1",
    ...run.script,
    run.database,
  ];
  const { stdout, stderr } = await promisify(execFile)("pgbench", flags, {
    timeout: (run.seconds + 60) * 1000,
  });
  const output = `${stdout}\n${stderr}`;
  const number = (pattern: RegExp): number => {
    const found = pattern.exec(stdout)?.[1];
    if (found === undefined) throw new Error(`pgbench printed no ${pattern.source}: ${output}`);
    return Number(found);
  };
  return {
    transactions: number(/number of transactions actually processed: (\d+)/),
    failed: number(/number of failed transactions: (\d+)/),
    perSecond: number(/tps = ([0-9.]+)/),
    output,
  };
}
