/** The text of a default's expression, whose end the tree does not tell. */
import type { Node } from "@pgsql/types";
import { locationOf } from "../ast.ts";
import type { ParsedStatement } from "../parse.ts";

/** Words that may follow a default and cannot stand inside one outside of parentheses (gram.y, b_expr). */
const FOLLOWING = new Set([
  "not",
  "null",
  "primary",
  "unique",
  "check",
  "references",
  "constraint",
  "generated",
  "collate",
  "deferrable",
  "initially",
]);

export function expressionText(expression: Node, statement: ParsedStatement): string {
  const { tokens, text } = statement;
  const start = statement.offsetOf(locationOf(expression));
  let depth = 0;
  let end = start;
  for (const token of tokens.slice(statement.tokenIndexAt(start))) {
    const word = text.slice(token.start, token.end).toLowerCase();
    if (word === "(" || word === "[") depth++;
    if (word === ")" || word === "]") depth--;
    const isOver =
      depth < 0 || (depth === 0 && (word === "," || word === ";" || FOLLOWING.has(word)));
    if (isOver) break;
    end = token.end;
  }
  return text.slice(start, end);
}
