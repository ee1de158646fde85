/** One entry of a PostgreSQL log, whatever its format, and what reads entries from lines. */
import type { LogLine } from "./log-lines.ts";

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

/** Lines go in one after the other; what they complete comes out. */
export interface LogReader {
  read(line: LogLine): readonly LogItem[];
  /** What the log's end completes. */
  end(): readonly LogItem[];
}

export const NO_ITEMS: readonly LogItem[] = [];

export function broken(reason: string, line: number): LogItem {
  return { kind: "broken", reason, line };
}

export function tooLong(line: number): LogItem {
  return broken("an entry is too long to be read", line);
}

/** Empty fields of a log are absent ones. */
export function present(text: string | undefined): string | undefined {
  return text === undefined || text === "" ? undefined : text;
}
