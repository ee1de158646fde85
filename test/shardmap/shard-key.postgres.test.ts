/**
 * What shard-key.ts and key-assignment.ts say of an input is what a real server does with
 * it: the same value, an error for "invalid", no row for "noMatch". "unproven" claims nothing.
 */
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  assignedFromBinary,
  assignedFromNumber,
  assignedFromParameterText,
  assignedFromText,
  type KeyColumn,
} from "../../shardmap/key-assignment.ts";
import {
  compareKeys,
  KEY_TYPE_OIDS,
  KEY_TYPES,
  keyFromBinary,
  keyFromNumber,
  keyFromParameterText,
  keyFromText,
  type KeyComparison,
  type KeyType,
  type KeyValue,
} from "../../shardmap/shard-key.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { below, pick, randomKeyText, type Random, seeded } from "./random-keys.ts";

const SEND: Readonly<Record<KeyType, string>> = {
  smallint: "int2send",
  integer: "int4send",
  bigint: "int8send",
  uuid: "uuid_send",
  text: "textsend",
  varchar: "varcharsend",
  date: "date_send",
  timestamptz: "timestamptz_send",
};

const INTEGERS = ["smallint", "integer", "bigint"] as const;

let server: TestPostgres;
let client: pg.Client;

beforeAll(async () => {
  server = await startPostgres();
  client = await server.connect();
});

afterAll(async () => {
  await client.end();
  await server.stop();
});

const PIECES: Readonly<Record<"number" | "uuid" | "time" | "text", readonly string[]>> = {
  number: [
    ..."0123456789",
    "9",
    "00",
    " ",
    "\t",
    "\v",
    "\u00a0",
    "+",
    "-",
    "_",
    "0x",
    "0b",
    "0o",
    "f",
    "e",
    ".",
    "32767",
    "32768",
    "2147483648",
    "9223372036854775807",
  ],
  uuid: [..."0aF9", "-", "{", "}", " ", "0123", "abcd", "ABCD-", "g"],
  time: [
    ..."0129",
    "-",
    ":",
    ".",
    " ",
    "T",
    "Z",
    "z",
    "+",
    "2024",
    "02",
    "30",
    "29",
    "13",
    "BC",
    "+02",
    "-16",
    "24:00:00",
    "12:30",
    ":60",
    "infinity",
    "now",
    "AD",
    "/",
    "Jan",
  ],
  text: [..."ab ", "ä", "\u{1f600}", "'", "\\"],
};

const PIECES_OF: Readonly<Record<KeyType, readonly string[]>> = {
  smallint: PIECES.number,
  integer: PIECES.number,
  bigint: PIECES.number,
  uuid: PIECES.uuid,
  text: PIECES.text,
  varchar: PIECES.text,
  date: PIECES.time,
  timestamptz: PIECES.time,
};

/** A right spelling, or one with pieces put in, taken out or replaced, or nothing but pieces. */
function spelling(type: KeyType, random: Random): string {
  const pieces = PIECES_OF[type];
  const anything = Array.from({ length: below(random, 6) }, () => pick(random, pieces)).join("");
  if (below(random, 4) === 0) return anything;
  let text = randomKeyText(type, random);
  if (type === "uuid" && below(random, 2) === 0)
    text = text.replace(/(.{4})/g, "$1-").replace(/-$/, "");
  if (type === "uuid" && below(random, 3) === 0) text = `{${text}}`;
  if (type === "date" || type === "timestamptz") text = shiftDay(text, random);
  for (let edits = below(random, 3); edits > 0; edits--) {
    const at = below(random, text.length + 1);
    text = text.slice(0, at) + pick(random, [...pieces, ""]) + text.slice(at + below(random, 2));
  }
  return text;
}

/** Now and then a month or a day that may not exist. */
function shiftDay(text: string, random: Random): string {
  if (below(random, 2) === 0) return text;
  const [month, day] = [below(random, 15), below(random, 34)].map((part) =>
    String(part).padStart(2, "0"),
  );
  return text.replace(/^(\d{4})-\d\d-\d\d/, `$1-${month}-${day}`);
}

/** Asks the server what each text is under the type: its binary form, or null for an error. */
async function inputs(
  type: string,
  send: string,
  texts: readonly string[],
): Promise<readonly (Buffer | null)[]> {
  const { rows } = await client.query<{ bytes: Buffer | null }>(
    `SELECT CASE WHEN pg_input_is_valid(input, '${type}') THEN ${send}(input::${type}) END AS bytes
       FROM unnest($1::text[]) WITH ORDINALITY AS batch (input, n) ORDER BY n`,
    [texts],
  );
  return rows.map(({ bytes }) => bytes);
}

