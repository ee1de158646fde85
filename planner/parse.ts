/**
 * From SQL text to PostgreSQL's own trees: the only importer of the SQL parser.
 *
 * The parser is PostgreSQL's C code compiled to WebAssembly. An input that overflows the
 * JavaScript stack leaves its C stack pointer where it was, and after a few dozen of them
 * every further parse fails; so an instance that threw anything is never used again, and
 * spare instances stand ready. The package's own module-level instance is not used.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { setFlagsFromString } from "node:v8";
import type { Node, ParseResult, RawStmt } from "@pgsql/types";
import createParser, { type ParserModule } from "libpg-query/wasm/libpg-query.js";
import { invariant } from "../base/invariant.ts";
import { PARSER_MEMORY_BYTES_MAX, PARSER_SPARES } from "../base/limits.ts";
import { SqlError } from "../base/sql-error.ts";
import { skipBlanksAndComments, tokenize, type Token } from "./lexer.ts";
import { checkBounds } from "./statement-bounds.ts";
import { tableReferences, type TableReferences } from "./table-references.ts";
import { originalOffset, type TextOrigin } from "./text-origin.ts";

export type ParseOutcome =
  /** Nothing but blanks, comments and semicolons. */
  | { readonly kind: "empty" }
  | { readonly kind: "statements"; readonly statements: readonly ParsedStatement[] }
  /** The grammar's own words; it knows no SQLSTATE, so the text goes to a backend to be refused there. */
  | { readonly kind: "rejected"; readonly message: string; readonly position: number | undefined };

/** Instances made since the process began: the first ones, and one for each that was thrown away. */
export function parserInstancesMade(): number {
  return instancesMade;
}

let compiled: WebAssembly.Module | undefined;
let current: ParserModule | undefined;
let loading: Promise<void> | undefined;
const spares: ParserModule[] = [];
let instancesMade = 0;
/** The current one has touched more memory than it may keep. */
let isOutgrown = false;

/** Makes the parser and its spares; to be awaited once before the first `parseSql`. */
export async function loadParser(): Promise<void> {
  loading ??= replenish();
  await loading;
}

/**
 * Parses one query string, of one statement or several.
 *
 * Throws SqlError 54000, 54001 or 22021 for a text that cannot be parsed safely. A text
 * the grammar refuses is an outcome, not an error.
 */
export function parseSql(text: string): ParseOutcome {
  if (text.includes("\0")) {
    throw new SqlError("zero_byte_in_statement", 'invalid byte sequence for encoding "UTF8": 0x00');
  }
  const excess = checkBounds(text);
  if (excess !== undefined) throw excess;
  // The parser throws for a text of no bytes, and gives no statement for one of blanks.
  if (skipBlanksAndComments(text, 0) === text.length) return { kind: "empty" };

  const answer = runParser(text);
  if (answer.kind === "rejected") return answer;
  const toOffset = offsetMapper(text);
  let previousEnd = 0;
  const statements = (answer.tree.stmts ?? []).map((raw) => {
    const end =
      raw.stmt_len === undefined ? text.length : toOffset((raw.stmt_location ?? 0) + raw.stmt_len);
    const start = statementStart(text, previousEnd, toOffset(raw.stmt_location ?? 0));
    previousEnd = end;
    return new ParsedStatement(text, raw, start, end, toOffset);
  });
  return statements.length === 0 ? { kind: "empty" } : { kind: "statements", statements };
}

/** The statement of a text that is known to be one, as it was parsed before. Throws as `parseSql`. */
export function parseOne(text: string): ParsedStatement {
  const outcome = parseSql(text);
  const statement = outcome.kind === "statements" ? outcome.statements[0] : undefined;
  invariant(statement !== undefined, "a text that is one statement can be parsed as one");
  return statement;
}

/** One statement of a query string: its tree and its own text, which the tree's locations are mapped to. */
export class ParsedStatement {
  /** `{ SelectStmt: ... }` */
  readonly node: Node;
  /** The tree of the whole `text`: `node`, but for a statement that is part of another. */
  readonly textNode: Node;
  /** Without the separator and the blanks around it; comments are kept. */
  readonly text: string;
  /** Where `text` begins in the query string, in UTF-16 units. */
  readonly start: number;
  readonly #whole: string;
  readonly #toOffset: (byte: number) => number;
  /** Where `text` comes from, where it is not the client's own. */
  readonly origin: TextOrigin | undefined;
  #tokens: readonly Token[] | undefined;
  #references: TableReferences | undefined;

