/**
 * PostgreSQL's tokens with their start and end, which the grammar's tree does not give:
 * rewriting, splitting the rows of an INSERT and bounding a statement before it is parsed
 * need them.
 *
 * The rules are those of src/backend/parser/scan.l (PostgreSQL 18) with
 * standard_conforming_strings on, applied to UTF-16 units: every character beyond ASCII is
 * an identifier character there as its bytes are in scan.l. It knows no grammar: what it
 * cannot read becomes one `invalid` token, and the grammar words the error.
 */

export type TokenKind =
  /** An identifier or keyword without quotes. */
  | "word"
  /** A quoted identifier: `"a"`, `U&"a"`. */
  | "quoted"
  /** `'a'`, `E'a'`, `U&'a'`, `B'1'`, `X'1'`, `$$a$$`; continuations over a newline included. `N'a'` is a word and a string. */
  | "string"
  | "number"
  /** `$1` */
  | "parameter"
  /** One operator, `::` and `:=` included. */
  | "operator"
  /** One of `( ) [ ] , ; . :`, or `..`. */
  | "punctuation"
  /** What scan.l refuses, or a string, comment or identifier without an end. */
  | "invalid";

export interface Token {
  readonly kind: TokenKind;
  /** UTF-16 offsets; `end` is exclusive. */
  readonly start: number;
  readonly end: number;
}

export function tokenize(text: string): readonly Token[] {
  const lexer = new Lexer(text);
  const tokens: Token[] = [];
  while (lexer.next()) tokens.push({ kind: lexer.kind, start: lexer.start, end: lexer.end });
  return tokens;
}

/** Reads one token after another without allocating: `kind`, `start` and `end` are of the last one. */
export class Lexer {
  readonly #text: string;
  #at = 0;
  kind: TokenKind = "invalid";
  start = 0;
  end = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** False at the end of the text. Blanks and comments are passed over. */
  next(): boolean {
    const from = skipBlanksAndComments(this.#text, this.#at);
    if (from === UNTERMINATED) {
      this.#take("invalid", this.#at, this.#text.length);
      return true;
    }
    if (from >= this.#text.length) return false;
    this.#readToken(from);
    return true;
  }

  #take(kind: TokenKind, start: number, end: number): void {
    this.kind = kind;
    this.start = start;
    this.end = end;
    this.#at = end;
  }

  #readToken(start: number): void {
    const text = this.#text;
    const first = text.charCodeAt(start);
    const second = text.charCodeAt(start + 1);
    if (first === QUOTE) return this.#takeString(start, start + 1, "doubled quotes");
    if (second === QUOTE && isLetter(first, LETTER_E)) {
      return this.#takeString(start, start + 2, "backslashes too");
    }
    if (second === QUOTE && (isLetter(first, LETTER_B) || isLetter(first, LETTER_X))) {
      return this.#takeString(start, start + 2, "none");
    }
    if (isLetter(first, LETTER_U) && second === AMPERSAND) {
      const third = text.charCodeAt(start + 2);
      if (third === QUOTE) return this.#takeString(start, start + 3, "doubled quotes");
      if (third === DOUBLE_QUOTE) return this.#takeQuoted(start, start + 3);
    }
    if (first === DOUBLE_QUOTE) return this.#takeQuoted(start, start + 1);
    if (isIdentifierStart(first)) return this.#take("word", start, identifierEnd(text, start + 1));
    if (isDigit(first) || (first === DOT && isDigit(second))) return this.#takeNumber(start);
    if (first === DOLLAR) return this.#takeDollar(start);
    if (isOperatorUnit(first)) return this.#take("operator", start, operatorEnd(text, start));
    this.#takePunctuation(start, first, second);
  }

