/**
 * What the text of a function in SQL or PL/pgSQL shows without being run: the names it
 * uses, the functions it calls, whether it reaches tables, and which columns of NEW a trigger's
 * function assigns. It reads words, not grammar, and takes a doubtful word for the worse;
 * it knows no catalog and no map, so what a name stands for is the planner's to say.
 */
import { ROUTINE_BODY_CHARACTERS_MAX } from "../base/limits.ts";

export interface RoutineBody {
  /** Every name and keyword outside strings and comments, folded as PostgreSQL folds them. */
  readonly words: ReadonlySet<string>;
  /** Names that stand before a parenthesis: functions, and keywords and types that look like them. */
  readonly calls: ReadonlySet<string>;
  /** Reads or writes a table, locks one, changes one, or runs a text that may. */
  readonly reachesTables: boolean;
  /** Runs text that is made at run time, or a statement that leaves something in the session: its names say nothing. */
  readonly isOpaque: boolean;
  /** Columns of NEW that a trigger's function assigns. */
  readonly assigns: ReadonlySet<string>;
  /** A trigger's function may give another row than NEW with those columns assigned. */
  readonly replacesRow: boolean;
}

/** Of a function that computes and does nothing else. */
export const HARMLESS_BODY: RoutineBody = {
  words: new Set(),
  calls: new Set(),
  reachesTables: false,
  isOpaque: false,
  assigns: new Set(),
  replacesRow: false,
};

/** Of a function whose text is in another language, too long, or written in a way that is not read. */
export const UNREADABLE_BODY: RoutineBody = {
  ...HARMLESS_BODY,
  reachesTables: true,
  isOpaque: true,
  replacesRow: true,
};

/** Trigger functions that come with PostgreSQL, by pg_proc.prosrc: they see no row but their own. */
const SHIPPED_TRIGGERS: ReadonlySet<string> = new Set([
  "suppress_redundant_updates_trigger",
  "tsvector_update_trigger_byid",
  "tsvector_update_trigger_bycolumn",
]);

export function routineBody(language: string, source: string): RoutineBody {
  if (language === "internal" && SHIPPED_TRIGGERS.has(source)) return HARMLESS_BODY;
  if (language !== "sql" && language !== "plpgsql") return UNREADABLE_BODY;
  if (source.length > ROUTINE_BODY_CHARACTERS_MAX) return UNREADABLE_BODY;
  const tokens = tokensOf(source);
  return tokens === undefined ? UNREADABLE_BODY : readTokens(tokens);
}

interface Token {
  readonly kind: "word" | "quoted" | "sign";
  readonly text: string;
}

const TOKEN =
  /(?<space>\s+|--[^\r\n]*)|(?<comment>\/\*)|(?<dollar>\$(?:[a-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$)|(?<string>[ebxn]?'|u&')|(?<quoted>"(?:[^"]|"")*")|(?<unicode>u&")|(?<word>[a-z_\u0080-\uffff][\w$\u0080-\uffff]*)|(?<number>\$?\d[\w.]*)|(?<assign>:=|<<|>>)|(?<sign>.)/isuy;

/** Undefined where the text holds what is not read: an identifier in escapes, or a part without an end. */
function tokensOf(source: string): readonly Token[] | undefined {
  const tokens: Token[] = [];
  let at = 0;
  while (at < source.length) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(source);
    const groups = match?.groups;
    if (match === null || groups === undefined || groups["unicode"] !== undefined) return undefined;
    let end: number | undefined = TOKEN.lastIndex;
    if (groups["comment"] !== undefined) end = commentEnd(source, at);
    else if (groups["dollar"] !== undefined) end = dollarEnd(source, end, match[0]);
    else if (groups["string"] !== undefined)
      end = stringEnd(source, end, match[0].toLowerCase() === "e'");
    if (end === undefined) return undefined;
    const isLiteral =
      groups["dollar"] !== undefined ||
      groups["string"] !== undefined ||
      groups["number"] !== undefined;
    if (groups["word"] !== undefined) tokens.push({ kind: "word", text: asciiLower(match[0]) });
    else if (groups["quoted"] !== undefined)
      tokens.push({ kind: "quoted", text: match[0].slice(1, -1).replaceAll('""', '"') });
    else if (isLiteral) tokens.push({ kind: "sign", text: "'" });
    else if (groups["assign"] !== undefined || groups["sign"] !== undefined)
      tokens.push({ kind: "sign", text: match[0] });
    at = end;
  }
  return tokens;
}

