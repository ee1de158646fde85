/**
 * What fills a column that an INSERT leaves out, read from the default as pg_get_expr prints
 * it with an empty search_path. Only shapes that can mean one thing are taken apart; any
 * other is an expression, which the server evaluates.
 */
import type { ColumnFill } from "../../shardmap/catalog.ts";

export interface SequenceName {
  readonly schema: string;
  readonly sequence: string;
}

export interface ColumnDefault {
  /** pg_attribute.attidentity: `a` always, `d` by default, or empty. */
  readonly identity: string;
  /** pg_attribute.attgenerated: `s`, `v`, or empty. */
  readonly generated: string;
  /** As pg_get_expr prints it; null without one. */
  readonly expression: string | null;
  /** As format_type prints it without a modifier. */
  readonly typeName: string;
  /** A domain's own default, which counts where the column has none. */
  readonly typeDefault: string | null;
  /** The default calls a random uuid function of an extension. */
  readonly callsExtensionUuid: boolean;
  /** What pg_depend ties to the column. */
  readonly sequences: readonly SequenceName[];
  /** Whether a sequence of this name exists. */
  readonly sequenceExists: (name: SequenceName) => boolean;
}

export function columnFill(column: ColumnDefault): ColumnFill {
  const [sequence, another] = column.sequences;
  if (column.identity !== "" && sequence !== undefined) {
    return { kind: "identity", always: column.identity === "a", ...sequence };
  }
  if (column.generated !== "") return { kind: "generated" };
  const { expression } = column;
  if (expression === null) {
    return column.typeDefault === null
      ? { kind: "null" }
      : { kind: "expression", sql: column.typeDefault };
  }
  // The constant is a regclass, so it is the one sequence that the default depends on.
  if (isNextval(expression) && sequence !== undefined && another === undefined) {
    return { kind: "sequence", ...sequence };
  }
  const lateBound = lateBoundSequence(expression);
  if (lateBound !== undefined && column.sequenceExists(lateBound)) {
    return { kind: "sequence", ...lateBound };
  }
  if (isRandomUuid(expression, column.callsExtensionUuid)) return { kind: "randomUuid" };
  return constant(expression, column.typeName) ?? { kind: "expression", sql: expression };
}

const QUOTED = `'(?:[^']|'')*'`;
const IDENTIFIER = `(?:[a-z_][a-z0-9_$]*|"(?:[^"]|"")+")`;

const NEXTVAL = new RegExp(`^nextval\\(${QUOTED}::regclass\\)$`);

function isNextval(expression: string): boolean {
  return NEXTVAL.test(expression);
}

const LATE_BOUND = new RegExp(`^nextval\\(\\((${QUOTED})::text\\)::regclass\\)$`);
const QUALIFIED_NAME = new RegExp(`^(${IDENTIFIER})\\.(${IDENTIFIER})$`);

/** Dumps of very old servers name the sequence by a text that is looked up at each call; with its schema it is certain. */
function lateBoundSequence(expression: string): SequenceName | undefined {
  const literal = LATE_BOUND.exec(expression)?.[1];
  const name = literal === undefined ? null : QUALIFIED_NAME.exec(unquote(literal));
  if (name === null) return undefined;
  const [, schema = "", sequence = ""] = name;
  return { schema: foldIdentifier(schema), sequence: foldIdentifier(sequence) };
}

function foldIdentifier(written: string): string {
  return written.startsWith('"') ? written.slice(1, -1).replaceAll('""', '"') : written;
}

const EXTENSION_CALL = new RegExp(`^${IDENTIFIER}\\.${IDENTIFIER}\\(\\)$`);

/** With an empty search_path only pg_catalog's own functions are printed without a schema. */
function isRandomUuid(expression: string, callsExtensionUuid: boolean): boolean {
  return (
    expression === "gen_random_uuid()" ||
    expression === "uuidv4()" ||
    (callsExtensionUuid && EXTENSION_CALL.test(expression))
  );
}

const INTEGER_TYPES = new Set(["smallint", "integer", "bigint"]);
const FRACTION_TYPES = new Set(["numeric", "real", "double precision"]);
const TYPED_CONSTANT = new RegExp(`^(E?${QUOTED}|NULL)::(.+)$`);

function constant(expression: string, typeName: string): ColumnFill | undefined {
  const isNumber = INTEGER_TYPES.has(typeName) || FRACTION_TYPES.has(typeName);
  // An integer of another type than the column's has the same text; a fraction would be rounded.
  if (isNumber && /^\d+$/.test(expression)) return { kind: "constant", text: expression };
  if (typeName === "numeric" && /^\d+\.\d+$/.test(expression)) {
    return { kind: "constant", text: expression };
  }
  if (typeName === "boolean" && (expression === "true" || expression === "false")) {
    return { kind: "constant", text: expression };
  }
  const typed = TYPED_CONSTANT.exec(expression);
  if (typed === null) return undefined;
  const [, literal = "", castTo = ""] = typed;
  const isOwnType = castTo === typeName || (isNumber && INTEGER_TYPES.has(castTo));
  if (literal === "NULL") return isOwnType ? { kind: "null" } : undefined;
  return isOwnType ? { kind: "constant", text: unquote(literal) } : undefined;
}

/** pg_get_expr writes E'' where there is a backslash, and doubles nothing but quotes and backslashes. */
function unquote(literal: string): string {
  if (!literal.startsWith("E")) return literal.slice(1, -1).replaceAll("''", "'");
  return literal.slice(2, -1).replaceAll(/''|\\\\/g, (pair) => pair.slice(1));
}
