/** A file of SQL as observations: each statement is one call, and nothing is told of time. */
import { Lexer } from "../../planner/lexer.ts";
import { CommandFailure } from "../failure.ts";
import { readInput } from "../input-files.ts";
import type { Observed } from "./observation.ts";

/** Parted at semicolons, so that one statement that is not SQL does not hide the others. */
export function* observeStatements(path: string): Generator<Observed> {
  const text = readInput(path, "file");
  const zero = text.indexOf("\0");
  if (zero >= 0) {
    throw new CommandFailure(
      `${path}:${linesIn(text, 0, zero)}: this is no SQL: it holds a zero byte`,
    );
  }
  let line = 1;
  let counted = 0;
  for (const { start, end } of partsOf(text)) {
    line += linesIn(text, counted, start) - 1;
    counted = start;
    yield {
      kind: "statement",
      statement: {
        sql: text.slice(start, end),
        calls: 1,
        timeMs: undefined,
        // One after the other, so that BEGIN and COMMIT mean what they say.
        session: path,
        transaction: undefined,
        place: `${path}:${line}`,
      },
    };
  }
}

/** From the first token of each statement to the end of its last. */
function* partsOf(text: string): Generator<{ readonly start: number; readonly end: number }> {
  const lexer = new Lexer(text);
  let part: { readonly start: number; readonly end: number } | undefined;
  while (lexer.next()) {
    const { kind, start, end } = lexer;
    if (kind !== "punctuation" || text[start] !== ";") part = { start: part?.start ?? start, end };
    else if (part !== undefined) {
      yield part;
      part = undefined;
    }
  }
  if (part !== undefined) yield part;
}

/** One more than the line feeds of text[from, to). */
function linesIn(text: string, from: number, to: number): number {
  let lines = 1;
  for (let at = text.indexOf("\n", from); at >= 0 && at < to; at = text.indexOf("\n", at + 1))
    lines++;
  return lines;
}