function expectSame(claim: KeyValue, type: KeyType, bytes: Buffer): void {
  const actual = keyFromBinary(type, KEY_TYPE_OIDS[type], bytes);
  if (typeof actual === "string") throw new Error(`the server's own bytes are ${actual}`);
  expect(compareKeys(claim, actual)).toBe(0);
}

describe("a literal without a type is read as the type's input function reads it", () => {
  const SETTINGS = [
    ["ISO, MDY", "UTC"],
    ["SQL, DMY", "Asia/Kathmandu"],
    ["German, YMD", "America/New_York"],
    ["Postgres, MDY", "Pacific/Apia"],
  ] as const;

  test.each(KEY_TYPES)("%s", async (type) => {
    const random = seeded(31);
    const texts = Array.from({ length: 4_000 }, () => spelling(type, random)).filter(
      (text) => !text.includes("\0"),
    );
    const claims = texts.map((text) => keyFromText(type, text));
    const counts = { value: 0, invalid: 0, unproven: 0 };
    for (const claim of claims) counts[typeof claim === "string" ? claim : "value"]++;
    // The test would prove nothing if next to nothing were claimed.
    expect(counts.value).toBeGreaterThan(400);

    for (const [style, zone] of type === "date" || type === "timestamptz"
      ? SETTINGS
      : SETTINGS.slice(0, 1)) {
      await client.query(`SET datestyle TO ${style}; SET timezone TO '${zone}'`);
      const answers = await inputs(type, SEND[type], texts);
      for (const [index, claim] of claims.entries()) {
        if (claim === "unproven") continue;
        const bytes = answers[index] ?? null;
        const isValid = bytes !== null;
        expect([texts[index], isValid]).toEqual([texts[index], claim !== "invalid"]);
        if (bytes !== null && claim !== "invalid") expectSame(claim, type, bytes);
      }
    }
    await client.query("RESET datestyle; RESET timezone");
  });
});

/** Numeric literals around every bound, with fractions, exponents and signs. */
function numberLiterals(random: Random, count: number): readonly string[] {
  const bounds = [
    0n,
    5n,
    32767n,
    32768n,
    2147483647n,
    2147483648n,
    9007199254740993n,
    9223372036854775807n,
    9223372036854775808n,
  ];
  return Array.from({ length: count }, () => {
    const sign = pick(random, ["", "-"]);
    const whole = String(pick(random, bounds));
    const shape = pick(random, [
      "",
      "",
      ".0",
      ".",
      ".5",
      ".50",
      ".4999",
      "e0",
      "e1",
      "0e-1",
      "5e-1",
      "e-2",
      "e20",
      ".5e1",
      "e400",
    ]);
    return pick(random, [
      `${sign}${whole}${shape}`,
      `${sign}${whole}${shape}`,
      `${sign}.5`,
      `${sign}00${whole}`,
    ]);
  });
}

/** The claimed key is one that the operand equals, and of all candidates no other is. */
async function checkComparison(
  type: KeyType,
  operand: string,
  values: readonly string[],
  claim: KeyComparison,
): Promise<void> {
  const { rows } = await client.query<{ k: string }>(
    `SELECT k::text AS k FROM candidate WHERE k = ${operand}`,
    [...values],
  );
  const matches = rows.map(({ k }) => k);
  const input = [operand, ...values];
  if (claim === "noMatch") expect([input, matches]).toEqual([input, []]);
  if (typeof claim === "string" || claim.kind !== "integer") return;
  expect([input, matches.filter((match) => match !== String(claim.value))]).toEqual([input, []]);
  const equal = await client.query<{ equal: boolean }>(
    `SELECT '${claim.value}'::${type} = ${operand} AS equal`,
    [...values],
  );
  expect([input, claim, equal.rows[0]!.equal]).toEqual([input, claim, true]);
}

