/**
 * The shape of a statement: its text without comments and blanks, and with its constants
 * left out. Statements of one shape are planned once. What kind a constant is stays, since
 * `5`, `5.0` and `'5'` may pin a shard key differently; how many an IN list has does not.
 */
import { Lexer } from "../../planner/lexer.ts";

export function shapeOf(sql: string): string {
  const lexer = new Lexer(sql);
  const words: string[] = [];
  while (lexer.next()) words.push(wordOf(lexer.kind, sql.slice(lexer.start, lexer.end)));
  return words.join(" ").replaceAll(LIST, "$1 $2 , ...");
}

/** After IN ( or ARRAY [, a second element and all that follow it. */
const LIST = /\b(in \(|array \[) (\S+)(?: , (?:0|0\.0|'\?'|\$\d+|NULL|null))+(?= [)\]])/gi;

function wordOf(kind: Lexer["kind"], text: string): string {
  switch (kind) {
    case "number":
      return /^\d+$/.test(text) ? "0" : "0.0";
    case "string":
      return "'?'";
    default:
      return text;
  }
}

/** pg_stat_statements of PostgreSQL 18 writes a list of several constants as its first: `IN ($1 /*, ... *\/)`. */
export function hasSquashedList(sql: string): boolean {
  return sql.includes("/*, ... */");
}