  constructor(
    whole: string,
    raw: RawStmt,
    start: number,
    end: number,
    toOffset: (byte: number) => number,
    textNode: Node | undefined = raw.stmt,
    origin?: TextOrigin,
  ) {
    invariant(raw.stmt !== undefined && textNode !== undefined, "a parsed statement has a tree");
    this.node = raw.stmt;
    this.textNode = textNode;
    this.origin = origin;
    this.start = blanksEnd(whole, start, end);
    this.text = whole.slice(this.start, blanksStart(whole, this.start, end));
    this.#whole = whole;
    this.#toOffset = toOffset;
  }

  /** The tree is of all of `text`, which is the client's: to parse that gives the same once more. */
  get isWhole(): boolean {
    return this.node === this.textNode && this.origin === undefined;
  }

  /** The same text for another node of its tree: the query within an EXPLAIN. */
  withNode(node: Node): ParsedStatement {
    return this.#changed(node, this.origin);
  }

  /** The same, with positions counted in the text it was made of. */
  madeOf(origin: TextOrigin): ParsedStatement {
    return this.#changed(this.node, origin);
  }

  #changed(node: Node, origin: TextOrigin | undefined): ParsedStatement {
    return new ParsedStatement(
      this.#whole,
      { stmt: node },
      this.start,
      this.start + this.text.length,
      this.#toOffset,
      this.textNode,
      origin,
    );
  }

  /** The UTF-16 offset in `text` of a location of the tree (bytes of the query string; an absent one is 0). */
  offsetOf(location: number | undefined): number {
    return this.#toOffset(location ?? 0) - this.start;
  }

  /** One-based, in characters of the client's text: as an error's position is given. */
  positionOf(location: number | undefined): number {
    const offset = this.offsetOf(location);
    if (this.origin === undefined) return characterCount(this.text, offset) + 1;
    return characterCount(this.origin.text, originalOffset(this.origin, offset)) + 1;
  }

  /** How many characters of the query string stand before `text`: what an error's position is moved by. */
  get charactersBefore(): number {
    return characterCount(this.#whole, this.start);
  }

  /** The tables that `node` names, found when first asked for. */
  get references(): TableReferences {
    this.#references ??= tableReferences(this.node);
    return this.#references;
  }

  /** The tokens of `text`, read when first asked for. */
  get tokens(): readonly Token[] {
    this.#tokens ??= tokenize(this.text);
    return this.#tokens;
  }

  /** Just past the last token of `text`, in UTF-16 units: comments may follow. */
  get tokensEnd(): number {
    return this.tokens.at(-1)?.end ?? 0;
  }

  /** The index in `tokens` of the token that begins at an offset of `text`, or else the first after it. */
  tokenIndexAt(offset: number): number {
    let low = 0;
    let high = this.tokens.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.tokens[middle]?.start ?? offset) < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/**
 * The grammar's location of a statement is its first token. Comments before it are part of
 * its text all the same: planner hints and trace ids travel in them.
 */
function statementStart(text: string, previousEnd: number, firstToken: number): number {
  const between = tokenize(text.slice(previousEnd, firstToken));
  return previousEnd + (between.at(-1)?.end ?? 0);
}

// PostgreSQL's blanks, not JavaScript's: a no-break space is a letter of an identifier.
const BLANKS = " \t\n\v\f\r";

function blanksEnd(text: string, from: number, to: number): number {
  let at = from;
  while (at < to && BLANKS.includes(text.charAt(at))) at++;
  return at;
}

function blanksStart(text: string, from: number, to: number): number {
  let at = to;
  while (at > from && BLANKS.includes(text.charAt(at - 1))) at--;
  return at;
}

function characterCount(text: string, unitsEnd: number): number {
  let surrogatePairs = 0;
  for (let at = 0; at < unitsEnd; at++)
    if ((text.charCodeAt(at) & 0xfc00) === 0xdc00) surrogatePairs++;
  return unitsEnd - surrogatePairs;
}

/** From byte offsets of the text's UTF-8 to its UTF-16 units. Both are the same for ASCII, which is the rule. */
function offsetMapper(text: string): (byte: number) => number {
  if (Buffer.byteLength(text) === text.length) return (byte) => byte;
  let unitOfByte: Uint32Array | undefined;
  return (byte) => {
    unitOfByte ??= unitsByByte(text);
    return unitOfByte[byte] ?? text.length;
  };
}

function unitsByByte(text: string): Uint32Array {
  const units = new Uint32Array(Buffer.byteLength(text) + 1);
  let byte = 0;
  let unit = 0;
  for (const character of text) {
    const bytes = Buffer.byteLength(character);
    units.fill(unit, byte, byte + bytes);
    byte += bytes;
    unit += character.length;
  }
  units[byte] = unit;
  return units;
}

type ParserAnswer =
  | { readonly kind: "parsed"; readonly tree: ParseResult }
  | Extract<ParseOutcome, { kind: "rejected" }>;

function runParser(text: string): ParserAnswer {
  const parser = takeParser();
  const exitCode = process.exitCode;
  try {
    const answer = parseWith(parser, text);
    // The last spare is for a statement that overflows. Until there are others, this one serves on.
    if (isOutgrown && spares.length > 1) throwAway();
    return answer;
  } catch (cause) {
    throwAway();
    // The C side's exit() sets the process's exit code; this process goes on.
    process.exitCode = exitCode;
    throw new SqlError("statement_too_complex", "statement is too complex to be parsed", { cause });
  }
}

function takeParser(): ParserModule {
  invariant(loading !== undefined, "the SQL parser is loaded before the first statement");
  current ??= spares.pop();
  if (current !== undefined) return current;
  throwAway();
  throw new SqlError("parser_restarting", "the SQL parser is restarting");
}

function throwAway(): void {
  current = undefined;
  isOutgrown = false;
  // A failure to make a new instance shows as parser_restarting, and the next statement tries again.
  loading = (loading ?? Promise.resolve()).then(replenish).catch(() => {});
}

/**
 * PostgreSQL's grammar is one function of 30,000 lines, and V8's optimizing compiler takes
 * 550 MB and more than a second of two cores for it, as soon as some statements have been
 * parsed. The baseline compiler's code needs a quarter longer for a statement: 0.05 ms.
 */
const WITHOUT_OPTIMIZING = ["--no-wasm-tier-up", "--no-wasm-dynamic-tiering"];

function compile(): WebAssembly.Module {
  for (const flag of WITHOUT_OPTIMIZING) setFlagsFromString(flag);
  return new WebAssembly.Module(
    readFileSync(createRequire(import.meta.url).resolve("libpg-query/wasm/libpg-query.wasm")),
  );
}

async function replenish(): Promise<void> {
  compiled ??= compile();
  const module = compiled;
  while (spares.length <= PARSER_SPARES) {
    const parser = await createParser({
      instantiateWasm: (imports, receive) => receive(new WebAssembly.Instance(module, imports)),
      printErr: () => {},
    });
    instancesMade++;
    spares.push(parser);
  }
}

/** Offsets in PgQueryParseResult and PgQueryError of libpg_query's pg_query.h, on 32 bits. */
const RESULT_TREE = 0;
const RESULT_ERROR = 8;
const ERROR_MESSAGE = 0;
const ERROR_CURSOR_POSITION = 16;

function parseWith(parser: ParserModule, text: string): ParserAnswer {
  const bytes = parser.lengthBytesUTF8(text) + 1;
  const textAddress = parser._malloc(bytes);
  if (textAddress === 0) throw new RangeError("the SQL parser has no memory for the text");
  parser.stringToUTF8(text, textAddress, bytes);
  const result = parser._wasm_parse_query_raw(textAddress);
  if (result === 0) throw new RangeError("the SQL parser has no memory for the tree");
  const { answer, end } = readResult(parser, result);
  isOutgrown ||= end > PARSER_MEMORY_BYTES_MAX;
  parser._wasm_free_parse_result(result);
  parser._free(textAddress);
  return answer;
}

/** `end`: of the memory that was needed, the tree's text being the last of it. What the grammar refuses needs little. */
function readResult(
  parser: ParserModule,
  result: number,
): { readonly answer: ParserAnswer; readonly end: number } {
  const error = parser.getValue(result + RESULT_ERROR, "i32");
  if (error !== 0) {
    const position = parser.getValue(error + ERROR_CURSOR_POSITION, "i32");
    const answer: ParserAnswer = {
      kind: "rejected",
      message: parser.UTF8ToString(parser.getValue(error + ERROR_MESSAGE, "i32")),
      position: position > 0 ? position : undefined,
    };
    return { answer, end: error };
  }
  const address = parser.getValue(result + RESULT_TREE, "i32");
  const tree = parser.UTF8ToString(address);
  const answer: ParserAnswer = { kind: "parsed", tree: JSON.parse(tree) as ParseResult };
  return { answer, end: address + tree.length };
}