/** Block comments nest. */
function commentEnd(source: string, start: number): number | undefined {
  const edge = /\/\*|\*\//g;
  edge.lastIndex = start;
  let depth = 0;
  for (let match = edge.exec(source); match !== null; match = edge.exec(source)) {
    depth += match[0] === "/*" ? 1 : -1;
    if (depth === 0) return edge.lastIndex;
  }
  return undefined;
}

function dollarEnd(source: string, from: number, tag: string): number | undefined {
  const close = source.indexOf(tag, from);
  return close < 0 ? undefined : close + tag.length;
}

function stringEnd(source: string, from: number, hasEscapes: boolean): number | undefined {
  for (let at = from; at < source.length; at++) {
    if (hasEscapes && source[at] === "\\") at++;
    else if (source[at] === "'") {
      if (source[at + 1] !== "'") return at + 1;
      at++;
    }
  }
  return undefined;
}

function asciiLower(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** Statements, and parts of them, that reach tables however they go on. */
const REACHING: ReadonlySet<string> = new Set(
  `insert update delete merge perform execute call truncate copy do table lock listen unlisten
   notify fetch move open create alter drop grant revoke refresh comment analyze vacuum cluster
   reindex discard import security reassign prepare deallocate explain load checkpoint show set
   reset cursor refcursor`.split(/\s+/),
);

/** What one server or one placement answers otherwise than the next. */
const PLACE_WORDS: ReadonlySet<string> = new Set(
  `tg_relid tg_table_schema tg_relname current_schema current_catalog tableoid ctid xmin xmax
   regclass regproc regprocedure regtype regoper regoperator regnamespace regrole regconfig
   regdictionary regcollation`.split(/\s+/),
);

/** Statements that run other text, or stay behind in the session. */
const OPAQUE: ReadonlySet<string> = new Set(
  "execute call do load discard prepare deallocate listen unlisten reset".split(" "),
);

/** Before TEMP where it makes what stays in the session: CREATE OR REPLACE TEMP VIEW, SELECT INTO TEMP. */
const BEFORE_TEMPORARY = ["create", "replace", "local", "global", "into"];

/** After these a statement of PL/pgSQL begins. */
const STATEMENT_BEFORE: ReadonlySet<string> = new Set(["begin", "then", "else", "loop"]);

/** Words that lead to targets which are not read here. */
const HIDDEN_TARGETS: ReadonlySet<string> = new Set(["into", "alias", "diagnostics", "foreach"]);

function readTokens(tokens: readonly Token[]): RoutineBody {
  const words = new Set<string>();
  const calls = new Set<string>();
  const assigns = new Set<string>();
  let reachesTables = false;
  let isOpaque = false;
  let replacesRow = false;
  for (const [index, token] of tokens.entries()) {
    if (token.kind === "sign") continue;
    const { text } = token;
    words.add(text);
    const previous = tokens[index - 1];
    const isField = previous?.kind === "sign" && previous.text === ".";
    if (isSign(tokens[index + 1], "(") || (isField && isSign(tokens[index - 2], ")")))
      calls.add(text);
    const startsStatement = beginsStatement(previous);
    if (text === "new" && !isField && startsStatement) {
      const column = tokens[index + 2];
      if (isSign(tokens[index + 1], ".") && column !== undefined && column.kind !== "sign")
        assigns.add(column.text);
      else replacesRow = true;
    }
    if (text === "pg_temp") isOpaque = true;
    if (token.kind !== "word" || isField) continue;
    if (REACHING.has(text) || PLACE_WORDS.has(text)) reachesTables = true;
    if (text === "from" || text === "join") reachesTables ||= namesRelation(tokens, index);
    if (OPAQUE.has(text) || (text === "set" && startsStatement)) isOpaque = true;
    if (isWord(token, "temp", "temporary") && isWord(previous, ...BEFORE_TEMPORARY))
      isOpaque = true;
    if (HIDDEN_TARGETS.has(text)) replacesRow = true;
    if (text === "return" && !returnsRow(tokens, index)) replacesRow = true;
  }
  return { words, calls, reachesTables, isOpaque, assigns, replacesRow };
}

function isSign(token: Token | undefined, text: string): boolean {
  return token?.kind === "sign" && token.text === text;
}

function isWord(token: Token | undefined, ...texts: readonly string[]): boolean {
  return token?.kind === "word" && texts.includes(token.text);
}

function beginsStatement(previous: Token | undefined): boolean {
  if (previous === undefined) return true;
  return previous.kind === "word"
    ? STATEMENT_BEFORE.has(previous.text)
    : previous.kind === "sign" && (previous.text === ";" || previous.text === ">>");
}

/** RETURN NEW, OLD or NULL, and nothing more. */
function returnsRow(tokens: readonly Token[], index: number): boolean {
  const end = tokens[index + 2];
  return isWord(tokens[index + 1], "new", "old", "null") && (end === undefined || isSign(end, ";"));
}

/** Functions whose arguments are parted by FROM. */
const PARTED_BY_FROM = ["extract", "substring", "trim", "overlay", "position"];

/** Ends a list of FROM items that stands at the same depth of parentheses. */
const AFTER_FROM: ReadonlySet<string> = new Set(
  `where group having window order limit offset fetch for union intersect except returning into
   loop then`.split(/\s+/),
);

/** Whether FROM or JOIN leads to a relation rather than to functions, sub-selects or a function's argument. */
function namesRelation(tokens: readonly Token[], index: number): boolean {
  if (isWord(tokens[index], "from")) {
    if (isWord(tokens[index - 1], "distinct") && isWord(tokens[index - 2], "is", "not"))
      return false;
    if (standsInCallOf(tokens, index, PARTED_BY_FROM)) return false;
  }
  let depth = 0;
  let isItemStart = true;
  for (let at = index + 1; at < tokens.length; at++) {
    const token = tokens[at];
    if (isSign(token, "(")) depth++;
    if (isSign(token, ")") && --depth < 0) return false;
    if (depth > 0 || isSign(token, ")")) {
      isItemStart = false;
      continue;
    }
    if (isSign(token, ";") || (token?.kind === "word" && AFTER_FROM.has(token.text))) return false;
    if (isSign(token, ",")) isItemStart = true;
    else if (isItemStart && !isWord(token, "lateral", "only")) {
      if (token?.kind !== "sign" && !leadsToCall(tokens, at)) return true;
      isItemStart = false;
    }
  }
  return false;
}

/** `name(` or `schema.name(`. */
function leadsToCall(tokens: readonly Token[], index: number): boolean {
  let at = index + 1;
  while (isSign(tokens[at], ".")) at += 2;
  return isSign(tokens[at], "(");
}

/** Whether the innermost open parenthesis is that of a call of one of these. */
function standsInCallOf(
  tokens: readonly Token[],
  index: number,
  names: readonly string[],
): boolean {
  let depth = 0;
  for (let at = index - 1; at >= 0; at--) {
    if (isSign(tokens[at], ")")) depth++;
    if (!isSign(tokens[at], "(")) continue;
    if (depth === 0) return isWord(tokens[at - 1], ...names);
    depth--;
  }
  return false;
}