  #takeString(start: number, contentStart: number, escapes: Escapes): void {
    let end = quoteEnd(this.#text, contentStart, QUOTE, escapes);
    while (end !== UNTERMINATED) {
      const continued = continuationStart(this.#text, end);
      if (continued === UNTERMINATED) return this.#take("string", start, end);
      end = quoteEnd(this.#text, continued, QUOTE, escapes);
    }
    this.#take("invalid", start, this.#text.length);
  }

  #takeQuoted(start: number, contentStart: number): void {
    const end = quoteEnd(this.#text, contentStart, DOUBLE_QUOTE, "doubled quotes");
    // A zero-length delimited identifier is an error in scan.l.
    if (end === UNTERMINATED) return this.#take("invalid", start, this.#text.length);
    this.#take(end === contentStart + 1 ? "invalid" : "quoted", start, end);
  }

  #takeNumber(start: number): void {
    const end = numberEnd(this.#text, start);
    const junkEnd = identifierEnd(this.#text, end);
    const isJunk = junkEnd > end && this.#endsInIdentifier(start, end);
    this.#take(isJunk ? "invalid" : "number", start, isJunk ? junkEnd : end);
  }

  /** What follows continues an identifier that begins behind a digit: `1a`, and `1_0$1`, which scan.l reads as `1` and `_0$1`. */
  #endsInIdentifier(start: number, end: number): boolean {
    let at = end;
    while (at > start && !isIdentifierStart(this.#text.charCodeAt(at))) {
      if (!isDigit(this.#text.charCodeAt(at)) && at < end) return false;
      at--;
    }
    return at > start;
  }

  #takeDollar(start: number): void {
    const text = this.#text;
    // PostgreSQL refuses a letter after it; the parser's grammar does not, and a server words the error.
    if (isDigit(text.charCodeAt(start + 1))) {
      return this.#take("parameter", start, plainDigitsEnd(text, start + 1));
    }
    const tagEnd = dollarTagEnd(text, start);
    if (tagEnd === UNTERMINATED) return this.#take("invalid", start, start + 1);
    const closing = text.indexOf(text.slice(start, tagEnd), tagEnd);
    if (closing < 0) return this.#take("invalid", start, text.length);
    this.#take("string", start, closing + (tagEnd - start));
  }

  #takePunctuation(start: number, first: number, second: number): void {
    if (first === COLON && (second === COLON || second === EQUALS))
      return this.#take("operator", start, start + 2);
    if (first === DOT && second === DOT) return this.#take("punctuation", start, start + 2);
    this.#take(
      PUNCTUATION.includes(String.fromCharCode(first)) ? "punctuation" : "invalid",
      start,
      start + 1,
    );
  }
}

const UNTERMINATED = -1;
const PUNCTUATION = "()[],;.:";
const OPERATOR_UNITS = "~!@#^&|`?+-*/%<>=";
/** An operator that ends in + or - must hold one of these, or the sign is a token of its own. */
const SIGN_KEEPERS = "~!@#^&|`?%";

const QUOTE = 0x27;
const DOUBLE_QUOTE = 0x22;
const AMPERSAND = 0x26;
const DOLLAR = 0x24;
const DOT = 0x2e;
const COLON = 0x3a;
const EQUALS = 0x3d;
const MINUS = 0x2d;
const PLUS = 0x2b;
const SLASH = 0x2f;
const STAR = 0x2a;
const BACKSLASH = 0x5c;
const UNDERSCORE = 0x5f;
const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const LETTER_B = 0x62;
const LETTER_E = 0x65;
const LETTER_O = 0x6f;
const LETTER_U = 0x75;
const LETTER_X = 0x78;

function isLetter(unit: number, lower: number): boolean {
  return (unit | 0x20) === lower;
}

function isDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39;
}

function isIdentifierStart(unit: number): boolean {
  return ((unit | 0x20) >= 0x61 && (unit | 0x20) <= 0x7a) || unit === UNDERSCORE || unit >= 0x80;
}

function isOperatorUnit(unit: number): boolean {
  return unit < 0x80 && OPERATOR_UNITS.includes(String.fromCharCode(unit));
}

/** `space` of scan.l: vertical tab included, which version 15 does not count; it then refuses the text. */
function isBlank(unit: number): boolean {
  return unit === 0x20 || (unit >= 0x09 && unit <= 0x0d);
}

function isNewline(unit: number): boolean {
  return unit === NEWLINE || unit === CARRIAGE_RETURN;
}

function identifierEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length) {
    const unit = text.charCodeAt(at);
    if (!isIdentifierStart(unit) && !isDigit(unit) && unit !== DOLLAR) break;
    at++;
  }
  return at;
}

/** Past blanks and comments; UNTERMINATED for a block comment without an end. */
export function skipBlanksAndComments(text: string, from: number): number {
  let at = from;
  for (;;) {
    const unit = text.charCodeAt(at);
    if (isBlank(unit)) at++;
    else if (unit === MINUS && text.charCodeAt(at + 1) === MINUS) at = lineEnd(text, at);
    else if (unit === SLASH && text.charCodeAt(at + 1) === STAR) {
      at = blockCommentEnd(text, at);
      if (at === UNTERMINATED) return UNTERMINATED;
    } else return at;
  }
}

function lineEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length && !isNewline(text.charCodeAt(at))) at++;
  return at;
}

