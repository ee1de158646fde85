/**
 * Rows of a gather as the data of COPY ... TO STDOUT (copyto.c, CopyOneRowTo, CopyAttributeOutText
 * and CopyAttributeOutCSV). Rows come in text for text and CSV, in binary for binary, where the body
 * of a DataRow is the tuple.
 */
import { unreachable } from "../../../base/invariant.ts";
import type { CopyDataFormat, CopyOutPlan } from "../../../planner/copy/copy-plan.ts";
import { FrameWriter } from "../../protocol/frame-writer.ts";
import { encodeCopyData } from "../../protocol/frontend/copy-data.ts";
import { fieldSpans, locateFields, rowEnd, type FieldSpans } from "../gather/data-row.ts";
import type { DataRowRun } from "../shard-rows.ts";
import { BINARY_HEADER, BINARY_TRAILER } from "./binary-rows.ts";

type Options = Pick<CopyOutPlan, "format" | "hasHeader" | "forcedQuotes">;

const FRAME_HEADER_BYTES = 5;

const NOTHING = Buffer.alloc(0);

export class CopyWriter {
  readonly #format: CopyDataFormat;
  readonly #hasHeader: boolean;
  readonly #columns: readonly string[];
  readonly #isForced: readonly boolean[];
  readonly #spans: FieldSpans;
  readonly #writer = new FrameWriter();
  /** Written with what comes next. */
  #ahead: Buffer = NOTHING;
  rowCount = 0;

  constructor({ format, hasHeader, forcedQuotes }: Options, columns: readonly string[]) {
    this.#format = format;
    this.#hasHeader = hasHeader;
    this.#columns = columns;
    this.#isForced = columns.map((name) => forcedQuotes === "all" || forcedQuotes.includes(name));
    this.#spans = fieldSpans(columns.length);
  }

  /** CopyData frames before the first row; empty where there are none. */
  begin(): Buffer {
    // PostgreSQL sends the header of binary data with its first tuple, or its trailer.
    if (this.#format.kind === "binary") this.#ahead = BINARY_HEADER;
    else if (this.#hasHeader) {
      const names = this.#columns.map((name) => this.#name(name));
      this.#data(Buffer.from(`${names.join(this.#format.delimiter)}\n`));
    }
    return this.#writer.take();
  }

  /** The CopyData frames of a run of rows, one a row. */
  rows({ bytes, count }: DataRowRun): Buffer {
    let start = 0;
    for (let row = 0; row < count; row += 1) {
      const end = rowEnd(bytes, start);
      if (this.#format.kind === "binary")
        this.#data(bytes.subarray(start + FRAME_HEADER_BYTES, end));
      else {
        locateFields(bytes, start, end, this.#spans);
        this.#data(Buffer.from(this.#line(bytes), "utf8"));
      }
      start = end;
    }
    this.rowCount += count;
    return this.#writer.take();
  }

  end(): Buffer {
    if (this.#format.kind === "binary") this.#data(BINARY_TRAILER);
    return this.#writer.take();
  }

  #data(data: Buffer): void {
    const { length } = this.#ahead;
    encodeCopyData(
      { kind: "copyData", data: length === 0 ? data : Buffer.concat([this.#ahead, data]) },
      this.#writer,
    );
    if (length > 0) this.#ahead = NOTHING;
  }

  #name(name: string): string {
    const format = this.#format;
    if (format.kind === "text") return escaped(name, format.delimiter);
    return format.kind === "csv" ? quoted(name, format, this.#columns.length === 1, false) : name;
  }

  #line(bytes: Buffer): string {
    const format = this.#format;
    if (format.kind === "binary") return "";
    const { starts, lengths } = this.#spans;
    let line = "";
    for (let field = 0; field < starts.length; field += 1) {
      if (field > 0) line += format.delimiter;
      const length = lengths[field] ?? -1;
      const start = starts[field] ?? 0;
      line +=
        length === -1
          ? format.nullText
          : this.#value(bytes.toString("utf8", start, start + length), field, format);
    }
    return `${line}\n`;
  }

  #value(text: string, field: number, format: Exclude<CopyDataFormat, { kind: "binary" }>): string {
    switch (format.kind) {
      case "text":
        return escaped(text, format.delimiter);
      case "csv": {
        const isForced = this.#isForced[field] === true || text === format.nullText;
        return quoted(text, format, this.#columns.length === 1, isForced);
      }
      default:
        return unreachable(format);
    }
  }
}

const ESCAPES: Readonly<Record<string, string>> = {
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  "\\": "\\\\",
};

// oxlint-disable-next-line no-control-regex -- these are what text format escapes
const ESCAPED = /[\b\f\n\r\t\v\\]/g;

function escaped(text: string, delimiter: string): string {
  const plain = text.replaceAll(ESCAPED, (character) => ESCAPES[character] ?? character);
  return delimiter === "\t" ? plain : plain.replaceAll(delimiter, `\\${delimiter}`);
}

/** In quotes where it must be: a delimiter, quote or line end within, or what would read as the end of data. */
function quoted(
  text: string,
  { delimiter, quote, escape }: Extract<CopyDataFormat, { kind: "csv" }>,
  isOnlyColumn: boolean,
  isForced: boolean,
): string {
  const needsQuotes =
    isForced ||
    (isOnlyColumn && text === "\\.") ||
    text.includes(delimiter) ||
    text.includes(quote) ||
    text.includes("\n") ||
    text.includes("\r");
  if (!needsQuotes) return text;
  let value = "";
  for (const character of text)
    value += character === quote || character === escape ? escape + character : character;
  return `${quote}${value}${quote}`;
}
