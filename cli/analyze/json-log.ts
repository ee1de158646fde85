/** jsonlog, PostgreSQL 15 and later: one JSON object a line (manual, "Using JSON-Format Log Output"). */
import { broken, NO_ITEMS, tooLong, type LogItem, type LogReader } from "./log-entry.ts";
import type { LogLine } from "./log-lines.ts";

export function isJsonLog(line: string): boolean {
  return line.startsWith("{") && line.includes('"error_severity"');
}

export class JsonLogReader implements LogReader {
  read({ number, text, isWhole }: LogLine): readonly LogItem[] {
    if (!isWhole) return [tooLong(number)];
    return text === "" ? NO_ITEMS : [itemOf(text, number)];
  }

  end(): readonly LogItem[] {
    return NO_ITEMS;
  }
}

function itemOf(text: string, line: number): LogItem {
  const fields = objectOf(text);
  if (fields === undefined) return broken("a line is no JSON object", line);
  const field = (name: string): string | undefined => {
    const value = fields[name];
    return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
  };
  const severity = field("error_severity");
  if (severity === undefined) return broken("a line is no jsonlog entry", line);
  return {
    kind: "entry",
    entry: {
      severity,
      message: field("message") ?? "",
      detail: field("detail"),
      session: field("session_id") ?? field("pid"),
      virtualTransaction: field("vxid"),
      line,
    },
  };
}

function objectOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null
      ? (value as Readonly<Record<string, unknown>>)
      : undefined;
  } catch {
    return undefined;
  }
}
