/**
 * What shard-key.ts says of an input is what a real server does with it: the same value,
 * an error for "invalid", no row for "noMatch". "unproven" claims nothing.
 */
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  KEY_TYPES,
  keyFromBinary,
  keyFromNumber,
  keyFromParameterText,
  keyFromText,
  keyToText,
  type KeyComparison,
  type KeyType,
} from "../../shardmap/shard-key.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { found } from "./found.ts";
import { seeded } from "./random-keys.ts";
import { numberLiterals, spelling } from "./random-spellings.ts";
import { expectSame, inputs, SEND } from "./server-inputs.ts";

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
      const answers = await inputs(client, type, SEND[type], texts);
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
  if (claim === "unproven" || claim === "invalid") return;
  const claimed = claim === "noMatch" ? undefined : keyToText(claim);
  expect([input, matches.filter((match) => match !== claimed)]).toEqual([input, []]);
  if (claimed === undefined) return;
  const equal = await client.query<{ equal: boolean }>(
    `SELECT '${claimed}'::${type} = ${operand} AS equal`,
    [...values],
  );
  expect([input, claim, found(equal.rows[0]).equal]).toEqual([input, claim, true]);
}

describe.each(INTEGERS)("compared with a key column of type %s", (type) => {
  /** Every value of the type that any of the literals may equal. */
  async function withCandidates(): Promise<void> {
    const values = [
      ...Array.from("0123456789"),
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
      const [bytes] = await inputs(client, parameterType, send, [literal]);
      // What the parameter's type refuses is an error before anything is compared.
      const refused = parameterType === "numeric" ? "unproven" : "invalid";
      expect([literal, bytes ?? asText]).toEqual([literal, bytes ?? refused]);
      if (!bytes) continue;
      for (const claim of [asText, keyFromBinary(type, oid, bytes)]) {
        expect(claim).not.toBe("invalid");
        await checkComparison(type, `$1::text::${parameterType}`, [literal], claim);
      }
    }
  });
});
