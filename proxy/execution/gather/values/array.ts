/**
 * Arrays of a type that can be ordered: element by element, then by length and dimensions
 * (arrayfuncs.c, array_cmp). NULL elements come last. Arrays whose lower bounds are not 1
 * are refused: their text and their order are too rarely met to be trusted.
 */
import { SqlError } from "../../../../base/sql-error.ts";
import { unreadable } from "./value-type.ts";
import type { ValueType } from "./value-type.ts";

interface ArrayValue<Element> {
  readonly dimensions: readonly number[];
  /** In storage order; null is NULL. */
  readonly elements: readonly (Element | null)[];
}

interface ArrayText {
  readonly dimensions: number[];
  readonly elements: (string | null)[];
}

/** PostgreSQL's MAXDIM. */
const DIMENSIONS_MAX = 6;

export function arrayType<Element>(
  typeName: string,
  elementOid: number,
  element: ValueType<Element>,
): ValueType<ArrayValue<Element>> {
  return {
    readText: (bytes, start, end) => {
      const { dimensions, elements } = parseArray(bytes.toString("latin1", start, end), typeName);
      return { dimensions, elements: elements.map((text) => readElement(text, element)) };
    },
    readBinary: (bytes, start, end) =>
      readBinaryArray(bytes.subarray(start, end), typeName, element),
    compare: (a, b) => compareArrays(a, b, element),
    identity: ({ dimensions, elements }) => {
      const parts = elements.map((value) => (value === null ? "N" : element.identity(value)));
      return [dimensions.join("x"), ...parts.map((part) => `${part.length}:${part}`)].join(" ");
    },
    textToBinary: (text) =>
      encodeArray(parseArray(text.toString("latin1"), typeName), elementOid, element),
  };
}

function readElement<Element>(text: string | null, element: ValueType<Element>): Element | null {
  if (text === null) return null;
  const bytes = Buffer.from(text, "latin1");
  return element.readText(bytes, 0, bytes.length);
}

function compareArrays<Element>(
  a: ArrayValue<Element>,
  b: ArrayValue<Element>,
  element: ValueType<Element>,
): number {
  const shared = Math.min(a.elements.length, b.elements.length);
  for (let index = 0; index < shared; index++) {
    const left = a.elements[index] ?? null;
    const right = b.elements[index] ?? null;
    if (left === null || right === null) {
      if (left !== right) return left === null ? 1 : -1;
      continue;
    }
    const order = element.compare(left, right);
    if (order !== 0) return order;
  }
  if (a.elements.length !== b.elements.length) return a.elements.length - b.elements.length;
  if (a.dimensions.length !== b.dimensions.length) return a.dimensions.length - b.dimensions.length;
  for (const [index, size] of a.dimensions.entries()) {
    const other = b.dimensions[index] ?? 0;
    if (size !== other) return size - other;
  }
  return 0;
}

/** array_out: braces nest by dimension; an element is quoted where it could be mistaken. */
function parseArray(text: string, typeName: string): ArrayText {
  if (text.startsWith("[")) {
    throw new SqlError(
      "gather_value_unreadable",
      `an array of type ${typeName} has a lower bound that is not 1`,
      { hint: "Pin the shard key, or order and group by another expression." },
    );
  }
  const dimensions: number[] = [];
  const elements: (string | null)[] = [];
  let position = 0;

  const parseLevel = (level: number): void => {
    if (level >= DIMENSIONS_MAX || text[position] !== "{") throw unreadable(typeName);
    position++;
    let count = 0;
    while (text[position] !== "}") {
      if (count > 0 && text[position++] !== ",") throw unreadable(typeName);
      if (text[position] === "{") parseLevel(level + 1);
      else elements.push(parseElement());
      count++;
    }
    position++;
    if (count > 0) dimensions[level] = count;
  };
  const parseElement = (): string | null => {
    const match = ELEMENT.exec(((ELEMENT.lastIndex = position), text));
    if (match === null) throw unreadable(typeName);
    position = ELEMENT.lastIndex;
    const [, quoted, plain] = match;
    if (quoted !== undefined) return quoted.replaceAll(/\\(.)/gs, "$1");
    return plain === "NULL" ? null : (plain ?? "");
  };

  parseLevel(0);
  if (position !== text.length) throw unreadable(typeName);
  return { dimensions, elements };
}

const ELEMENT = /"((?:[^"\\]|\\.)*)"|([^",{}\\]+)/sy;

/** array_recv: dimensions, whether there are NULLs, element type, each size and lower bound, the elements. */
function readBinaryArray<Element>(
  bytes: Buffer,
  typeName: string,
  element: ValueType<Element>,
): ArrayValue<Element> {
  if (bytes.length < 12) throw unreadable(typeName);
  const count = bytes.readInt32BE(0);
  if (count < 0 || count > DIMENSIONS_MAX || bytes.length < 12 + 8 * count) {
    throw unreadable(typeName);
  }
  const dimensions: number[] = [];
  let position = 12;
  for (let index = 0; index < count; index++, position += 8) {
    dimensions.push(bytes.readInt32BE(position));
    if (bytes.readInt32BE(position + 4) !== 1) throw unreadable(typeName);
  }
  const elements: (Element | null)[] = [];
  while (position < bytes.length) {
    if (position + 4 > bytes.length) throw unreadable(typeName);
    const length = bytes.readInt32BE(position);
    position += 4;
    if (length < -1 || position + length > bytes.length) throw unreadable(typeName);
    elements.push(length === -1 ? null : element.readBinary(bytes, position, position + length));
    if (length > 0) position += length;
  }
  return { dimensions, elements };
}

function encodeArray<Element>(
  { dimensions, elements }: ArrayText,
  elementOid: number,
  element: ValueType<Element>,
): Buffer {
  const header = Buffer.alloc(12 + 8 * dimensions.length);
  header.writeInt32BE(dimensions.length, 0);
  header.writeInt32BE(elements.includes(null) ? 1 : 0, 4);
  header.writeUInt32BE(elementOid, 8);
  for (const [index, size] of dimensions.entries()) {
    header.writeInt32BE(size, 12 + 8 * index);
    header.writeInt32BE(1, 16 + 8 * index);
  }
  const parts: Buffer[] = [header];
  for (const text of elements) {
    const value = text === null ? null : element.textToBinary(Buffer.from(text, "latin1"));
    const length = Buffer.alloc(4);
    length.writeInt32BE(value === null ? -1 : value.length);
    parts.push(length);
    if (value !== null) parts.push(value);
  }
  return Buffer.concat(parts);
}
