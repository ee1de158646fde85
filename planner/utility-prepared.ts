/**
 * PREPARE and EXECUTE of SQL. The statement within and the arguments are texts for the session: it
 * prepares the one as Parse would, and has a server read the others.
 */
import type { ExecuteStmt, PrepareStmt } from "@pgsql/types";
import { invariant } from "../base/invariant.ts";
import type { SessionPlan, TextPiece } from "./session-plan.ts";
import type { ParsedStatement } from "./parse.ts";
import { afterIdentifier } from "./rewrite.ts";

export function planPrepare(statement: ParsedStatement, { name = "" }: PrepareStmt): SessionPlan {
  const { text, tokens } = statement;
  const types = listAfterName(statement, 1);
  const as = tokens[types.next];
  invariant(as !== undefined, "AS stands before a prepared statement");
  const inner = pieceOf(text, as.end, text.length);
  return {
    kind: "session",
    sql: text,
    action: { kind: "prepare", name, types: types.items, statement: inner },
  };
}

export function planExecute(statement: ParsedStatement, execute: ExecuteStmt): SessionPlan {
  return executeAt(statement, execute, 0);
}

/** EXPLAIN of an EXECUTE: the session puts what stands before it before the statement that was prepared. */
export function planExplainExecute(statement: ParsedStatement, execute: ExecuteStmt): SessionPlan {
  const { text, tokens } = statement;
  let depth = 0;
  const at = tokens.findIndex(({ start, end }) => {
    const token = text.slice(start, end).toLowerCase();
    if (token === "(") depth += 1;
    if (token === ")") depth -= 1;
    return depth === 0 && token === "execute";
  });
  invariant(at > 0, "EXECUTE stands behind EXPLAIN");
  return executeAt(statement, execute, at);
}

/** `at`: the index of the token EXECUTE. */
function executeAt(
  statement: ParsedStatement,
  { name = "" }: ExecuteStmt,
  at: number,
): SessionPlan {
  const { text, tokens } = statement;
  const { items, whole } = listAfterName(statement, at + 1);
  const explain = at === 0 ? undefined : text.slice(0, tokens[at]?.start);
  return {
    kind: "session",
    sql: text,
    action: { kind: "execute", name, arguments: { ...whole, count: items.length }, explain },
  };
}

/** The items of the list in parentheses after the name, if there is one, and the token after it. `name`: its first token. */
function listAfterName(
  statement: ParsedStatement,
  name: number,
): {
  readonly items: readonly TextPiece[];
  readonly whole: TextPiece;
  readonly next: number;
} {
  const { text, tokens } = statement;
  const first = afterIdentifier(statement, name);
  const characterAt = (index: number): string => {
    const token = tokens[index];
    return token === undefined ? "" : text.slice(token.start, token.end);
  };
  const open = tokens[first];
  if (open === undefined || characterAt(first) !== "(")
    return { items: [], whole: pieceOf(text, text.length, text.length), next: first };
  const items: TextPiece[] = [];
  let start = open.end;
  let depth = 1;
  let index = first;
  while (depth > 0) {
    index += 1;
    const token = tokens[index];
    invariant(token !== undefined, "a list ends within its statement");
    const character = characterAt(index);
    if (character === "(" || character === "[") depth += 1;
    else if (character === ")" || character === "]") depth -= 1;
    if (depth > 1 || (depth === 1 && character !== ",")) continue;
    items.push(pieceOf(text, start, token.start));
    start = token.end;
  }
  return {
    items,
    whole: pieceOf(text, open.end, tokens[index]?.start ?? text.length),
    next: index + 1,
  };
}

/** With no blanks before it, so that it begins where its first token does. */
function pieceOf(text: string, start: number, end: number): TextPiece {
  const piece = text.slice(start, end);
  const trimmed = piece.trimStart();
  const before = text.slice(0, start + piece.length - trimmed.length);
  return { text: trimmed.trimEnd(), charactersBefore: Array.from(before).length };
}
