/** A statement that is part of another (EXPLAIN, DECLARE) as a text of its own, which keeps its places in the client's. */
import type { Node } from "@pgsql/types";
import { sameTree } from "./ast.ts";
import { parseSql, type ParsedStatement } from "./parse.ts";
import { composedOrigin, editText } from "./text-origin.ts";

export interface StatementWithin {
  /** The UTF-16 offset in the whole text that it begins at. */
  readonly start: number;
  readonly within: ParsedStatement;
}

/** The rest of the text behind the first of `starts` that reads as `node`; undefined where none does. */
export function statementWithin(
  statement: ParsedStatement,
  node: Node,
  starts: Iterable<number>,
): StatementWithin | undefined {
  for (const start of starts) {
    const { text, origin } = editText(statement.text, [{ start: 0, end: start, text: "" }]);
    const outcome = parseSql(text);
    const [within, more] = outcome.kind === "statements" ? outcome.statements : [];
    if (within === undefined || more !== undefined || !sameTree(within.node, node)) continue;
    return { start, within: within.madeOf(composedOrigin(origin, statement.origin)) };
  }
  return undefined;
}