function blockCommentEnd(text: string, from: number): number {
  let depth = 0;
  let at = from;
  while (at < text.length) {
    const unit = text.charCodeAt(at);
    const following = text.charCodeAt(at + 1);
    if (unit === SLASH && following === STAR) {
      depth++;
      at += 2;
    } else if (unit === STAR && following === SLASH) {
      depth--;
      at += 2;
      if (depth === 0) return at;
    } else at++;
  }
  return UNTERMINATED;
}

/** How a quote may stand inside; bit strings cannot hold one. */
type Escapes = "none" | "doubled quotes" | "backslashes too";

/** Just past the closing quote. */
function quoteEnd(text: string, from: number, quote: number, escapes: Escapes): number {
  let at = from;
  while (at < text.length) {
    const unit = text.charCodeAt(at);
    if (escapes === "backslashes too" && unit === BACKSLASH) at += 2;
    else if (unit !== quote) at++;
    else if (escapes !== "none" && text.charCodeAt(at + 1) === quote) at += 2;
    else return at + 1;
  }
  return UNTERMINATED;
}

/** `quotecontinue`: blanks with a newline (line comments allowed), then a quote. Gives the offset after that quote. */
function continuationStart(text: string, from: number): number {
  let at = from;
  let sawNewline = false;
  while (at < text.length) {
    const unit = text.charCodeAt(at);
    if (isBlank(unit)) {
      sawNewline ||= isNewline(unit);
      at++;
    } else if (unit === MINUS && text.charCodeAt(at + 1) === MINUS) at = lineEnd(text, at);
    else return sawNewline && unit === QUOTE ? at + 1 : UNTERMINATED;
  }
  return UNTERMINATED;
}

function digitsEnd(text: string, from: number): number {
  let at = from;
  while (
    isDigit(text.charCodeAt(at)) ||
    (text.charCodeAt(at) === UNDERSCORE && isDigit(text.charCodeAt(at + 1)) && at > from)
  )
    at++;
  return at;
}

function plainDigitsEnd(text: string, from: number): number {
  let at = from;
  while (isDigit(text.charCodeAt(at))) at++;
  return at;
}

function isDigitOfBase(unit: number, prefix: number): boolean {
  if (isLetter(prefix, LETTER_X))
    return isDigit(unit) || ((unit | 0x20) >= 0x61 && (unit | 0x20) <= 0x66);
  return unit >= 0x30 && unit <= (isLetter(prefix, LETTER_O) ? 0x37 : 0x31);
}

function numberEnd(text: string, start: number): number {
  const prefix = text.charCodeAt(start + 1);
  if (
    text.charCodeAt(start) === 0x30 &&
    (isLetter(prefix, LETTER_X) || isLetter(prefix, LETTER_O) || isLetter(prefix, LETTER_B))
  ) {
    let at = start + 2;
    while (
      isDigitOfBase(text.charCodeAt(at), prefix) ||
      (text.charCodeAt(at) === UNDERSCORE && isDigitOfBase(text.charCodeAt(at + 1), prefix))
    )
      at++;
    if (at > start + 2) return at;
  }
  let at = digitsEnd(text, start);
  // `1..2` is a number and a range, not two numbers.
  if (text.charCodeAt(at) === DOT && text.charCodeAt(at + 1) !== DOT) at = digitsEnd(text, at + 1);
  return exponentEnd(text, at);
}

function exponentEnd(text: string, from: number): number {
  if (!isLetter(text.charCodeAt(from), LETTER_E)) return from;
  const sign = text.charCodeAt(from + 1);
  const digits = sign === PLUS || sign === MINUS ? from + 2 : from + 1;
  return isDigit(text.charCodeAt(digits)) ? digitsEnd(text, digits) : from;
}

function dollarTagEnd(text: string, start: number): number {
  let at = start + 1;
  if (isIdentifierStart(text.charCodeAt(at))) {
    while (isIdentifierStart(text.charCodeAt(at)) || isDigit(text.charCodeAt(at))) at++;
  }
  return text.charCodeAt(at) === DOLLAR ? at + 1 : UNTERMINATED;
}

function operatorEnd(text: string, start: number): number {
  let end = start;
  while (isOperatorUnit(text.charCodeAt(end))) {
    const unit = text.charCodeAt(end);
    const following = text.charCodeAt(end + 1);
    if ((unit === SLASH && following === STAR) || (unit === MINUS && following === MINUS)) break;
    end++;
  }
  let last = text.charCodeAt(end - 1);
  if (end - start > 1 && (last === PLUS || last === MINUS) && !keepsSign(text, start, end)) {
    while (end - start > 1 && (last === PLUS || last === MINUS)) last = text.charCodeAt(--end - 1);
  }
  return end;
}

function keepsSign(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (SIGN_KEEPERS.includes(text.charAt(at))) return true;
  return false;
}
