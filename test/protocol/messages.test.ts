import { readdirSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ProtocolViolation, SqlError } from "../../base/sql-error.ts";
import { FrameReader } from "../../proxy/protocol/frame-reader.ts";
import { FrameWriter } from "../../proxy/protocol/frame-writer.ts";
import { decodeBind, encodeBind, formatAt } from "../../proxy/protocol/frontend/bind.ts";
import type { Bind } from "../../proxy/protocol/frontend/bind.ts";
import { decodeDataRow, encodeDataRow } from "../../proxy/protocol/backend/data-row.ts";
import {
  decodeErrorResponse,
  encodeErrorResponse,
} from "../../proxy/protocol/backend/error-response.ts";
import {
  decodeRowDescription,
  encodeRowDescription,
} from "../../proxy/protocol/backend/row-description.ts";
import type { RowDescription } from "../../proxy/protocol/backend/row-description.ts";
import { decodeParse, encodeParse } from "../../proxy/protocol/frontend/parse.ts";
import { decodeQuery } from "../../proxy/protocol/frontend/query.ts";
import { VECTORS } from "./message-vectors.ts";
import type { Codec } from "./message-vectors.ts";

const HEADER_BYTES = 5;

function frameOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(" ", ""), "hex");
}

describe("vectors", () => {
  test.each(VECTORS)("$file $message.kind", ({ message, hex, codec }) => {
    const frame = frameOf(hex);
    const { decode, encode } = codec as unknown as Codec<unknown>;
    const writer = new FrameWriter();
    encode(message, writer);
    expect(writer.take().toString("hex")).toBe(frame.toString("hex"));
    expect(decode(frame.subarray(HEADER_BYTES))).toEqual(message);
  });

  test("every message file has one", () => {
    const files = ["frontend", "backend"].flatMap((folder) =>
      readdirSync(new URL(`../../proxy/protocol/${folder}`, import.meta.url)).map(
        (name) => `${folder}/${name.replace(/\.ts$/, "")}`,
      ),
    );
    expect(new Set(VECTORS.map(({ file }) => file))).toEqual(new Set(files));
  });
});

/** Messages whose last field takes whatever is left have no wrong length of their own. */
const OPEN_ENDED = /copy-data|sasl-response|authentication|backend-key-data/;

describe("malformed bodies", () => {
  test.each(VECTORS.filter(({ file }) => !OPEN_ENDED.test(file)))("$file cut anywhere", (each) => {
    const body = frameOf(each.hex).subarray(HEADER_BYTES);
    for (let length = 0; length < body.length; length++) {
      const decode = (): unknown => each.codec.decode(body.subarray(0, length));
      expect(decode, `first ${length} bytes`).toThrow(ProtocolViolation);
    }
  });

  test.each(VECTORS.filter(({ file }) => !OPEN_ENDED.test(file)))(
    "$file with a byte more",
    (each) => {
      const body = frameOf(each.hex).subarray(HEADER_BYTES);
      expect(() => each.codec.decode(Buffer.concat([body, Buffer.of(0)]))).toThrow(
        ProtocolViolation,
      );
    },
  );

  test.each(VECTORS)("$file mutated: a message, or an error of the peer", ({ hex, codec }) => {
    const body = frameOf(hex).subarray(HEADER_BYTES);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(200), fc.nat(255))), (mutations) => {
        const mutated = Buffer.from(body);
        for (const [at, byte] of mutations) if (at < mutated.length) mutated[at] = byte;
        expectPeerErrorOnly(() => codec.decode(mutated));
      }),
      { numRuns: 200 },
    );
  });

  test("random bodies for every decoder", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        for (const { codec } of VECTORS)
          expectPeerErrorOnly(() => codec.decode(Buffer.from(bytes)));
      }),
      { numRuns: 500 },
    );
  });

  test("a count that claims what is not there allocates nothing for it", () => {
    const claimed = Buffer.concat([Buffer.of(0, 0), Buffer.of(0xff, 0xff)]);
    expect(() => decodeBind(claimed)).toThrow(ProtocolViolation);
    expect(() => decodeDataRow(Buffer.from("ffff7fffffff", "hex"))).toThrow(ProtocolViolation);
  });

  test("text that is no UTF-8 is refused, and not repaired", () => {
    expect(() => decodeQuery(Buffer.from("53ff00", "hex"))).toThrow(SqlError);
    expect(decodeQuery(Buffer.from("efbfbd00", "hex")).sql).toBe("\uFFFD");
  });

  test("a server's message in another encoding is still read", () => {
    expect(decodeErrorResponse(Buffer.from("4d6dfc0000", "hex")).fields).toEqual({ M: "m\uFFFD" });
  });
});

