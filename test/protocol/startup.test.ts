import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { STARTUP_PACKET_BYTES_MAX } from "../../base/limits.ts";
import { ProtocolViolation, SqlError } from "../../base/sql-error.ts";
import { encodeToBuffer } from "../../proxy/protocol/frame-writer.ts";
import { parseStartupOptions, splitOptions } from "../../proxy/protocol/startup-options.ts";
import {
  decodeStartup,
  encodeStartup,
  negotiateProtocolVersion,
  startupPacketBytes,
  startupSettings,
} from "../../proxy/protocol/startup.ts";
import type { Startup, StartupPacket } from "../../proxy/protocol/startup.ts";

function startup(parameters: Readonly<Record<string, string>>, minor = 0): Startup {
  return { kind: "startup", major: 3, minor, parameters: new Map(Object.entries(parameters)) };
}

const VECTORS: readonly (readonly [string, StartupPacket, string])[] = [
  ["SSLRequest", { kind: "sslRequest" }, "00000008 04d2162f"],
  ["GSSENCRequest", { kind: "gssencRequest" }, "00000008 04d21630"],
  [
    "CancelRequest of 3.0",
    { kind: "cancelRequest", processId: 258, secretKey: Buffer.from("deadbeef", "hex") },
    "00000010 04d2162e 00000102 deadbeef",
  ],
  ["StartupMessage", startup({ user: "u" }), "00000010 00030000 7573657200 7500 00"],
];

test.each(VECTORS)("%s: both ways", (_name, packet, hex) => {
  const bytes = Buffer.from(hex.replaceAll(" ", ""), "hex");
  expect(encodeToBuffer(encodeStartup, packet).toString("hex")).toBe(bytes.toString("hex"));
  expect(startupPacketBytes(bytes)).toBe(bytes.length);
  expect(decodeStartup(bytes)).toEqual(packet);
});

test("a cancel key of 3.2 has up to 256 bytes", () => {
  const keyOf = (length: number): StartupPacket => ({
    kind: "cancelRequest",
    processId: 1,
    secretKey: Buffer.alloc(length, 7),
  });
  for (const length of [4, 32, 256]) {
    const packet = keyOf(length);
    expect(decodeStartup(encodeToBuffer(encodeStartup, packet))).toEqual(packet);
  }
  for (const length of [0, 3, 257]) {
    const bytes = encodeToBuffer(encodeStartup, keyOf(length));
    expect(() => decodeStartup(bytes)).toThrow(ProtocolViolation);
  }
});

test("a packet's length is bounded before its bytes are waited for", () => {
  const word = (length: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(length);
    return bytes;
  };
  expect(startupPacketBytes(Buffer.alloc(3))).toBeUndefined();
  expect(startupPacketBytes(word(STARTUP_PACKET_BYTES_MAX + 4))).toBe(STARTUP_PACKET_BYTES_MAX + 4);
  for (const length of [0, 4, 7, STARTUP_PACKET_BYTES_MAX + 5, 0x16030100, 0xffffffff]) {
    expect(() => startupPacketBytes(word(length))).toThrow("invalid length of startup packet");
  }
});

test.each([
  ["no terminator", "7573657200 7500"],
  ["a name without its value", "7573657200"],
  ["bytes behind the terminator", "7573657200 7500 00 41"],
  ["nothing at all", ""],
])("a start-up packet with %s is a violation", (_name, hex) => {
  const packet = Buffer.from(`0000000000030000${hex.replaceAll(" ", "")}`, "hex");
  expect(() => decodeStartup(packet)).toThrow(ProtocolViolation);
});

test("random packets are packets or errors of the peer", () => {
  const code = fc.constantFrom("00030000", "00030002", "04d2162e", "04d2162f", "00020000");
  fc.assert(
    fc.property(code, fc.uint8Array({ maxLength: 80 }), (hex, bytes) => {
      const packet = Buffer.concat([Buffer.from(`00000000${hex}`, "hex"), bytes]);
      try {
        decodeStartup(packet);
      } catch (error) {
        if (!(error instanceof ProtocolViolation) && !(error instanceof SqlError)) throw error;
      }
    }),
    { numRuns: 1_000 },
  );
});

test("versions and extensions beyond ours are negotiated down", () => {
  expect(negotiateProtocolVersion(startup({}))).toBeUndefined();
  expect(negotiateProtocolVersion(startup({}, 2))).toBeUndefined();
  expect(negotiateProtocolVersion(startup({}, 9999))).toMatchObject({ major: 3, minor: 2 });
  expect(negotiateProtocolVersion(startup({ "_pq_.x": "1", a: "b" }))).toMatchObject({
    minor: 0,
    unrecognizedParameters: ["_pq_.x"],
  });
});

test("settings are what start-up itself does not read", () => {
  const parameters = startup({
    user: "u",
    database: "d",
    replication: "off",
    options: "-c a=b",
    "_pq_.x": "1",
    DateStyle: "ISO",
  });
  expect([...startupSettings(parameters)]).toEqual([["datestyle", "ISO"]]);
});

describe("options", () => {
  test.each([
    ["-c a=b", { a: "b" }],
    ["  -ca=b\t--Work-Mem=64MB ", { a: "b", work_mem: "64MB" }],
    ["--search_path=a,b -c x=", { search_path: "a,b", x: "" }],
    ["-c application_name=two\\ words -c b=\\\\", { application_name: "two words", b: "\\" }],
    ["-c a=1=2 -c a=3", { a: "3" }],
    ["", {}],
  ])("%s", (options, settings) => {
    const parsed = parseStartupOptions(options).map(({ name, value }) => [name, value]);
    expect(Object.fromEntries(parsed)).toEqual(settings);
  });

  test.each(["-c", "-c name", "--name", "-c =1", "-d 5", "word", "-", "--", "-W"])(
    "%s is refused",
    (options) => {
      expect(() => parseStartupOptions(options)).toThrow(SqlError);
    },
  );

  test("words come back from their escaped form", () => {
    const word = fc.string({ unit: "grapheme", minLength: 1 });
    fc.assert(
      fc.property(fc.array(word), (words) => {
        const escaped = words.map((each) => each.replaceAll(/[\s\\]/g, "\\$&"));
        expect(splitOptions(escaped.join(" \t"))).toEqual(words);
      }),
    );
  });
});
