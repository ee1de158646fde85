/** A Bind's key as it is read from its bytes alone, beside what is read of the whole of it. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeToBuffer } from "../../proxy/protocol/frame-writer.ts";
import { encodeBind } from "../../proxy/protocol/frontend/bind.ts";
import { encodeExecute } from "../../proxy/protocol/frontend/execute.ts";
import { encodeSync } from "../../proxy/protocol/frontend/sync.ts";
import { readBatch } from "../../proxy/session/direct-batch.ts";
import type { DirectBind } from "../../proxy/session/direct-batch.ts";
import { partitionHashModulo, integerHashModulo } from "../../shardmap/shard-function/hash.ts";

type Format = "text" | "binary";

function bound(
  values: readonly (Buffer | null)[],
  parameterFormats: readonly Format[],
): DirectBind {
  const message = {
    kind: "bind",
    portal: "",
    statement: "s",
    parameterFormats,
    parameters: values,
    resultFormats: [],
  } as const;
  const bytes = Buffer.concat([
    Buffer.from(encodeToBuffer(encodeBind, message)),
    Buffer.from(encodeToBuffer(encodeExecute, { kind: "execute", portal: "", rowLimit: 0 })),
    Buffer.from(encodeToBuffer(encodeSync, { kind: "sync" })),
  ]);
  const batch = readBatch(bytes, 0, bytes.length);
  if (batch === undefined) throw new Error("a whole batch is read");
  for (let end = 0; end < bytes.length; end++) expect(readBatch(bytes, 0, end)).toBeUndefined();
  expect(batch.end).toBe(bytes.length);
  return batch.bind;
}

const bytesOf = (value: bigint, length: 4 | 8): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes.subarray(8 - length);
};

const int8 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const int4 = fc.bigInt({ min: -(2n ** 31n), max: 2n ** 31n - 1n });
const text = fc.oneof(
  int8.map(String),
  fc.nat(999_999_999).map(String),
  fc.constantFrom("", " 5", "5 ", "+5", "-5", "007", "1e3", "0x1F", "1_000", "5.0"),
);

test("is the integer that PostgreSQL would read, or left to whoever reads all", () => {
  const value = fc.oneof(
    text.map((written) => ({ format: "text" as const, bytes: Buffer.from(written) })),
    int4.map((each) => ({ format: "binary" as const, bytes: bytesOf(each, 4) })),
    int8.map((each) => ({ format: "binary" as const, bytes: bytesOf(each, 8) })),
    fc.uint8Array({ maxLength: 9 }).map((each) => ({
      format: "binary" as const,
      bytes: Buffer.from(each),
    })),
    fc.constant({ format: "text" as const, bytes: null }),
  );
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 4 }), (values) => {
      const message = bound(
        values.map(({ bytes }) => bytes),
        values.map(({ format }) => format),
      );
      const whole = message.parameters(values.map(() => 20));
      expect(whole.map(({ value: each }) => each)).toEqual(values.map(({ bytes }) => bytes));
      expect(whole.map(({ format }) => format)).toEqual(values.map(({ format }) => format));
      for (const [index, { format, bytes }] of values.entries()) {
        const small = message.smallInteger(index);
        if (small === undefined) continue;
        expect(bytes).not.toBeNull();
        if (bytes === null) continue;
        const read =
          format === "text"
            ? BigInt(bytes.toString())
            : bytes.length === 4
              ? BigInt(bytes.readInt32BE())
              : bytes.readBigInt64BE();
        expect(BigInt(small)).toBe(read);
      }
    }),
    { numRuns: 500 },
  );
  expect(bound([Buffer.from("42")], []).smallInteger(0)).toBe(42);
  expect(bound([null, Buffer.from("0")], []).smallInteger(1)).toBe(0);
  expect(bound([bytesOf(-7n, 8)], ["binary"]).smallInteger(0)).toBe(-7);
});

test("is hashed as any other key", () => {
  fc.assert(
    fc.property(int4, fc.integer({ min: 1, max: 2 ** 21 }), (value, modulus) => {
      expect(integerHashModulo(Number(value), modulus)).toBe(
        partitionHashModulo([{ kind: "integer", value }], modulus),
      );
    }),
    { numRuns: 2_000 },
  );
});
