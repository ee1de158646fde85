/**
 * csvlog: one record an entry, quoted as COPY's CSV, its message over as many lines as it
 * has. Columns are those of PostgreSQL's manual, "Using CSV-Format Log Output": 23 up to
 * version 12, 24 in 13, 26 from 14 on; the ones that are read stand where they always stood.
 */
import { ANALYZED_LINE_BYTES_MAX } from "../../base/limits.ts";
import { broken, NO_ITEMS, present, tooLong, type LogItem, type LogReader } from "./log-entry.ts";
import type { LogLine } from "./log-lines.ts";

const COLUMNS_MIN = 23;
const SESSION_ID = 5;
const VIRTUAL_TRANSACTION = 9;
const SEVERITY = 11;
const MESSAGE = 13;
const DETAIL = 14;

/** A record's beginning: log_time, then the next column. */
const RECORD_START = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? [A-Za-z0-9+:/_-]+,/;

export function isCsvLog(line: string): boolean {
  return RECORD_START.test(line);
}

export class CsvLogReader implements LogReader {
  /** The entry that is not at its end yet. */
  #record: { text: string; quotes: number; readonly line: number } | undefined;

  /** The lines belong to an entry that has been told to be too long. */
  #isPassing = false;

  read({ number, text, isWhole }: LogLine): readonly LogItem[] {
    const record = this.#record;
    if (record === undefined) {
      if (!RECORD_START.test(text)) return this.#passOver(text, number);
      if (!isWhole) return this.#dropped(number);
      this.#isPassing = false;
      this.#record = { text, quotes: quotesIn(text), line: number };
    } else {
      if (!isWhole || record.text.length + text.length > ANALYZED_LINE_BYTES_MAX) {
        return this.#dropped(record.line);
      }
      record.text += `\n${text}`;
      record.quotes += quotesIn(text);
    }
    return this.#completed();
  }

  end(): readonly LogItem[] {
    return this.#record === undefined
      ? NO_ITEMS
      : [broken("the log ends within an entry", this.#record.line)];
  }

  #dropped(line: number): readonly LogItem[] {
    this.#record = undefined;
    this.#isPassing = true;
    return [tooLong(line)];
  }

  #passOver(text: string, line: number): readonly LogItem[] {
    return this.#isPassing || text === "" ? NO_ITEMS : [broken(NO_ENTRY, line)];
  }

  /** Every quote that is open is closed; a quote within a quoted field is two. */
  #completed(): readonly LogItem[] {
    const record = this.#record;
    if (record === undefined || record.quotes % 2 === 1) return NO_ITEMS;
    this.#record = undefined;
    return [itemOf(record.text, record.line)];
  }
}

const NO_ENTRY = "a line is no csvlog entry";

function quotesIn(text: string): number {
  let quotes = 0;
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at + 1)) quotes++;
  return quotes;
}

function itemOf(text: string, line: number): LogItem {
  const fields = fieldsOf(text);
  if (fields === undefined || fields.length < COLUMNS_MIN) {
    return broken(NO_ENTRY, line);
  }
  return {
    kind: "entry",
    entry: {
      severity: fields[SEVERITY] ?? "",
      message: fields[MESSAGE] ?? "",
      detail: present(fields[DETAIL]),
      session: present(fields[SESSION_ID]),
      virtualTransaction: present(fields[VIRTUAL_TRANSACTION]),
      line,
    },
  };
}

/** Undefined where a quote stands where none may. */
function fieldsOf(record: string): readonly string[] | undefined {
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    const match = FIELD.exec(((FIELD.lastIndex = at), record));
    if (match === null) return undefined;
    const [, quoted, plain] = match;
    fields.push(quoted === undefined ? (plain ?? "") : quoted.replaceAll('""', '"'));
    at = FIELD.lastIndex;
    if (at === record.length) return fields;
    if (record[at] !== ",") return undefined;
    at++;
  }
}

const FIELD = /"((?:[^"]|"")*)"|([^",]*)/y;
