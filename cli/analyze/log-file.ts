/** A PostgreSQL log as observations: csvlog, jsonlog or stderr, told apart by its first line. */
import { CommandFailure } from "../failure.ts";
import { csvLogItems, isCsvLog } from "./csv-log.ts";
import { isJsonLog, jsonLogItems } from "./json-log.ts";
import type { LogItem } from "./log-entry.ts";
import { logLines, type LogLine } from "./log-lines.ts";
import { LoggedStatements } from "./logged-statements.ts";
import { unread, type Observed } from "./observation.ts";
import { DEFAULT_LINE_PREFIX, linePattern, stderrLogItems } from "./stderr-log.ts";

/** Throws CommandFailure for a file that cannot be read or is no log. */
export async function* observeLog(
  path: string,
  prefix: string = DEFAULT_LINE_PREFIX,
): AsyncGenerator<Observed> {
  const statements = new LoggedStatements(path);
  for await (const item of itemsOf(path, prefix)) {
    if (item.kind === "broken") {
      yield unread(item.reason, `${path}:${item.line}`);
      continue;
    }
    const statement = statements.read(item.entry);
    if (statement !== undefined) yield { kind: "statement", statement };
  }
}

async function* itemsOf(path: string, prefix: string): AsyncGenerator<LogItem> {
  const lines = logLines(path);
  try {
    const first = await firstLine(lines);
    // An empty log is a log in which nothing happened.
    if (first === undefined) return;
    const all = prepended(first, lines);
    const text = first.text ?? "";
    if (isJsonLog(text)) return yield* jsonLogItems(all);
    if (isCsvLog(text)) return yield* csvLogItems(all);
    const pattern = linePattern(prefix);
    if (!pattern.test(text)) throw unknownFormat(path, first, prefix);
    yield* stderrLogItems(all, pattern);
  } finally {
    await lines.return(undefined);
  }
}

async function firstLine(lines: AsyncGenerator<LogLine>): Promise<LogLine | undefined> {
  for (;;) {
    const { value, done } = await lines.next();
    if (done === true) return undefined;
    // A file that was cut at its beginning may start within an entry.
    if (value.text === undefined || (value.text !== "" && !value.text.startsWith("\t"))) {
      return value;
    }
  }
}

async function* prepended(first: LogLine, rest: AsyncIterable<LogLine>): AsyncGenerator<LogLine> {
  yield first;
  yield* rest;
}

function unknownFormat(path: string, { number, text }: LogLine, prefix: string): CommandFailure {
  if (text !== undefined && /(?:LOG|ERROR|FATAL|WARNING|STATEMENT): {2}/.test(text)) {
    return new CommandFailure(
      `${path}:${number}: the line does not begin as log_line_prefix "${prefix}" says; give the server's own with --log-line-prefix`,
    );
  }
  return new CommandFailure(
    `${path}:${number}: this is no log of PostgreSQL's: neither csvlog nor jsonlog nor stderr`,
  );
}
