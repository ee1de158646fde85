/**
 * The elements of an array parameter, for `key = ANY ($1)`: from PostgreSQL's text form
 * (array_in) or binary form (array_recv). What is not a plain list is left unproven.
 */

/** NULL elements are null; undefined where the array cannot be read with certainty. */
export type ArrayElements = readonly (Buffer | null)[] | undefined;

const HEADER_BYTES = 12;
const DIMENSION_BYTES = 8;
const DIMENSIONS_MAX = 6;

/** array_recv: dimension count, null flag, element type; then each dimension's length and lower bound; then the elements. */
export function binaryElements(bytes: Buffer, elementOid: number): ArrayElements {
  if (bytes.length < HEADER_BYTES) return undefined;
  const dimensions = bytes.readInt32BE(0);
  if (dimensions < 0 || dimensions > DIMENSIONS_MAX || bytes.readUInt32BE(8) !== elementOid)
    return undefined;
  let at = HEADER_BYTES + dimensions * DIMENSION_BYTES;
  if (bytes.length < at) return undefined;
  let count = dimensions === 0 ? 0 : 1;
  for (let dimension = 0; dimension < dimensions; dimension++) {
    count *= bytes.readInt32BE(HEADER_BYTES + dimension * DIMENSION_BYTES);
  }
  if (count < 0 || count * 4 > bytes.length - at) return undefined;
  const elements: (Buffer | null)[] = [];
  for (let index = 0; index < count; index++) {
    if (at + 4 > bytes.length) return undefined;
    const length = bytes.readInt32BE(at);
    at += 4;
    if (length === -1) {
      elements.push(null);
      continue;
    }
    if (length < 0 || at + length > bytes.length) return undefined;
    elements.push(bytes.subarray(at, at + length));
    at += length;
  }
  return at === bytes.length ? elements : undefined;
}

/** One element of array_in's text form, and what follows it. */
const ELEMENT = /\s*(?:"((?:[^"\\]|\\[\s\S])*)"|([^\s{},"\\](?:[^{},"\\]*[^\s{},"\\])?))\s*([,}])/y;

/** `{1,2,NULL}`, `{"a b",c}`. Bounds, nesting and unquoted backslashes are left alone. */
export function textElements(text: string): ArrayElements {
  const trimmed = text.trim();
  if (/^\{\s*\}$/.test(trimmed)) return [];
  if (!trimmed.startsWith("{")) return undefined;
  const elements: (Buffer | null)[] = [];
  ELEMENT.lastIndex = 1;
  for (let match = ELEMENT.exec(trimmed); match !== null; match = ELEMENT.exec(trimmed)) {
    const [, quoted, plain, end] = match;
    if (quoted === undefined && plain?.toUpperCase() === "NULL") elements.push(null);
    else
      elements.push(
        Buffer.from(quoted === undefined ? (plain ?? "") : quoted.replaceAll(/\\([\s\S])/g, "$1")),
      );
    if (end === "}") return ELEMENT.lastIndex === trimmed.length ? elements : undefined;
  }
  return undefined;
}
