/** One entry of a PostgreSQL log, whatever its format. */
export interface LogEntry {
  /** LOG, ERROR, ... as the server writes it. */
  readonly severity: string;
  readonly message: string;
  readonly detail: string | undefined;
  /** What tells one session from another: the session's id, else its process's. */
  readonly session: string | undefined;
  /** `3/17`: its number is 0 outside a transaction. */
  readonly virtualTransaction: string | undefined;
  /** Of its first line, one-based. */
  readonly line: number;
}

export type LogItem =
  | { readonly kind: "entry"; readonly entry: LogEntry }
  /** A part of the log that is no entry of its format. */
  | { readonly kind: "broken"; readonly reason: string; readonly line: number };

export function broken(reason: string, line: number): LogItem {
  return { kind: "broken", reason, line };
}

/** Empty fields of a log are absent ones. */
export function present(text: string | undefined): string | undefined {
  return text === undefined || text === "" ? undefined : text;
}
