/**
 * From the text of a YAML file to plain data and a way to find each field again: the only
 * importer of the YAML parser beside edit tools. It knows no field: the shard map and the
 * configuration are both read through it.
 *
 * A file is a stranger's: too large, binary, nested without end, or made of aliases that
 * multiply are problems like any other.
 */
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  parseDocument,
  type Scalar,
  visit,
} from "yaml";
import { DOCUMENT_ALIASES_MAX, DOCUMENT_CHARACTERS_MAX, DOCUMENT_NESTING_MAX } from "../limits.ts";
import { type FieldPath, type Position, ProblemList } from "./problems.ts";

/** What is said of a reader's files where the text itself is none of them. */
export interface DocumentKind {
  /** With its article: `a shard map`. */
  readonly name: string;
  /** What to do about an empty file; undefined where one is valid, and means an object without fields. */
  readonly whenEmpty: string | undefined;
  /** The document that describes the fields. */
  readonly reference: string;
  /** Words for a value that deserves better ones than its type gives; undefined for all others. */
  readonly explainValue?: (path: FieldPath, found: unknown) => ValueProblem | undefined;
}

export interface ValueProblem {
  readonly message: string;
  readonly remedy: string;
}

export interface YamlDocument {
  /** What the file says, as plain data; undefined where it cannot be read at all. */
  readonly value: unknown;
  readonly problems: ProblemList;
}

const START: Position = { line: 1, column: 1 };

export function readYaml(text: string, fileName: string, kind: DocumentKind): YamlDocument {
  const unreadable = unreadableBecause(text, kind);
  if (unreadable !== undefined) {
    const problems = new ProblemList(fileName, () => START);
    problems.report([], unreadable.message, unreadable.remedy);
    return { value: undefined, problems };
  }

  const document = parseDocument(text, {
    merge: true,
    intAsBigInt: true,
    prettyErrors: false,
  });
  const positionAt = positionsIn(text);
  const problems = new ProblemList(fileName, (path, part) =>
    positionAt(offsetOf(document, path, part)),
  );

  // The parser goes on after a mistake, but what it finds then tells more of itself than of the file.
  const mistake = document.errors
    .filter(({ code }) => code !== "DUPLICATE_KEY")
    .toSorted((left, right) => left.pos[0] - right.pos[0])[0];
  if (mistake !== undefined) {
    const remedy = "The file must be YAML 1.2: see https://yaml.org/spec/1.2.2.";
    problems.reportAt(positionAt(mistake.pos[0]), [], yamlMessage(mistake.message), remedy);
    return { value: undefined, problems };
  }
  // A name that stands twice leaves a readable document, so the rest is still checked.
  for (const { pos } of document.errors) {
    const message = "the same name stands twice in one place";
    problems.reportAt(positionAt(pos[0]), [], message, "Remove one of the two.");
  }
  plainScalars(document, problems);
  // A text of comments alone is the value null.
  const value = document.contents === null ? {} : toPlain(document, problems);
  return { value, problems };
}

