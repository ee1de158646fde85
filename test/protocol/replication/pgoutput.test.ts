/** What a server streams, byte by byte; and that no byte of it can be wrong unnoticed. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LSN_ZERO, lsn, parseLsn, printLsn } from "../../../base/lsn.ts";
import { ProtocolViolation, SqlError } from "../../../base/sql-error.ts";
import { encodeToBuffer } from "../../../proxy/protocol/frame-writer.ts";
import {
  decodePgoutput,
  type PgoutputMessage,
} from "../../../proxy/protocol/replication/pgoutput.ts";
import {
  decodeStreamMessage,
  encodeStandbyStatusUpdate,
} from "../../../proxy/protocol/replication/stream-message.ts";

/** As PostgreSQL 18 sent them, in hexadecimal. */
const VECTORS: readonly (readonly [hex: string, message: PgoutputMessage])[] = [
  [
    "42 000000000155a3c8 0002f3a4b5c6d7e8 000002e1",
    { kind: "begin", commitLsn: lsn(0x155a3c8n), transactionId: 737 },
  ],
  [
    "43 00 000000000155a3c8 000000000155a3f8 0002f3a4b5c6d7e8",
    { kind: "commit", commitLsn: lsn(0x155a3c8n), endLsn: lsn(0x155a3f8n) },
  ],
  ["4f 0000000000000000 6d6f766500", { kind: "origin", name: "move" }],
  [
    "4d 01 000000000155a3c8 6d00 00000002 6869",
    {
      kind: "message",
      isTransactional: true,
      lsn: lsn(0x155a3c8n),
      prefix: "m",
      content: Buffer.from("hi"),
    },
  ],
  [
    "52 00004005 7075626c696300 7400 64 0002 01 696400 00000017 ffffffff 00 6e00 00000413 0000000e",
    {
      kind: "relation",
      id: 16389,
      schema: "public",
      name: "t",
      replicaIdentity: "d",
      columns: [
        { isIdentity: true, name: "id", typeOid: 23, typmod: -1 },
        { isIdentity: false, name: "n", typeOid: 1043, typmod: 14 },
      ],
    },
  ],
  [
    "59 00004001 7075626c696300 6d6f6f6400",
    { kind: "type", oid: 16385, schema: "public", name: "mood" },
  ],
  [
    "49 00004005 4e 0003 74 00000001 37 6e 75",
    { kind: "insert", relationId: 16389, row: [Buffer.from("7"), null, "unchanged"] },
  ],
  [
    "55 00004005 4e 0001 74 00000001 37",
    { kind: "update", relationId: 16389, old: undefined, row: [Buffer.from("7")] },
  ],
  [
    "55 00004005 4b 0001 74 00000001 36 4e 0001 74 00000001 37",
    {
      kind: "update",
      relationId: 16389,
      old: { has: "identity", row: [Buffer.from("6")] },
      row: [Buffer.from("7")],
    },
  ],
  [
    "44 00004005 4f 0001 74 00000000",
    {
      kind: "delete",
      relationId: 16389,
      old: { has: "everything", row: [Buffer.alloc(0)] },
    },
  ],
  ["54 00000002 01 00004005 00004006", { kind: "truncate", relationIds: [16389, 16390] }],
];

function bytes(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(" ", ""), "hex");
}

describe("messages of pgoutput", () => {
  test.each(VECTORS)("%s", (hex, message) => {
    expect(decodePgoutput(bytes(hex))).toEqual(message);
  });

  test.each(VECTORS)("%s: a byte too few or too many is refused", (hex) => {
    const whole = bytes(hex);
    for (let length = 0; length < whole.length; length += 1)
      expect(() => decodePgoutput(whole.subarray(0, length))).toThrow(ProtocolViolation);
    expect(() => decodePgoutput(Buffer.concat([whole, Buffer.alloc(1)]))).toThrow(
      ProtocolViolation,
    );
  });

  test.each([
    ["5a", "an unknown message"],
    ["49 00004005 4b 0000", "an Insert of an old row"],
    ["44 00004005 4e 0000", "a Delete of a new row"],
    ["55 00004005 4b 0000 4f 0000", "an Update to an old row"],
    ["49 00004005 4e 0001 62 00000000", "a value in binary, which was not asked for"],
    ["49 00004005 4e 0001 74 ffffffff", "a text of no length"],
    ["49 00004005 4e 0001 74 7fffffff 41", "a text longer than its message"],
  ])("%s is refused: %s", (hex) => {
    expect(() => decodePgoutput(bytes(hex))).toThrow(ProtocolViolation);
  });

  test("whatever bytes come, it is a message or an error that says what is wrong", () => {
    const arbitrary = fc.tuple(
      fc.constantFrom("B", "C", "O", "M", "R", "Y", "I", "U", "D", "T"),
      fc.uint8Array({ maxLength: 60 }),
    );
    fc.assert(
      fc.property(arbitrary, ([type, rest]) => {
        const failure = failureOf(() => decodePgoutput(Buffer.concat([Buffer.from(type), rest])));
        const isTold = failure instanceof ProtocolViolation || failure instanceof SqlError;
        expect(failure === undefined || isTold).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("messages of the stream", () => {
  test("a piece of the log", () => {
    const data = bytes("77 0000000000000010 0000000000000020 0000000000000000 4242");
    expect(decodeStreamMessage(data)).toEqual({
      kind: "xLogData",
      start: lsn(16n),
      serverEnd: lsn(32n),
      data: Buffer.from("BB"),
    });
  });

  test("a keepalive", () => {
    const data = bytes("6b 0000000000000020 0000000000000000 01");
    expect(decodeStreamMessage(data)).toEqual({
      kind: "primaryKeepalive",
      serverEnd: lsn(32n),
      isReplyRequested: true,
    });
  });

  test.each(["", "6b 00", "77 0000000000000010", "7a 00"])("%j is refused", (hex) => {
    expect(() => decodeStreamMessage(bytes(hex))).toThrow(ProtocolViolation);
  });

  test("a status update", () => {
    const encoded = encodeToBuffer(encodeStandbyStatusUpdate, {
      kind: "standbyStatusUpdate",
      written: lsn(3n),
      flushed: lsn(2n),
      applied: lsn(1n),
      clock: 5n,
      isReplyRequested: false,
    });
    expect(encoded.toString("hex")).toBe(
      "6400000026" +
        "72" +
        "0000000000000003" +
        "0000000000000002" +
        "0000000000000001" +
        "0000000000000005" +
        "00",
    );
  });
});

describe("positions in the log", () => {
  test("are printed as PostgreSQL prints them, and read back", () => {
    for (const text of ["0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF"]) {
      const position = parseLsn(text);
      expect(position === undefined ? undefined : printLsn(position)).toBe(text);
    }
    expect(parseLsn("0/0")).toBe(LSN_ZERO);
    expect(parseLsn("16/B374D848/1")).toBeUndefined();
    expect(parseLsn("")).toBeUndefined();
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
