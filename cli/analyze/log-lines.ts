/**
 * A log file as lines, however long the file is. A line that is longer than its bound is
 * told by its number and passed over; a zero byte says that the file is no log.
 *
 * A byte that is no UTF-8 is read as U+FFFD: a server logs what its clients sent it.
 */
import { createReadStream } from "node:fs";
import { ANALYZED_LINE_BYTES_MAX } from "../../base/limits.ts";
import { CommandFailure, reasonOf } from "../failure.ts";

export interface LogLine {
  /** One-based. */
  readonly number: number;
  /** Without its line feed; undefined for one that is too long. */
  readonly text: string | undefined;
}

const LINE_FEED = 0x0a;
const CHUNK_BYTES = 1 << 20;

export async function* logLines(path: string): AsyncGenerator<LogLine> {
  let number = 1;
  let parts: Buffer[] = [];
  let bytes = 0;
  const take = (last: Buffer): LogLine => {
    const isTooLong = bytes + last.length > ANALYZED_LINE_BYTES_MAX;
    const text = isTooLong ? undefined : Buffer.concat([...parts, last]).toString("utf8");
    parts = [];
    bytes = 0;
    return { number: number++, text: text?.endsWith("\r") === true ? text.slice(0, -1) : text };
  };
  for await (const chunk of chunksOf(path)) {
    let start = 0;
    const zero = chunk.indexOf(0);
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      if (zero >= start && zero < end) throw notText(path, number);
      yield take(chunk.subarray(start, end));
      start = end + 1;
    }
    if (zero >= start) throw notText(path, number);
    const rest = chunk.subarray(start);
    bytes += rest.length;
    // What will be passed over need not be held.
    if (bytes <= ANALYZED_LINE_BYTES_MAX) parts.push(rest);
    else parts = [];
  }
  if (bytes > 0) yield take(Buffer.alloc(0));
}

async function* chunksOf(path: string): AsyncGenerator<Buffer> {
  try {
    yield* createReadStream(path, { highWaterMark: CHUNK_BYTES }) as AsyncIterable<Buffer>;
  } catch (cause) {
    throw new CommandFailure(`cannot read log ${path}: ${reasonOf(cause)}`, 2, { cause });
  }
}

function notText(path: string, line: number): CommandFailure {
  return new CommandFailure(`${path}:${line}: this is no log: it holds a zero byte`);
}
