/**
 * Whether a text in which table names were exchanged says what it said but for these names, told by
 * its tokens: a quarter of what it costs to parse it.
 *
 * The grammar has one rule for a table's name wherever one stands (gram.y's qualified_name, and any_name
 * of the same form), and reads a quoted name as nothing but a name. So a text whose tokens are the same,
 * but for a table's name that has become another, quoted one in the same place, parses to the same
 * tree with the other name in it. That is what is looked at here: that what is exchanged is, token by token, the
 * name that the tree has there, and that every other token is what it was.
 *
 * What it cannot tell it leaves to the grammar: names in escapes, and ones that PostgreSQL cuts.
 */
import type { ColumnRef, RangeVar } from "@pgsql/types";
import { IDENTIFIER_BYTES_MAX } from "../base/limits.ts";
import { quoteQualified } from "../base/sql-quoting.ts";
import { Lexer } from "./lexer.ts";

/** A table's name of the tree, where its text stands, and the schema that it gets instead of its own. */
export interface ExchangedName {
  readonly tree: RangeVar | ColumnRef;
  readonly start: number;
  readonly end: number;
  readonly schema: string;
}

/** False also where it cannot tell. `names` are in order of position, and do not overlap. */
export function isRenamedAlone(
  text: string,
  renamed: string,
  names: readonly ExchangedName[],
): boolean {
  const before = new Lexer(text);
  const after = new Lexer(renamed);
  let [at, isMore] = [0, before.next()];
  while (isMore) {
    const exchanged = names[at];
    if (exchanged !== undefined && before.start >= exchanged.start) {
      if (before.start !== exchanged.start) return false;
      const written = readName(before, text, exchanged.end);
      if (written === undefined || !isNameOf(exchanged.tree, written.names)) return false;
      const name = quoteQualified(exchanged.schema, written.names.at(-1) ?? "");
      if (!isQuotedName(after, renamed, name)) return false;
      isMore = written.isMore;
      at += 1;
    } else {
      if (!after.next() || !isSameToken(before, text, after, renamed)) return false;
      isMore = before.next();
    }
  }
  return at === names.length && !after.next();
}

function isSameToken(before: Lexer, text: string, after: Lexer, renamed: string): boolean {
  if (before.kind !== after.kind || before.kind === "invalid") return false;
  const length = before.end - before.start;
  if (length !== after.end - after.start) return false;
  for (let unit = 0; unit < length; unit++)
    if (text.charCodeAt(before.start + unit) !== renamed.charCodeAt(after.start + unit))
      return false;
  return true;
}

interface WrittenName {
  readonly names: readonly string[];
  /** The lexer stands at the token behind it. */
  readonly isMore: boolean;
}

/** Names joined by dots, from the lexer's token to `end`. */
function readName(lexer: Lexer, text: string, end: number): WrittenName | undefined {
  const names: string[] = [];
  for (;;) {
    const name = nameOf(lexer, text);
    if (name === undefined || lexer.end > end) return undefined;
    names.push(name);
    const isLast = lexer.end === end;
    const isMore = lexer.next();
    if (isLast) return { names, isMore };
    if (!isMore || lexer.kind !== "punctuation" || text.charAt(lexer.start) !== ".")
      return undefined;
    if (lexer.end - lexer.start !== 1 || !lexer.next()) return undefined;
  }
}

const ASCII = /^[ -~]+$/;

/** What PostgreSQL takes it for; undefined where escapes, letters beyond ASCII or its length leave that open. */
function nameOf({ kind, start, end }: Lexer, text: string): string | undefined {
  const written = text.slice(start, end);
  if (written.length > IDENTIFIER_BYTES_MAX || !ASCII.test(written)) return undefined;
  if (kind === "word") return written.toLowerCase();
  if (kind !== "quoted" || !written.startsWith('"')) return undefined;
  return written.slice(1, -1).replaceAll('""', '"');
}

function isNameOf(tree: RangeVar | ColumnRef, written: readonly string[]): boolean {
  const meant = "fields" in tree ? tableOf(tree) : tableNames(tree);
  return meant.length === written.length && meant.every((name, index) => name === written[index]);
}

function tableNames({ catalogname, schemaname, relname }: RangeVar): readonly string[] {
  return [catalogname, schemaname, relname].filter((name) => name !== undefined);
}

/** Of `schema.table.column`, the names before the last; undefined stands for one that is no name. */
function tableOf({ fields = [] }: ColumnRef): readonly (string | undefined)[] {
  return fields.slice(0, -1).map((field) => ("String" in field ? field.String.sval : undefined));
}

/** The next three tokens are the name, both parts in quotes. */
function isQuotedName(lexer: Lexer, text: string, name: string): boolean {
  let start: number | undefined;
  for (const kind of ["quoted", "punctuation", "quoted"]) {
    if (!lexer.next() || lexer.kind !== kind) return false;
    start ??= lexer.start;
  }
  return text.slice(start, lexer.end) === name;
}
