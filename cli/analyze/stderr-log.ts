/**
 * A log as PostgreSQL writes it to stderr: what log_line_prefix says, the severity, the
 * message, whose further lines begin with a tab. DETAIL and its kin are entries of their
 * own there, and belong to the one before.
 */
import { CommandFailure } from "../failure.ts";
import {
  broken,
  NO_ITEMS,
  present,
  tooLong,
  type LogEntry,
  type LogItem,
  type LogReader,
} from "./log-entry.ts";
import type { LogLine } from "./log-lines.ts";

/** PostgreSQL's own default. */
export const DEFAULT_LINE_PREFIX = "%m [%p] ";

const TIME = String.raw`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`;

/** What each escape of log_line_prefix may become (manual, "log_line_prefix"). */
const ESCAPES: Readonly<Record<string, string>> = {
  a: ".*?",
  u: ".*?",
  d: ".*?",
  r: ".*?",
  h: ".*?",
  L: ".*?",
  b: "[^:]*?",
  p: String.raw`(?<process>\d+)`,
  P: String.raw`\d*`,
  t: `${TIME} \\S+`,
  m: `${TIME}\\.\\d+ \\S+`,
  n: String.raw`\d+\.\d+`,
  i: ".*?",
  e: "[0-9A-Z]{5}",
  c: String.raw`(?<session>[0-9a-f]+\.[0-9a-f]+)`,
  l: String.raw`\d+`,
  s: `${TIME} \\S+`,
  v: String.raw`(?<virtual>(?:-?\d+/\d+)?)`,
  x: String.raw`\d+`,
  Q: String.raw`-?\d+`,
  "%": "%",
};

const SEVERITIES =
  "DEBUG[1-5]?|INFO|NOTICE|WARNING|LOG|ERROR|FATAL|PANIC|DETAIL|HINT|QUERY|CONTEXT|STATEMENT|LOCATION|BACKTRACE";

/** Belong to the entry before them. */
const PARTS: ReadonlySet<string> = new Set([
  "DETAIL",
  "HINT",
  "QUERY",
  "CONTEXT",
  "STATEMENT",
  "LOCATION",
  "BACKTRACE",
]);

export type LinePattern = RegExp;

/** Of a line that begins an entry. Throws CommandFailure for an escape that PostgreSQL does not have. */
export function linePattern(prefix: string): LinePattern {
  let source = "";
  let isOptional = false;
  for (const [piece, padding, escape] of prefix.matchAll(/%(-?\d+)?([A-Za-z%])|[^%]|%/gs)) {
    if (escape === undefined) {
      source += piece.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`);
    } else if (escape === "q" && !isOptional) {
      // Processes without a session stop here.
      source += "(?:";
      isOptional = true;
    } else {
      const pattern = ESCAPES[escape];
      if (pattern === undefined) {
        throw new CommandFailure(`--log-line-prefix: PostgreSQL has no escape "${piece}"`);
      }
      // Named groups may stand once.
      const once = pattern.replace(/\(\?<(\w+)>/, (group, name: string) =>
        source.includes(`(?<${name}>`) ? "(?:" : group,
      );
      source += padding === undefined ? once : ` *${once} *`;
    }
  }
  const whole = isOptional ? `${source})?` : source;
  return new RegExp(`^${whole}(?<severity>${SEVERITIES}):  (?<message>.*)$`, "s");
}

export class StderrLogReader implements LogReader {
  readonly #pattern: LinePattern;
  /** The entry to which more may come. */
  #entry: LogEntry | undefined;
  /** Which part of it the next line continues; empty for the message. */
  #part = "";

  constructor(pattern: LinePattern) {
    this.#pattern = pattern;
  }

  read({ number, text, isWhole }: LogLine): readonly LogItem[] {
    const entry = this.#entry;
    if (text.startsWith("\t")) {
      if (entry === undefined) return NO_ITEMS;
      this.#entry = isWhole ? continued(entry, this.#part, `\n${text.slice(1)}`) : undefined;
      return isWhole ? NO_ITEMS : [tooLong(entry.line)];
    }
    if (!isWhole) return [...this.end(), tooLong(number)];
    const groups = this.#pattern.exec(text)?.groups;
    const severity = groups?.["severity"] ?? "";
    if (groups !== undefined && PARTS.has(severity)) {
      this.#part = severity;
      if (entry !== undefined) this.#entry = continued(entry, severity, groups["message"] ?? "");
      return NO_ITEMS;
    }
    const completed = this.end();
    if (groups === undefined)
      return text === "" ? completed : [...completed, broken(OTHER_PREFIX, number)];
    this.#entry = entryOf(groups, number);
    return completed;
  }

  end(): readonly LogItem[] {
    const entry = this.#entry;
    this.#entry = undefined;
    this.#part = "";
    return entry === undefined ? NO_ITEMS : [{ kind: "entry", entry }];
  }
}

const OTHER_PREFIX =
  "a line does not begin as log_line_prefix says; the server's own is given with --log-line-prefix";

function entryOf(groups: Readonly<Record<string, string>>, line: number): LogEntry {
  return {
    severity: groups["severity"] ?? "",
    message: groups["message"] ?? "",
    detail: undefined,
    session: present(groups["session"]) ?? present(groups["process"]),
    virtualTransaction: present(groups["virtual"]),
    line,
  };
}

function continued(entry: LogEntry, part: string, text: string): LogEntry {
  if (part === "") return { ...entry, message: entry.message + text };
  return part === "DETAIL" ? { ...entry, detail: (entry.detail ?? "") + text } : entry;
}
