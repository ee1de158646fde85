/** Key readings that need no server to be seen wrong: broken binary forms, unresolved types, one spelling a value. */
import { describe, expect, test } from "vitest";
import { assignedFromNumber, assignedFromText } from "../../shardmap/key-assignment.ts";
import {
  compareKeys,
  KEY_TYPE_OIDS,
  KEY_TYPES,
  keyFromBinary,
  keyFromNumber,
  keyFromParameterText,
  keyFromText,
  type KeyReading,
  keyToText,
} from "../../shardmap/shard-key.ts";

const NUMERIC_OID = 1700;

function printed(reading: KeyReading | "noMatch"): string {
  return typeof reading === "string" ? reading : keyToText(reading);
}

test.each([
  ["integer", " \t+007 \n", "7"],
  ["integer", "-0", "0"],
  ["integer", "2147483648", "invalid"],
  ["integer", "", "invalid"],
  ["integer", "1 2", "invalid"],
  ["integer", "0x1F", "unproven"],
  ["integer", "1_000", "unproven"],
  ["bigint", `${"0".repeat(1_000_000)}9223372036854775807`, "9223372036854775807"],
  ["bigint", "9".repeat(1_000_000), "invalid"],
  ["uuid", "{6ECD8C994036403DBF84CF8400F67836}", "6ecd8c99-4036-403d-bf84-cf8400f67836"],
  ["uuid", "6ecd-8c99-4036-403d-bf84-cf84-00f6-7836", "6ecd8c99-4036-403d-bf84-cf8400f67836"],
  ["uuid", "{6ecd8c99-4036-403d-bf84-cf8400f67836", "invalid"],
  ["uuid", " 6ecd8c99-4036-403d-bf84-cf8400f67836", "invalid"],
  ["text", "\ud800", "unproven"],
  ["text", "a\0b", "invalid"],
  ["date", "2024-02-29", "2024-02-29"],
  ["date", "2023-02-29", "invalid"],
  ["date", "01/02/2024", "unproven"],
  ["date", "infinity", "infinity"],
  ["date", "-Infinity", "-infinity"],
  ["date", "+infinity", "unproven"],
  ["timestamptz", "INFINITY", "infinity"],
  ["timestamptz", "-infinity", "-infinity"],
  ["timestamptz", "2024-03-01T00:30+01", "2024-02-29 23:30:00+00"],
  ["timestamptz", "1999-12-31 23:59:59.9999-00:30", "2000-01-01 00:29:59.9999+00"],
  ["timestamptz", "0001-01-01 00:00:00+01", "0001-12-31 23:00:00+00 BC"],
  ["timestamptz", "2024-03-01 00:00:00", "unproven"],
  ["timestamptz", "2024-03-01 00:00:00 Europe/Paris", "unproven"],
] as const)("%s %j is %s", (type, text, expected) => {
  expect(printed(keyFromText(type, text))).toBe(expected);
});

test.each([
  ["5.0", "5", "5"],
  ["1e3", "1000", "1000"],
  ["5.5", "noMatch", "6"],
  ["-5.5", "noMatch", "-6"],
  ["5.4999", "noMatch", "5"],
  ["40000", "noMatch", "invalid"],
  ["32767.5", "noMatch", "invalid"],
  ["1e999999", "unproven", "unproven"],
  ["'5'", "unproven", "unproven"],
])(
  "the number %s is %s compared with a smallint, and %s assigned to one",
  (text, compared, assigned) => {
    expect(printed(keyFromNumber("smallint", text))).toBe(compared);
    expect(printed(assignedFromNumber({ type: "smallint", typmod: -1 }, text))).toBe(assigned);
  },
);

test("varchar(n) cuts blanks and refuses more, by characters", () => {
  const column = { type: "varchar", typmod: 3 + 4 } as const;
  expect(printed(assignedFromText(column, "äö\u{1f600}   "))).toBe("äö\u{1f600}");
  expect(assignedFromText(column, "abc d")).toBe("invalid");
  expect(printed(keyFromText("varchar", "abc d"))).toBe("abc d");
});

describe("binary parameters", () => {
  test.each(KEY_TYPES.filter((type) => type !== "text" && type !== "varchar"))(
    "a %s of the wrong length is invalid",
    (type) => {
      for (const length of [0, 1, 3, 5, 7, 9, 15, 17]) {
        expect(keyFromBinary(type, KEY_TYPE_OIDS[type], Buffer.alloc(length))).toBe("invalid");
      }
    },
  );

  test("text must be UTF-8 without a zero byte", () => {
    expect(keyFromBinary("text", 25, Buffer.from([0xc3, 0x28]))).toBe("invalid");
    expect(keyFromBinary("text", 1043, Buffer.from("a\0"))).toBe("invalid");
  });

  test.each([
    ["0001 0000 0000 0000 0005", "5"],
    ["0001 0000 4000 0000 0005", "-5"],
    ["0000 0000 0000 0002", "0"],
    ["0002 0000 0000 0001 0005 1388", "noMatch"],
    ["0002 0000 0000 0000 0005 1388", "unproven"],
    ["0000 0000 c000 0000", "noMatch"],
    ["0001 0000 0000 0000 2710", "invalid"],
    ["0001 0000 1234 0000 0005", "invalid"],
    ["0002 0000 0000 0000 0005", "invalid"],
    ["0001 7fff 0000 0000 0005", "unproven"],
    ["00", "invalid"],
  ])("the numeric %s is %s", (hex, expected) => {
    const bytes = Buffer.from(hex.replaceAll(" ", ""), "hex");
    expect(printed(keyFromBinary("bigint", NUMERIC_OID, bytes))).toBe(expected);
  });

  test("dates and times have the server's limits, and its infinities", () => {
    const days = (value: number): Buffer => {
      const bytes = Buffer.alloc(4);
      bytes.writeInt32BE(value);
      return bytes;
    };
    const read = (value: number): string => printed(keyFromBinary("date", 1082, days(value)));
    expect([read(-2_451_545), read(-2_451_546)]).toEqual(["4714-11-24 BC", "invalid"]);
    expect([read(2_145_031_948), read(2_145_031_949)]).toEqual(["5874897-12-31", "invalid"]);
    expect([read(2_147_483_647), read(-2_147_483_648)]).toEqual(["infinity", "-infinity"]);
  });
});

test("a parameter whose type nobody resolved, or of another type, proves nothing", () => {
  for (const type of KEY_TYPES) {
    for (const oid of [0, 705, 16, 701, 1042, 1114]) {
      expect(keyFromParameterText(type, oid, "5")).toBe("unproven");
      expect(keyFromBinary(type, oid, Buffer.alloc(8))).toBe("unproven");
    }
  }
  expect(keyFromParameterText("timestamptz", 1082, "2024-01-01")).toBe("unproven");
  expect(keyFromParameterText("text", 23, "5")).toBe("unproven");
});

test("keys of different kinds have no order", () => {
  const five = keyFromText("integer", "5");
  const text = keyFromText("text", "5");
  if (typeof five === "string" || typeof text === "string") throw new Error("both are keys");
  expect(() => compareKeys(five, text)).toThrow("they have an order");
});
