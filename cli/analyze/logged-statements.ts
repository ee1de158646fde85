/**
 * The statements of a log's entries: what log_statement, log_duration and
 * log_min_duration_statement write (postgres.c, check_log_duration and its callers).
 *
 *     duration: 0.2 ms  statement: SELECT 1          a simple query, text and time at once
 *     statement: SELECT 1 / duration: 0.2 ms         the text first, its time later
 *     duration: 0.1 ms  parse <unnamed>: SELECT 1    time of the extended protocol's steps,
 *     duration: 0.1 ms  bind <unnamed>: SELECT 1     which is no call of its own
 *     duration: 0.2 ms  execute <unnamed>: SELECT 1
 *
 * Messages are read as PostgreSQL words them in English (lc_messages).
 */
import { ANALYZED_SESSIONS_MAX } from "../../base/limits.ts";
import type { LogEntry } from "./log-entry.ts";
import type { Observation } from "./observation.ts";
import { preparedText } from "./prepared-text.ts";

const TIMED = /^duration: (\d+(?:\.\d+)?) ms(?:  ([\s\S]*))?$/;
const STEP = /^(statement|parse|bind|execute fetch from|execute)(?: .*?)?: ([\s\S]+)$/;
/** What EXECUTE runs is told beside it. */
const EXECUTED = /^prepare: ([\s\S]+)$/;

export class LoggedStatements {
  readonly #file: string;
  /** By session: the statement whose time may still come. Of old sessions nothing comes any more. */
  readonly #untimed = new Map<string, Observation>();

  constructor(file: string) {
    this.#file = file;
  }

  /** What an entry tells of statements; nothing for most of what servers log. */
  read(entry: LogEntry): Observation | undefined {
    if (entry.severity !== "LOG") return undefined;
    const [, duration, rest] = TIMED.exec(entry.message) ?? [];
    const timeMs = duration === undefined ? undefined : Number(duration);
    const [, step, text = ""] =
      STEP.exec(rest ?? (timeMs === undefined ? entry.message : "")) ?? [];
    if (step === undefined) return rest === undefined ? this.#timeOf(entry, timeMs) : undefined;
    const isCall = step === "statement" || step === "execute";
    const sql = preparedText(EXECUTED.exec(entry.detail ?? "")?.[1] ?? "") ?? text;
    const statement = this.#observation(entry, sql, isCall ? 1 : 0, timeMs);
    if (timeMs === undefined && entry.session !== undefined) this.#await(entry.session, statement);
    return statement;
  }

  /** A duration without a text is that of the session's last statement. */
  #timeOf({ session = "" }: LogEntry, timeMs: number | undefined): Observation | undefined {
    const statement = this.#untimed.get(session);
    if (statement === undefined || timeMs === undefined) return undefined;
    this.#untimed.delete(session);
    return { ...statement, calls: 0, timeMs };
  }

  #await(session: string, statement: Observation): void {
    this.#untimed.delete(session);
    this.#untimed.set(session, statement);
    const [oldest] = this.#untimed.keys();
    if (this.#untimed.size > ANALYZED_SESSIONS_MAX && oldest !== undefined) {
      this.#untimed.delete(oldest);
    }
  }

  #observation(
    { session, virtualTransaction, line }: LogEntry,
    sql: string,
    calls: number,
    timeMs: number | undefined,
  ): Observation {
    const isOpen = virtualTransaction !== undefined && !virtualTransaction.endsWith("/0");
    return {
      sql,
      calls,
      timeMs,
      session,
      transaction: isOpen ? virtualTransaction : undefined,
      place: `${this.#file}:${line}`,
    };
  }
}
