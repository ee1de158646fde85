/**
 * What a program of the compatibility matrix is: a client as its users have it, in its own
 * language, which runs the checks below and tells how each ended. The runner knows nothing
 * of languages, a program nothing of whether PostgreSQL or the proxy answers it.
 *
 * A program stands in a folder of its own, programs/NAME/, whose program.ts exports
 * `program`. It is started with libpq's variables (PGHOST, PGPORT, PGUSER, PGPASSWORD,
 * PGDATABASE, PGSSLMODE=verify-full, PGSSLROOTCERT), finds the tables of schema.sql, and
 * writes one `CheckResult` a line, as JSON, to standard output; anything else it has to say
 * goes to standard error. It ends with exit code 0 when it came to its end, whatever its checks found.
 */

/** What every driver is asked; the text is the column's meaning in docs/compatibility.md. */
export const COMMON_CHECKS = {
  connect:
    "TLS with the certificate verified, SCRAM, the server's version; a wrong password is 28P01",
  "types-text": "values and NULLs of every built-in family of types, there and back, as text",
  "types-binary": "the same in binary formats",
  prepared: "a named statement, run for many keys, and again after another connection's DDL",
  pipeline: "statements for several placements sent without waiting, an error in their middle",
  copy: "COPY of 5,000 rows in, over all placements, and out again",
  cursor: "a result over all placements read piece by piece within a transaction",
  cancel: "a running statement is cancelled (57014), and the connection goes on",
  transactions: "commit, rollback and savepoints over several placements; 25P02 after an error",
  listen: "a notification of another connection arrives",
  errors: "23505 with its fields, a syntax error with its position, 22P02; the connection goes on",
  reconnect:
    "after the server ended the connection of a transaction that was idle, the next one works",
  large: "a value of 1 MB, and a result of 100,000 rows",
} as const satisfies Readonly<Record<string, string>>;

export type CommonCheck = keyof typeof COMMON_CHECKS;

export type CheckOutcome =
  | "passed"
  | "failed"
  /** The driver itself has no such feature; the detail says so. */
  | "absent";

/** One line of a program's standard output. */
export interface CheckResult {
  readonly check: string;
  readonly outcome: CheckOutcome;
  /** What was wrong, or what is absent. */
  readonly detail?: string | undefined;
}

/**
 * Another kind of line: what the client was asked and what it printed. The runner compares the
 * answers of both targets; the program cannot, since it sees one.
 */
export interface Answer {
  readonly asked: string;
  readonly answered: string;
}

/** Everything that the program needs is there. */
export interface Ready {
  readonly missing?: undefined;
}

/** What the machine or the registry does not have, by name; the program is skipped. */
export interface Missing {
  readonly missing: string;
}

export interface CompatProgram {
  /** As its users call it: "psycopg 3". */
  readonly name: string;
  /** The language it is for, or what it is: "Python", "command line". */
  readonly language: string;
  /** The common checks it runs. Absent: all of them. */
  readonly checks?: readonly CommonCheck[];
  /** Checks that this client alone is known for, by id, with what each does. */
  readonly extraChecks?: Readonly<Record<string, string>>;
  /** Where PROGRAM_TIMEOUT_MS is too short for what it does. */
  readonly timeoutMs?: number;
  /** Of what it was asked, where the proxy's answer is another by design, and why. */
  readonly differences?: Readonly<Record<string, string>>;
  /**
   * Installs and compiles into the folder, which is outside of git and kept between runs, so that
   * a second call is quick. Ends within SETUP_TIMEOUT_MS.
   */
  setup(cacheFolder: string, signal: AbortSignal): Promise<Ready | Missing>;
  /** What is started, without a shell. Asked after setup. */
  command(cacheFolder: string): readonly [string, ...string[]];
  /** The client's version, as it tells it. Asked after setup. */
  version(cacheFolder: string): Promise<string>;
}

/** Registries and compilers are slow the first time. */
export const SETUP_TIMEOUT_MS = 300_000;
export const PROGRAM_TIMEOUT_MS = 120_000;

/** Every check id that a program may tell of. */
export function checksOf(program: CompatProgram): readonly string[] {
  const common = program.checks ?? Object.keys(COMMON_CHECKS);
  return [...common, ...Object.keys(program.extraChecks ?? {})];
}