describe.each(INTEGERS)("compared with a key column of type %s", (type) => {
  /** Every value of the type that any of the literals may equal. */
  async function withCandidates(): Promise<void> {
    const values = [
      ..."0123456789",
      "50",
      "32767",
      "2147483647",
      "9007199254740993",
      "9223372036854775807",
    ];
    const signed = [
      ...values,
      ...values.map((value) => `-${value}`),
      "-32768",
      "-2147483648",
      "-9223372036854775808",
      "32768",
      "2147483648",
    ];
    await client.query("DROP TABLE IF EXISTS candidate");
    await client.query(`CREATE TEMP TABLE candidate (k ${type})`);
    await client.query(
      `INSERT INTO candidate SELECT DISTINCT v::${type} FROM unnest($1::text[]) AS v WHERE pg_input_is_valid(v, '${type}')`,
      [signed],
    );
  }

  test("a numeric literal finds the key that is claimed, or none", async () => {
    await withCandidates();
    let proven = 0;
    for (const literal of numberLiterals(seeded(5), 400)) {
      const claim = keyFromNumber(type, literal);
      if (claim === "unproven") continue;
      proven++;
      expect(claim).not.toBe("invalid");
      await checkComparison(type, literal, [], claim);
    }
    expect(proven).toBeGreaterThan(300);
  });

  test.each([
    ["smallint", 21, "int2send"],
    ["integer", 23, "int4send"],
    ["bigint", 20, "int8send"],
    ["numeric", 1700, "numeric_send"],
  ] as const)("a parameter of type %s, as text and in binary", async (parameterType, oid, send) => {
    await withCandidates();
    for (const literal of numberLiterals(seeded(6), 150)) {
      const asText = keyFromParameterText(type, oid, literal);
      const [bytes] = await inputs(parameterType, send, [literal]);
      if (!bytes) {
        expect([literal, asText]).toEqual([
          literal,
          parameterType === "numeric" ? "unproven" : "invalid",
        ]);
        continue;
      }
      for (const claim of [asText, keyFromBinary(type, oid, bytes)]) {
        expect(claim).not.toBe("invalid");
        await checkComparison(type, `$1::text::${parameterType}`, [literal], claim);
      }
    }
  });
});

describe("assigned to a key column", () => {
  const COLUMNS: readonly (readonly [string, KeyColumn])[] = [
    ["smallint", { type: "smallint", typmod: -1 }],
    ["integer", { type: "integer", typmod: -1 }],
    ["bigint", { type: "bigint", typmod: -1 }],
    ["text", { type: "text", typmod: -1 }],
    ["varchar", { type: "varchar", typmod: -1 }],
    ["varchar(3)", { type: "varchar", typmod: 7 }],
    ["timestamptz(3)", { type: "timestamptz", typmod: 3 }],
    ["timestamptz(0)", { type: "timestamptz", typmod: 0 }],
    ["date", { type: "date", typmod: -1 }],
    ["uuid", { type: "uuid", typmod: -1 }],
  ];

  async function stored(
    column: KeyColumn,
    operand: string,
    values: readonly unknown[] = [],
  ): Promise<Buffer | undefined> {
    try {
      const { rows } = await client.query<{ bytes: Buffer }>(
        `INSERT INTO t VALUES (${operand}) RETURNING ${SEND[column.type]}(k) AS bytes`,
        [...values],
      );
      return rows[0]!.bytes;
    } catch (cause) {
      if (!/^(22|42)/.test((cause as { code?: string }).code ?? "")) throw cause;
      return undefined;
    }
  }

  function check(
    input: string,
    claim: KeyComparison,
    column: KeyColumn,
    bytes: Buffer | undefined,
  ): boolean {
    if (claim === "unproven") return false;
    expect([input, claim === "invalid" ? "an error" : "stored"]).toEqual([
      input,
      bytes === undefined ? "an error" : "stored",
    ]);
    expect(claim).not.toBe("noMatch");
    if (typeof claim !== "string") expectSame(claim, column.type, bytes!);
    return true;
  }

  test.each(COLUMNS)(
    "%s: literals and parameters are stored as claimed",
    async (definition, column) => {
      const random = seeded(8);
      await client.query("DROP TABLE IF EXISTS t");
      await client.query(`CREATE TEMP TABLE t (k ${definition})`);
      let proven = 0;
      for (let count = 0; count < 250; count++) {
        const text = spelling(column.type, random);
        const quoted = client.escapeLiteral(text);
        if (check(text, assignedFromText(column, text), column, await stored(column, quoted)))
          proven++;
      }
      for (const literal of numberLiterals(random, 120)) {
        check(literal, assignedFromNumber(column, literal), column, await stored(column, literal));
        for (const [type, oid, send] of [
          ["integer", 23, "int4send"],
          ["bigint", 20, "int8send"],
          ["numeric", 1700, "numeric_send"],
        ] as const) {
          const [sent] = await inputs(type, send, [literal]);
          const bytes = await stored(column, `$1::text::${type}`, [literal]);
          check(literal, assignedFromParameterText(column, oid, literal), column, bytes);
          if (sent) check(literal, assignedFromBinary(column, oid, sent), column, bytes);
        }
      }
      expect(proven).toBeGreaterThan(20);
    },
  );
});
