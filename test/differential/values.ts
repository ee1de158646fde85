/**
 * Values of every type: as SQL literals in several spellings, and as parameters in text
 * and binary. The pools are small so that keys meet, and hold the edges of each type.
 */
import type { Parameter } from "../support/raw-frames.ts";
import type { TypeName } from "./model.ts";
import type { Random } from "./random.ts";

interface TypeModel {
  /** 0: user-defined, known by name alone. */
  readonly oid: number;
  /** Written without quotes. */
  readonly isNumber: boolean;
  readonly pool: (random: Random) => string;
  readonly binary?: (text: string) => Buffer;
}

const WORDS = [
  "",
  "a",
  "A",
  "b",
  "zebra",
  "Zebra",
  "ä",
  "Ä",
  "z",
  "éclair",
  "Ünïcode ☃",
  "日本",
  "𝒳",
  "it's",
  'say "hi"',
  "back\\slash",
  "under_score",
  "50%",
  " lead",
  "new\nline",
  "-1",
  "007",
  "a,b",
  "{x}",
  "NULL",
];

const INTEGERS = ["0", "1", "2", "3", "5", "7", "10", "42", "99", "100", "-1", "-2", "-7", "-100"];

export const TYPES: Readonly<Record<TypeName, TypeModel>> = {
  smallint: {
    oid: 21,
    isNumber: true,
    pool: (random) =>
      random.weighted([
        [12, random.pick(INTEGERS)],
        [1, random.pick(["32767", "-32768", "1000"])],
      ]),
    binary: (text) => bytes(2, (buffer) => buffer.writeInt16BE(Number(text))),
  },
  integer: {
    oid: 23,
    isNumber: true,
    pool: (random) =>
      random.weighted([
        [8, random.pick(INTEGERS)],
        [8, String(random.integer(-20, 60))],
        [1, random.pick(["2147483647", "-2147483648", "65536"])],
      ]),
    binary: (text) => bytes(4, (buffer) => buffer.writeInt32BE(Number(text))),
  },
  bigint: {
    oid: 20,
    isNumber: true,
    pool: (random) =>
      random.weighted([
        [6, random.pick(INTEGERS)],
        [10, String(random.integer(-20, 60))],
        [
          2,
          random.pick([
            "9007199254740993",
            "9007199254740992",
            "-9007199254740993",
            "9223372036854775807",
            "-9223372036854775808",
            "4294967296",
            "2147483648",
          ]),
        ],
      ]),
    binary: (text) => bytes(8, (buffer) => buffer.writeBigInt64BE(BigInt(text))),
  },
  uuid: {
    oid: 2950,
    isNumber: false,
    pool: (random) =>
      `${random.pick(["00000000", "ffffffff", "0f0e0d0c", "a1b2c3d4"])}-0000-4000-8000-0000000000${random.pick(["00", "01", "0a", "7f", "80", "ff"])}`,
    binary: (text) => Buffer.from(text.replaceAll("-", ""), "hex"),
  },
  text: {
    oid: 25,
    isNumber: false,
    pool: (random) => random.pick(WORDS),
    binary: (text) => Buffer.from(text),
  },
  "varchar(20)": {
    oid: 1043,
    isNumber: false,
    pool: (random) =>
      random.weighted([
        [6, random.pick(["DE", "AT", "CH", "FR", "BE", "de", "Ü"])],
        [1, random.pick(["", "new", "it's", "XX"])],
      ]),
    binary: (text) => Buffer.from(text),
  },
  date: {
    oid: 1082,
    isNumber: false,
    pool: (random) =>
      random
        .weighted([
          [
            12,
            `202${random.integer(2, 5)}-0${random.pick([1, 3, 4])}-${random.pick(["01", "15", "31", "30"]).replace(/^31$/, "29")}`,
          ],
          [1, random.pick(["1970-01-01", "2000-02-29", "2025-12-31"])],
        ])
        .replace("-02-29", "-02-28"),
    binary: (text) =>
      bytes(4, (buffer) =>
        buffer.writeInt32BE((Date.parse(`${text}T00:00:00Z`) - EPOCH_2000_MS) / 86_400_000),
      ),
  },
  timestamptz: {
    oid: 1184,
    isNumber: false,
    pool: (random) =>
      `${random.pick(["2024-02-29", "2023-10-29", "2024-03-31", "1999-12-31"])} ${random.pick(["00:00:00", "01:30:00", "02:30:00.123456", "23:59:59.999999"])}${random.pick(["+00", "+02", "-05:30"])}`,
  },
  timestamp: {
    oid: 1114,
    isNumber: false,
    pool: (random) =>
      `${random.pick(["2024-02-29", "2023-10-29", "1969-12-31"])} ${random.pick(["00:00:00", "12:00:00.5", "23:59:59.999999"])}`,
  },
  "numeric(14,2)": {
    oid: 1700,
    isNumber: true,
    pool: (random) =>
      random.pick([
        "0",
        "0.01",
        "-0.01",
        "1.00",
        "1.5",
        "19.99",
        "100",
        "-100.25",
        "999999999999.99",
        "12345.67",
      ]),
  },
  numeric: {
    oid: 1700,
    isNumber: true,
    pool: (random) =>
      random.pick([
        "0",
        "0.001",
        "-3.14159265358979323846",
        "1e20",
        "12345678901234567890.5",
        "7",
        "-0.5",
      ]),
  },
  "double precision": {
    oid: 701,
    isNumber: true,
    // Multiples of a quarter: their sums are exact, so that no order of adding shows.
    pool: (random) => random.pick(["0", "0.25", "-0.5", "1.75", "1024", "-3.25", "100.5"]),
    binary: (text) => bytes(8, (buffer) => buffer.writeDoubleBE(Number(text))),
  },
  boolean: {
    oid: 16,
    isNumber: false,
    pool: (random) => random.pick(["true", "false", "t", "f"]),
    binary: (text) => Buffer.from([text.startsWith("t") ? 1 : 0]),
  },
  jsonb: {
    oid: 3802,
    isNumber: false,
    pool: (random) =>
      random.pick([
        '{"a": 1}',
        '{"a": 2, "b": [1, 2, null]}',
        "[]",
        "null",
        '"x"',
        '{"é": {"deep": true}}',
        "12345678901234567890",
      ]),
    binary: (text) => Buffer.concat([Buffer.from([1]), Buffer.from(text)]),
  },
  bytea: {
    oid: 17,
    isNumber: false,
    pool: (random) => random.pick(["\\x", "\\x00", "\\x00ff10", "\\xdeadbeef", "\\x41"]),
    binary: (text) => Buffer.from(text.slice(2), "hex"),
  },
  interval: {
    oid: 1186,
    isNumber: false,
    pool: (random) =>
      random.pick(["1 day", "02:30:00", "-3 days", "1 mon", "00:00:00.5", "2 years 5 days"]),
  },
  mood: {
    oid: 0,
    isNumber: false,
    pool: (random) => random.pick(["sad", "ok", "happy", "meh", "Über"]),
  },
  "integer[]": {
    oid: 1007,
    isNumber: false,
    pool: (random) => random.pick(["{}", "{1}", "{1,2,3}", "{NULL,5}", "{{1,2},{3,4}}", "{-7,42}"]),
  },
  "text[]": {
    oid: 1009,
    isNumber: false,
    pool: (random) => random.pick(["{}", "{a}", '{a,"b c"}', '{NULL,"ä"}', '{"it\'s"}']),
  },
  "mood[]": {
    oid: 0,
    isNumber: false,
    pool: (random) => random.pick(["{}", "{sad}", "{ok,happy}", "{NULL,Über}"]),
  },
};

