/** A PostgreSQL log as observations: csvlog, jsonlog or stderr, told apart by its first line. */
import { CommandFailure } from "../failure.ts";
import { CsvLogReader, isCsvLog } from "./csv-log.ts";
import { isJsonLog, JsonLogReader } from "./json-log.ts";
import type { LogItem, LogReader } from "./log-entry.ts";
import { logLines, type LogLine } from "./log-lines.ts";
import { LoggedStatements } from "./logged-statements.ts";
import { unread, type Observed } from "./observation.ts";
import { DEFAULT_LINE_PREFIX, linePattern, StderrLogReader } from "./stderr-log.ts";

/** Throws CommandFailure for a file that cannot be read or is no log. */
export async function* observeLog(
  path: string,
  prefix: string = DEFAULT_LINE_PREFIX,
): AsyncGenerator<Observed> {
  const statements = new LoggedStatements(path);
  let reader: LogReader | undefined;
  for await (const lines of logLines(path)) {
    for (const line of lines) {
      // A file that was cut at its beginning may start within an entry.
      if (reader === undefined && (line.text === "" || line.text.startsWith("\t"))) continue;
      reader ??= readerFor(path, line, prefix);
      yield* observed(reader.read(line), statements, path);
    }
  }
  yield* observed(reader?.end() ?? [], statements, path);
}

function* observed(
  items: readonly LogItem[],
  statements: LoggedStatements,
  path: string,
): Generator<Observed> {
  for (const item of items) {
    if (item.kind === "broken") yield unread(item.reason, `${path}:${item.line}`);
    else {
      const statement = statements.read(item.entry);
      if (statement !== undefined) yield { kind: "statement", statement };
    }
  }
}

function readerFor(path: string, line: LogLine, prefix: string): LogReader {
  if (isJsonLog(line.text)) return new JsonLogReader();
  if (isCsvLog(line.text)) return new CsvLogReader();
  const pattern = linePattern(prefix);
  if (pattern.test(line.text)) return new StderrLogReader(pattern);
  throw unknownFormat(path, line, prefix);
}

function unknownFormat(path: string, { number, text }: LogLine, prefix: string): CommandFailure {
  if (/(?:LOG|ERROR|FATAL|WARNING|STATEMENT): {2}/.test(text)) {
    return new CommandFailure(
      `${path}:${number}: the line does not begin as log_line_prefix "${prefix}" says; give the server's own with --log-line-prefix`,
    );
  }
  return new CommandFailure(
    `${path}:${number}: this is no log of PostgreSQL's: neither csvlog nor jsonlog nor stderr`,
  );
}