function unreadableBecause(text: string, kind: DocumentKind): ValueProblem | undefined {
  const { name, whenEmpty, reference } = kind;
  const sentence = name.charAt(0).toUpperCase() + name.slice(1);
  if (text.length > DOCUMENT_CHARACTERS_MAX) {
    return {
      message: `the file is larger than ${DOCUMENT_CHARACTERS_MAX} characters`,
      remedy: `${sentence} is small: check that this is the right file.`,
    };
  }
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u0008\u000e-\u001f\ufffd]/.test(text)) {
    return { message: "the file is not text", remedy: `${sentence} is a YAML file in UTF-8.` };
  }
  if (whenEmpty !== undefined && text.replace(/^\s*(?:#.*)?$/gm, "").trim() === "") {
    return { message: "the file is empty", remedy: whenEmpty };
  }
  if (isNestedTooDeeply(text)) {
    return {
      message: `the file is nested more than ${DOCUMENT_NESTING_MAX} levels deep`,
      remedy: `${sentence} needs a few (${reference}): check that this is the right file.`,
    };
  }
  return undefined;
}

/**
 * Guards the parser's own recursion, before it runs: open brackets outside comments, and
 * the indentation of the deepest line. It errs towards refusing what no map has.
 */
function isNestedTooDeeply(text: string): boolean {
  let depth = 0;
  for (const [bracket] of text.replace(/(^|\s)#.*$/gm, "").matchAll(/[[\]{}]/g)) {
    if (bracket === "[" || bracket === "{") depth++;
    else if (depth > 0) depth--;
    if (depth > DOCUMENT_NESTING_MAX) return true;
  }
  // Each block level takes a column, be it a blank or one of `- ? :` before the next on its own line.
  return new RegExp(`^(?:[ ]|[-?:] ){${2 * DOCUMENT_NESTING_MAX}}`, "m").test(text);
}

/** Counted in the text: the parser's own counter misses lines within a token it did not expect. */
function positionsIn(text: string): (offset: number) => Position {
  const starts = [0, ...Array.from(text.matchAll(/\n/g), ({ index }) => index + 1)];
  return (offset) => {
    let line = 1;
    let after = starts.length + 1;
    while (after - line > 1) {
      const middle = (line + after) >> 1;
      if ((starts[middle - 1] ?? 0) <= offset) line = middle;
      else after = middle;
    }
    return { line, column: offset - (starts[line - 1] ?? 0) + 1 };
  };
}

/** The parser's words without its own position, which is given beside them. */
function yamlMessage(message: string): string {
  const text =
    message
      .split("\n", 1)[0]
      ?.replace(/ at line \d+, column \d+:?$/, "")
      .replace(/\.$/, "") ?? "";
  const words = text.length > 120 ? `${text.slice(0, 120)}...` : text;
  return `this is not YAML: ${words.charAt(0).toLowerCase()}${words.slice(1)}`;
}

/**
 * Integers beyond 2^53 keep their digits, as text; all others become numbers. A name that
 * JavaScript's objects treat as their own is refused, since it would vanish.
 */
function plainScalars(document: Document, problems: ProblemList): void {
  visit(document, {
    Scalar(key, node) {
      if (typeof node.value === "bigint") {
        const isExact =
          BigInt(Number(node.value)) === node.value && Number.isSafeInteger(Number(node.value));
        node.value = isExact ? Number(node.value) : (node.source ?? String(node.value));
      }
      if (key === "key" && node.value === "__proto__") {
        problems.report([], 'the name "__proto__" cannot be used', "Choose another name.");
      }
    },
  });
}

function toPlain(document: Document, problems: ProblemList): unknown {
  try {
    return document.toJS({ maxAliasCount: DOCUMENT_ALIASES_MAX });
  } catch (cause) {
    // The parser throws for an alias without an anchor, and where aliases of aliases exceed the limit.
    problems.report(
      [],
      cause instanceof Error ? yamlMessage(cause.message) : "the file cannot be read",
      `Use fewer than ${DOCUMENT_ALIASES_MAX} aliases, each after its anchor.`,
    );
    return undefined;
  }
}

/** Walks the tree by a field's path, through aliases; where a step is missing (or merged in), the last node found answers. */
function offsetOf(document: Document, path: FieldPath, part: "name" | "value"): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const [index, step] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    const child = childOf(node, step);
    if (child === undefined) return offset;
    const isLast = index === path.length - 1;
    const wanted =
      isPair(child) && isLast && part === "name" ? child.key : isPair(child) ? child.value : child;
    offset = startOf(wanted) ?? (isPair(child) ? startOf(child.key) : undefined) ?? offset;
    node = isPair(child) ? child.value : child;
  }
  return offset;
}

function childOf(node: unknown, step: string | number): Pair | Node | undefined {
  if (!isCollection(node)) return undefined;
  if (isMap(node)) {
    // Of a name that stands twice the last counts, as in the data.
    return node.items.findLast((pair) => isScalar(pair.key) && nameOf(pair.key) === String(step));
  }
  const item = isSeq(node) && typeof step === "number" ? node.items[step] : undefined;
  return isNode(item) || isPair(item) ? item : undefined;
}

/** A key as plain data has it: a number is its digits. */
function nameOf({ value, source }: Scalar): string {
  return typeof value === "string"
    ? value
    : typeof value === "number"
      ? String(value)
      : (source ?? "");
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}

/** Where the text of one field's value stands, for tools that change it alone; undefined where there is none. */
export function rangeOfValue(
  text: string,
  path: readonly string[],
): { readonly start: number; readonly end: number } | undefined {
  const node = parseDocument(text, { merge: true, intAsBigInt: true }).getIn(path, true);
  if (!isNode(node) || !node.range) return undefined;
  const [start, end] = node.range;
  return { start, end };
}
