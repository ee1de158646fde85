/** Fields of copied rows, found in bytes that may be anything. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ProtocolViolation } from "../../base/sql-error.ts";
import { BINARY_HEADER, BINARY_TRAILER, binaryRow, textRow } from "../../migration/copied-rows.ts";

function binary(...fields: readonly (Buffer | null)[]): Buffer {
  const parts: Buffer[] = [Buffer.from([0, fields.length])];
  for (const field of fields) {
    const length = Buffer.alloc(4);
    length.writeInt32BE(field?.length ?? -1);
    parts.push(length, field ?? Buffer.alloc(0));
  }
  return Buffer.concat(parts);
}

describe("a row of binary COPY", () => {
  test("gives the fields that are asked for, in their order", () => {
    const row = binary(Buffer.from("a"), null, Buffer.alloc(0), Buffer.from("d"));
    expect(binaryRow(row, [3, 0])).toEqual([Buffer.from("d"), Buffer.from("a")]);
    expect(binaryRow(row, [1, 2])).toEqual([null, Buffer.alloc(0)]);
    expect(binaryRow(row, [0, 0])).toEqual([Buffer.from("a"), Buffer.from("a")]);
  });

  test("is none at the trailer", () => {
    expect(binaryRow(BINARY_TRAILER, [0])).toBeUndefined();
    expect(BINARY_HEADER).toHaveLength(19);
  });

  test("whatever bytes come, is a row or an error that says what is wrong", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const failure = failureOf(() => binaryRow(Buffer.from(bytes), [0, 5]));
        expect(failure === undefined || failure instanceof ProtocolViolation).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("a row of text COPY", () => {
  test("gives values as they were before they were escaped", () => {
    const line = Buffer.from(
      String.raw`a\tb` + "\t" + String.raw`\N` + "\t\t" + String.raw`\\N\n` + "\n",
    );
    expect(textRow(line, [0, 1, 2, 3])).toEqual(["a\tb", null, "", "\\N\n"]);
  });

  test("ends with its line", () => {
    expect(() => textRow(Buffer.from("a"), [0])).toThrow(ProtocolViolation);
  });
});

function failureOf(work: () => unknown): unknown {
  try {
    work();
    return undefined;
  } catch (error) {
    return error;
  }
}
