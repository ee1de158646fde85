/**
 * A log file as lines, however long the file is; many at once, since logs have millions.
 * Of a line that is longer than its bound only the beginning is kept; a zero byte says that
 * the file is no log. A byte that is no UTF-8 is read as U+FFFD: a server logs what its
 * clients sent it.
 */
import { createReadStream } from "node:fs";
import { ANALYZED_LINE_BYTES_MAX } from "../../base/limits.ts";
import { CommandFailure, reasonOf } from "../failure.ts";

export interface LogLine {
  /** One-based. */
  readonly number: number;
  /** Without its line feed. */
  readonly text: string;
  /** False where the line was too long: `text` is its beginning. */
  readonly isWhole: boolean;
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const CHUNK_BYTES = 1 << 20;
/** Tells an entry's first line from a further one. */
const BEGINNING_BYTES = 1024;

/** Throws CommandFailure for a file that cannot be read, or is no text. */
export async function* logLines(path: string): AsyncGenerator<readonly LogLine[]> {
  const splitter = new LineSplitter(path);
  try {
    const chunks = createReadStream(path, { highWaterMark: CHUNK_BYTES });
    for await (const chunk of chunks as AsyncIterable<Buffer>) yield splitter.split(chunk);
  } catch (cause) {
    if (cause instanceof CommandFailure) throw cause;
    throw new CommandFailure(`cannot read log ${path}: ${reasonOf(cause)}`, 2, { cause });
  }
  yield splitter.rest();
}

class LineSplitter {
  readonly #path: string;
  #number = 1;
  /** Of the line that is not at its end yet; no more than is worth keeping. */
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(path: string) {
    this.#path = path;
  }

  split(chunk: Buffer): readonly LogLine[] {
    const lines: LogLine[] = [];
    const zero = chunk.indexOf(0);
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      if (zero >= start && zero < end) throw this.#notText();
      lines.push(this.#take(chunk.subarray(start, end)));
      start = end + 1;
    }
    if (zero >= start) throw this.#notText();
    this.#hold(chunk.subarray(start));
    return lines;
  }

  rest(): readonly LogLine[] {
    return this.#bytes === 0 ? [] : [this.#take(Buffer.alloc(0))];
  }

  #take(last: Buffer): LogLine {
    this.#hold(last);
    const bytes = this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts);
    const isWhole = this.#bytes <= ANALYZED_LINE_BYTES_MAX;
    const end = bytes?.at(-1) === CARRIAGE_RETURN ? -1 : undefined;
    const text = bytes?.subarray(0, isWhole ? end : BEGINNING_BYTES).toString("utf8") ?? "";
    this.#parts = [];
    this.#bytes = 0;
    return { number: this.#number++, text, isWhole };
  }

  #hold(part: Buffer): void {
    this.#bytes += part.length;
    if (this.#bytes <= ANALYZED_LINE_BYTES_MAX) this.#parts.push(part);
    else this.#parts = [(this.#parts[0] ?? part).subarray(0, BEGINNING_BYTES)];
  }

  #notText(): CommandFailure {
    return new CommandFailure(
      `${this.#path}:${this.#number}: this is no log: it holds a zero byte`,
    );
  }
}