const EPOCH_2000_MS = Date.UTC(2000, 0, 1);

function bytes(length: number, write: (buffer: Buffer) => void): Buffer {
  const buffer = Buffer.alloc(length);
  write(buffer);
  return buffer;
}

/** A value's input text, or null. */
export function randomText(type: TypeName, random: Random): string {
  return TYPES[type].pool(random);
}

export function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** One of the spellings a literal may take; all mean the same value. */
export function literal(type: TypeName, text: string, random: Random): string {
  if (!TYPES[type].isNumber) {
    return random.weighted([
      [8, quoted(text)],
      [2, `${quoted(text)}::${type}`],
      [1, `CAST(${quoted(text)} AS ${type})`],
      [1, /[\\']/.test(text) ? quoted(text) : `E'${text.replaceAll("\n", "\\n")}'`],
      [1, /[\\'$]/.test(text) || text === "" ? quoted(text) : `$x$${text}$x$`],
      [1, /^[a-z]\w*$/.test(type) && type !== "mood" ? `${type} ${quoted(text)}` : quoted(text)],
    ]);
  }
  // A leading minus binds after a cast: -9223372036854775808::bigint overflows.
  const bare = text.startsWith("-") ? `(${text})` : text;
  return random.weighted([
    [10, text],
    [2, quoted(text)],
    [2, `${bare}::${type}`],
    [1, `CAST(${text} AS ${type})`],
    [1, `${quoted(text)}::${type}`],
  ]);
}

/** The value as a parameter, its type declared or left open, in text or binary. */
export function parameterOf(type: TypeName, text: string | null, random: Random): Parameter {
  const { oid, binary } = TYPES[type];
  const isBinary = oid !== 0 && binary !== undefined && random.chance(50);
  const isDeclared = isBinary || random.chance(40);
  const value = text === null ? null : isBinary ? binary(text) : Buffer.from(text);
  return { typeOid: isDeclared ? oid : 0, format: isBinary ? 1 : 0, value };
}

const ARRAY_OIDS: Partial<Record<TypeName, number>> = {
  smallint: 1005,
  integer: 1007,
  bigint: 1016,
  uuid: 2951,
  text: 1009,
  "varchar(20)": 1015,
  date: 1182,
  timestamptz: 1185,
};

/** An array of the values as one parameter, for `= ANY ($1)`. */
export function arrayParameterOf(
  type: TypeName,
  texts: readonly (string | null)[],
  random: Random,
): Parameter {
  const { oid, binary } = TYPES[type];
  const arrayOid = ARRAY_OIDS[type] ?? 0;
  if (arrayOid === 0 || binary === undefined || random.chance(60)) {
    const elements = texts.map((text) =>
      text === null ? "NULL" : `"${text.replaceAll(/["\\]/g, "\\$&")}"`,
    );
    return {
      typeOid: random.chance(50) ? arrayOid : 0,
      format: 0,
      value: Buffer.from(`{${elements.join(",")}}`),
    };
  }
  const head = bytes(texts.length === 0 ? 12 : 20, (buffer) => {
    buffer.writeInt32BE(texts.length === 0 ? 0 : 1, 0);
    buffer.writeInt32BE(texts.includes(null) ? 1 : 0, 4);
    buffer.writeInt32BE(oid, 8);
    if (texts.length === 0) return;
    buffer.writeInt32BE(texts.length, 12);
    buffer.writeInt32BE(1, 16);
  });
  const elements = texts.map((text) => {
    const value = text === null ? undefined : binary(text);
    const length = bytes(4, (buffer) => buffer.writeInt32BE(value?.length ?? -1));
    return value === undefined ? length : Buffer.concat([length, value]);
  });
  return { typeOid: arrayOid, format: 1, value: Buffer.concat([head, ...elements]) };
}
