/**
 * Cuts the console's commands into words: PostgreSQL's lexical rules as far as commands of
 * one line need them. Not the SQL parser, whose grammar has no PAUSE.
 */
import { CONSOLE_QUERY_LENGTH_MAX } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";

export interface Token {
  readonly kind: "word" | "quoted" | "string" | "number" | "symbol";
  /** A word in lower case; what was quoted, without its quotes. */
  readonly text: string;
  /** One-based, in characters of the query string. */
  readonly position: number;
}

const TOKEN =
  /(?<word>[\p{L}_][\p{L}\p{N}_$]*)|"(?<quoted>(?:[^"]|"")*)"|'(?<string>(?:[^']|'')*)'|(?<number>\p{Nd}+(?:\.\p{Nd}*)?)|(?<symbol>[^\s"'])/uy;

/** Blanks and `--` comments; those of the other kind nest, which no regular expression can read. */
const BLANK = /(?:\s|--[^\n\r]*)+/uy;

/** Throws `console_command_unknown` where a quote or comment does not end. */
export function consoleTokens(sql: string): readonly Token[] {
  if (sql.length > CONSOLE_QUERY_LENGTH_MAX) {
    throw new SqlError(
      "console_statements_exceeded",
      `a query of the admin console has at most ${CONSOLE_QUERY_LENGTH_MAX} characters`,
    );
  }
  const tokens: Token[] = [];
  let at = 0;
  let position = 1;
  while (at < sql.length) {
    const token = nextToken(sql, at, position);
    if (token.kind !== undefined) tokens.push({ kind: token.kind, text: token.text, position });
    position += Array.from(sql.slice(at, token.end)).length;
    at = token.end;
  }
  return tokens;
}

/** Where it ends, in code units; blanks and comments are of no kind. */
type Lexeme =
  | { readonly kind: Token["kind"]; readonly text: string; readonly end: number }
  | { readonly kind: undefined; readonly end: number };

function nextToken(sql: string, at: number, position: number): Lexeme {
  BLANK.lastIndex = at;
  if (BLANK.test(sql)) return { kind: undefined, end: BLANK.lastIndex };
  if (sql.startsWith("/*", at)) return { kind: undefined, end: afterComment(sql, at, position) };
  TOKEN.lastIndex = at;
  const groups = TOKEN.exec(sql)?.groups;
  const end = TOKEN.lastIndex;
  if (groups === undefined) {
    const what = sql[at] === '"' ? "identifier" : "string";
    throw new SqlError("console_command_unknown", `unterminated quoted ${what}`, { position });
  }
  const { word, quoted, string, number, symbol = "" } = groups;
  if (word !== undefined) return { kind: "word", text: word.toLowerCase(), end };
  if (quoted !== undefined) return { kind: "quoted", text: quoted.replaceAll('""', '"'), end };
  if (string !== undefined) return { kind: "string", text: string.replaceAll("''", "'"), end };
  if (number !== undefined) return { kind: "number", text: number, end };
  return { kind: "symbol", text: symbol, end };
}

function afterComment(sql: string, start: number, position: number): number {
  let depth = 0;
  let at = start;
  do {
    const mark = sql.slice(at, at + 2);
    if (mark === "/*") depth += 1;
    if (mark === "*/") depth -= 1;
    at += mark === "/*" || mark === "*/" ? 2 : 1;
    if (at >= sql.length && depth > 0)
      throw new SqlError("console_command_unknown", "unterminated /* comment", { position });
  } while (depth > 0);
  return at;
}
