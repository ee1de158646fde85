/**
 * Bounds a text before the grammar sees it: the grammar's generated code and every walk
 * over its tree recurse as deep as the longest chain of operators, and one statement must
 * not take the parser of all clients down.
 */
import {
  SQL_COMMENT_SCAN_MAX,
  SQL_NESTING_MAX,
  SQL_OPERATOR_RUN_MAX,
  SQL_TEXT_BYTES_MAX,
} from "../base/limits.ts";
import { SqlError } from "../base/sql-error.ts";
import { Lexer } from "./lexer.ts";

/** The error to answer with, or undefined where the text may be parsed. */
export function checkBounds(text: string): SqlError | undefined {
  if (text.length > SQL_TEXT_BYTES_MAX || Buffer.byteLength(text) > SQL_TEXT_BYTES_MAX) {
    return new SqlError(
      "statement_too_long",
      `statement is longer than ${SQL_TEXT_BYTES_MAX} bytes`,
    );
  }
  // Each element of a chain needs a character of its own: a short text has no long chain.
  if (text.length <= Math.min(SQL_NESTING_MAX, SQL_OPERATOR_RUN_MAX)) return undefined;
  return commentStarts(text) ?? new ChainMeter(text).measure();
}

const OPERATOR_CHARACTERS = /[~!@#^&|`?+\-*/%<>=]{2,}/g;

/**
 * PostgreSQL's scanner reads the whole run of operator characters after each slash-star
 * and puts all but those two back (scan.l, xcstart): a run of comment starts costs the square
 * of its length.
 */
function commentStarts(text: string): SqlError | undefined {
  let scanned = 0;
  for (const { 0: run } of text.matchAll(OPERATOR_CHARACTERS)) {
    for (let at = run.indexOf("/*"); at >= 0; at = run.indexOf("/*", at + 2))
      scanned += run.length - at;
    if (scanned > SQL_COMMENT_SCAN_MAX) return tooComplex("too many comment starts in a row");
  }
  return undefined;
}

/** Words that begin a new expression, so that the operators before them are no longer on one path of the tree. */
const EXPRESSION_BOUNDARIES = new Set([
  "select",
  "from",
  "where",
  "group",
  "having",
  "order",
  "limit",
  "offset",
  "values",
  "set",
  "returning",
  "on",
  "using",
  "when",
  "then",
  "else",
  "and",
  "or",
  "insert",
  "update",
  "delete",
  "with",
  "window",
]);

/** Words that make the tree of a query, a FROM item or an expression one deeper, as operators do. */
const CHAIN_WORDS = new Set(["join", "union", "intersect", "except"]);
const OPERATOR_WORDS = new Set([
  "is",
  "isnull",
  "notnull",
  "not",
  "collate",
  "at",
  "like",
  "ilike",
  "similar",
  "between",
  "in",
]);

interface OpenLevel {
  readonly opener: string;
  /** Operators on the path from the root to this parenthesis. */
  readonly operatorsBefore: number;
  /** The longest path inside so far: what follows the closing one may stand on top of it. */
  operatorsMost: number;
}

/** An upper bound of the tree's depth: operators since the last comma or clause, those of enclosing levels included. */
class ChainMeter {
  readonly #text: string;
  readonly #lexer: Lexer;
  readonly #open: OpenLevel[] = [];
  #operators = 0;
  #chain = 0;

  constructor(text: string) {
    this.#text = text;
    this.#lexer = new Lexer(text);
  }

  measure(): SqlError | undefined {
    while (this.#lexer.next()) {
      this.#count();
      if (this.#open.length > SQL_NESTING_MAX) {
        return tooComplex(
          `more than ${SQL_NESTING_MAX} nested parentheses, brackets and CASE expressions`,
        );
      }
      if (this.#operators > SQL_OPERATOR_RUN_MAX || this.#chain > SQL_OPERATOR_RUN_MAX) {
        return tooComplex(
          `more than ${SQL_OPERATOR_RUN_MAX} operators, joins or set operations in one chain`,
        );
      }
    }
    return undefined;
  }

  #count(): void {
    const { kind, start, end } = this.#lexer;
    if (kind === "operator") this.#operators++;
    else if (kind === "word" && end - start <= 9)
      this.#countWord(this.#text.slice(start, end).toLowerCase());
    else if (kind === "punctuation") this.#countPunctuation(this.#text.charAt(start));
  }

  #countWord(word: string): void {
    if (CHAIN_WORDS.has(word)) this.#chain++;
    else if (OPERATOR_WORDS.has(word)) this.#operators++;
    else if (EXPRESSION_BOUNDARIES.has(word)) this.#startExpression();
    else if (word === "case") this.#openLevel(word);
    else if (word === "end" && this.#open.at(-1)?.opener === "case") this.#closeLevel();
  }

  #countPunctuation(character: string): void {
    if (character === "(" || character === "[") this.#openLevel(character);
    else if (character === ")" || character === "]") this.#closeLevel();
    else if (character === ",") this.#startExpression();
    else if (character === ";") {
      this.#open.length = 0;
      this.#operators = 0;
      this.#chain = 0;
    }
  }

  #openLevel(opener: string): void {
    this.#open.push({ opener, operatorsBefore: this.#operators, operatorsMost: this.#operators });
  }

  #closeLevel(): void {
    const level = this.#open.pop();
    if (level !== undefined) this.#operators = Math.max(this.#operators, level.operatorsMost);
  }

  #startExpression(): void {
    const level = this.#open.at(-1);
    if (level !== undefined) level.operatorsMost = Math.max(level.operatorsMost, this.#operators);
    this.#operators = level?.operatorsBefore ?? 0;
  }
}

function tooComplex(detail: string): SqlError {
  return new SqlError("statement_too_complex", "statement is too complex to be planned", {
    detail: `It has ${detail}.`,
  });
}