function expectPeerErrorOnly(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    if (!(error instanceof ProtocolViolation) && !(error instanceof SqlError)) throw error;
  }
}

const name = fc.string({ unit: "grapheme", maxLength: 20 }).filter((text) => !text.includes("\0"));
const value = fc.option(fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)));
const format = fc.constantFrom("text" as const, "binary" as const);
const oid = fc.nat(0xffffffff);

function roundTrip<Message>(
  decode: (body: Buffer) => Message,
  encode: (message: Message, writer: FrameWriter) => void,
  message: fc.Arbitrary<Message>,
): void {
  const writer = new FrameWriter();
  const reader = new FrameReader(2 ** 24);
  fc.assert(
    fc.property(message, (original) => {
      encode(original, writer);
      reader.append(writer.take());
      const frame = reader.next();
      expect(frame && decode(frame.body)).toEqual(original);
      expect(reader.bufferedBytes).toBe(0);
    }),
    { numRuns: 300 },
  );
}

describe("what is encoded is what is decoded", () => {
  test("Bind", () => {
    const bind: fc.Arbitrary<Bind> = fc
      .record({
        portal: name,
        statement: name,
        pairs: fc.array(fc.tuple(format, value), { maxLength: 30 }),
        resultFormats: fc.array(format, { maxLength: 10 }),
      })
      .map(({ portal, statement, pairs, resultFormats }) => ({
        kind: "bind",
        portal,
        statement,
        parameterFormats: pairs.map(([each]) => each),
        parameters: pairs.map(([, each]) => each),
        resultFormats,
      }));
    roundTrip(decodeBind, encodeBind, bind);
  });

  test("Parse", () => {
    const kind = fc.constant("parse" as const);
    const parameterTypeOids = fc.array(oid, { maxLength: 20 });
    const parse = fc.record({ kind, statement: name, sql: name, parameterTypeOids });
    roundTrip(decodeParse, encodeParse, parse);
  });

  test("DataRow", () => {
    const kind = fc.constant("dataRow" as const);
    const row = fc.record({ kind, values: fc.array(value, { maxLength: 50 }) });
    roundTrip(decodeDataRow, encodeDataRow, row);
  });

  test("RowDescription", () => {
    const column = fc.record({
      name,
      tableOid: oid,
      columnNumber: fc.integer({ min: -32768, max: 32767 }),
      typeOid: oid,
      typeSize: fc.integer({ min: -32768, max: 32767 }),
      typmod: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
      format,
    });
    const kind = fc.constant("rowDescription" as const);
    const description: fc.Arbitrary<RowDescription> = fc.record({
      kind,
      columns: fc.array(column, { maxLength: 20 }),
    });
    roundTrip(decodeRowDescription, encodeRowDescription, description);
  });

  test("ErrorResponse", () => {
    const kind = fc.constant("errorResponse" as const);
    const fields = fc.record({ S: name, C: name, M: name, P: name, R: name }, { requiredKeys: [] });
    roundTrip(decodeErrorResponse, encodeErrorResponse, fc.record({ kind, fields }));
  });
});

test("65,535 parameters are a Bind; their count is unsigned", () => {
  const parameters = Array.from({ length: 65_535 }, () => null);
  const writer = new FrameWriter();
  const message: Bind = {
    kind: "bind",
    portal: "",
    statement: "",
    parameterFormats: [],
    parameters,
    resultFormats: [],
  };
  encodeBind(message, writer);
  expect(decodeBind(writer.take().subarray(HEADER_BYTES)).parameters.length).toBe(65_535);
});

test("a Bind's formats are none, one or one each", () => {
  const twoForThree = Buffer.from("0000 0002 0000 0000 0003".replaceAll(" ", ""), "hex");
  expect(() => decodeBind(twoForThree)).toThrow("2 parameter formats but 3 parameters");
  expect(["text", "binary", "binary"]).toEqual([
    formatAt([], 4),
    formatAt(["binary"], 4),
    formatAt(["text", "binary"], 1),
  ]);
});
