/**
 * What the matrix's programs in JavaScript share: running the checks one after the other, each
 * within a time, and telling how each ended.
 */
import { readFileSync } from "node:fs";
import type { CheckResult } from "../compat-program.ts";

export type Checks = Readonly<Record<string, () => Promise<void>>>;

const CHECK_TIMEOUT_MS = 30_000;
const DETAIL_CHARS = 300;

/** Thrown by a check whose feature the driver does not have. */
class Absence extends Error {}

export function absent(why: string): () => Promise<never> {
  return async () => await Promise.reject(new Absence(why));
}

/** A check that fails does not keep the others from running; one that hangs is left behind. */
export async function runChecks(checks: Checks, timeoutMs = CHECK_TIMEOUT_MS): Promise<void> {
  for (const [check, run] of Object.entries(checks)) report(await outcomeOf(check, run, timeoutMs));
}

/** For the runner to compare with the other target's. */
export function tellAnswer(asked: string, answered: string): void {
  process.stdout.write(`${JSON.stringify({ asked, answered })}\n`);
}

async function outcomeOf(
  check: string,
  run: () => Promise<void>,
  timeoutMs: number,
): Promise<CheckResult> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`no end within ${timeoutMs / 1000} s`)),
    timeoutMs,
  );
  try {
    await Promise.race([run(), late.promise]);
    return { check, outcome: "passed" };
  } catch (error) {
    if (error instanceof Absence) return { check, outcome: "absent", detail: error.message };
    process.stderr.write(`${check}: ${error instanceof Error ? error.stack : String(error)}\n`);
    return { check, outcome: "failed", detail: String(error).slice(0, DETAIL_CHARS) };
  } finally {
    clearTimeout(timer);
  }
}

function report(result: CheckResult): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

export interface ConnectionSettings {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** The host's name in the certificate is checked, too. */
  readonly ssl: { readonly ca: string };
}

/** The runner's environment, for drivers that do not read all of libpq's variables. */
export function connectionSettings(): ConnectionSettings {
  const read = (name: string): string => {
    const value = process.env[name];
    if (value === undefined) throw new Error(`${name} is not set`);
    return value;
  };
  return {
    host: "localhost",
    port: Number(read("PGPORT")),
    user: read("PGUSER"),
    password: read("PGPASSWORD"),
    database: read("PGDATABASE"),
    ssl: { ca: readFileSync(read("PGSSLROOTCERT"), "utf8") },
  };
}

/** The fields of a server's error that the checks look at; drivers have their own classes of it. */
export interface ServerError {
  readonly message?: string;
  readonly code?: string;
  readonly position?: string;
  readonly schema?: string;
  readonly schema_name?: string;
  readonly table?: string;
  readonly table_name?: string;
  readonly constraint?: string;
  readonly constraint_name?: string;
}

/** Awaits the failure, and gives it; success fails. */
export async function failureOf(work: PromiseLike<unknown>): Promise<ServerError> {
  try {
    await work;
  } catch (error) {
    return error as ServerError;
  }
  throw new Error("it succeeded, and should not have");
}

export function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

/**
 * Has the server end its connection: a transaction that was idle for longer than this. What a driver
 * says of it is its own; the next statement fails, and the next connection works.
 */
export const LOSE_CONNECTION = [
  "SET idle_in_transaction_session_timeout = 100",
  "BEGIN",
  "SELECT owner FROM accounts WHERE id = 3",
];
/** Until it has, on a machine that does other things as well. */
export const LOST_AFTER_MS = 1500;
