/**
 * What a load process is told to do, and what it prints when it is done. It runs apart from whoever
 * starts it, so that measuring is no part of what is measured.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export interface LoadTarget {
  readonly host: "127.0.0.1";
  readonly port: number;
  readonly database: string;
}

/** One statement of a client: by a name it has prepared, as text, or a text nobody has sent before. */
export type StatementStyle = "prepared" | "simple" | "orm";

export type LoadRequest =
  /** Each client sends the next statements when the last are answered; `pipeline` at once. */
  | {
      readonly kind: "closed";
      readonly style: StatementStyle;
      readonly clients: number;
      readonly seconds: number;
      readonly pipeline: number;
      /** Of texts: another one makes others. */
      readonly seed: number;
    }
  /** So many statements a second, whether earlier ones are answered or not. */
  | {
      readonly kind: "paced";
      readonly style: StatementStyle;
      readonly clients: number;
      readonly seconds: number;
      readonly perSecond: number;
    }
  | { readonly kind: "read"; readonly sql: string; readonly rows: number }
  | { readonly kind: "copyIn"; readonly sql: string; readonly rows: number }
  /** Connects, asks once on each connection, says so, and waits for the end of its standard input. */
  | { readonly kind: "idle"; readonly clients: number };

/** What a load did not measure is 0. */
export interface LoadResult {
  readonly answers: number;
  readonly seconds: number;
  readonly p50Microseconds: number;
  readonly p99Microseconds: number;
  /** How late the 99th of 100 statements was sent though a client was free: the generator's own fault. */
  readonly lateMicroseconds: number;
  readonly bytes: number;
}

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));
/** Beyond the time that was asked for, to connect and to hear the last answers. */
const GRACE_MS = 60_000;

export async function runLoad(target: LoadTarget, request: LoadRequest): Promise<LoadResult> {
  const words = [MAIN, JSON.stringify({ target, request })];
  const seconds = "seconds" in request ? request.seconds : 0;
  const timeout = "seconds" in request ? seconds * 1_000 + GRACE_MS : 0;
  const { stdout } = await promisify(execFile)(process.execPath, words, { timeout });
  return JSON.parse(stdout) as LoadResult;
}

/** Idle clients until `close`. */
export async function holdClients(
  target: LoadTarget,
  clients: number,
): Promise<{ readonly close: () => Promise<void> }> {
  const request: LoadRequest = { kind: "idle", clients };
  const child = spawn(process.execPath, [MAIN, JSON.stringify({ target, request })], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  await Promise.race([
    once(child.stdout, "data"),
    exited.then(() => {
      throw new Error(`${clients} idle clients could not be connected`);
    }),
  ]);
  return {
    close: async () => {
      child.stdin.end();
      await exited;
    },
  };
}
