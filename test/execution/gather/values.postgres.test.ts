/**
 * Every type that the gather orders, against a server: thousands of values, in text and in
 * binary, must compare, be told apart and be re-encoded as PostgreSQL does it.
 */
import fc from "fast-check";
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { formatInterval, parseInterval } from "../../../proxy/execution/gather/values/interval.ts";
import { valueTypeOf } from "../../../proxy/execution/gather/values/type-lookup.ts";
import type { CatalogType } from "../../../shardmap/catalog.ts";
import { startPostgres } from "../../support/postgres.ts";
import type { TestPostgres } from "../../support/postgres.ts";
import {
  date,
  float,
  float4,
  int,
  interval,
  moment,
  nat,
  numeric,
  SEED,
  time,
  zone,
} from "./random-values.ts";
import { column } from "./shards-by-hand.ts";

let server: TestPostgres;
let client: pg.Client;
let byOid: ReadonlyMap<number, CatalogType>;

const RAW = { getTypeParser: () => (value: string) => value };

beforeAll(async () => {
  server = await startPostgres();
  client = await server.connect();
  await client.query(`
    CREATE TYPE mood AS ENUM ('sad', 'ok', 'Über', 'happy');
    ALTER TYPE mood ADD VALUE 'meh' BEFORE 'ok';
    SET timezone = 'Europe/Amsterdam'`);
  byOid = await readTypes();
});

afterAll(async () => {
  await client?.end();
  await server?.stop();
});

async function readTypes(): Promise<ReadonlyMap<number, CatalogType>> {
  const { rows } = await client.query<{ oid: number } & Record<string, string>>(`
    SELECT t.oid::int, typname, typtype, typcategory, typelem::int AS element,
      (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid) AS labels
    FROM pg_type t WHERE typcategory = 'A' OR typtype = 'e'`);
  const kind = (letter: string | undefined) => (letter === "e" ? "enum" : "base");
  return new Map(
    rows.map((row) => [
      row.oid,
      {
        oid: row.oid,
        schema: "pg_catalog",
        name: row["typname"] ?? "",
        kind: kind(row["typtype"]),
        category: row["typcategory"] ?? "",
        elementOid: Number(row["element"]),
        baseOid: 0,
        labels: row["labels"]?.split(",") ?? [],
        collationOid: 0,
      },
    ]),
  );
}

const word = fc.oneof(
  fc.stringMatching(/^[ a-cA-C_-]{0,6}$/),
  fc
    .string({ unit: "grapheme", maxLength: 6 })
    .filter((value) => !value.includes("\0") && value.isWellFormed()),
);
const bits = fc.stringMatching(/^[01]{0,20}$/);
const hex = fc
  .uint8Array({ maxLength: 4 })
  .map((bytes) => `\\x${Buffer.from(bytes).toString("hex")}`);

const address = fc.oneof(
  fc.tuple(fc.ipV4(), nat(0, 32)).map(([ip, length]) => `${ip}/${length}`),
  fc.tuple(fc.ipV6(), nat(0, 128)).map(([ip, length]) => `${ip}/${length}`),
  fc.constantFrom(
    "10.0.0.0/8",
    "10.0.0.0/9",
    "10.0.0.0/32",
    "10.0.0.1/8",
    "10.0.0.1",
    "::",
    "::1",
    "1::",
  ),
  fc.constantFrom(
    "::ffff:1.2.3.4",
    "::1.2.3.4/120",
    "fe80::/10",
    "fe80::1/10",
    "0.0.0.0/0",
    "::/0",
  ),
);
const network = fc.constantFrom(
  "10",
  "10.1",
  "10.1.2.3/32",
  "10.0.0.0/9",
  "fe80::/10",
  "::/0",
  "::1/128",
  "1:2::/32",
);

function arrayOf(element: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const quoted = fc.oneof(
    { weight: 5, arbitrary: element.map((value) => `"${value.replaceAll(/["\\]/g, "\\$&")}"`) },
    { weight: 1, arbitrary: fc.constant("NULL") },
  );
  const flat = fc.array(quoted, { maxLength: 4 }).map((elements) => `{${elements.join(",")}}`);
  const square = fc
    .tuple(quoted, quoted, quoted, quoted)
    .map(([a, b, c, d]) => `{{${a},${b}},{${c},${d}}}`);
  return fc.oneof({ weight: 4, arbitrary: flat }, { weight: 1, arbitrary: square });
}

/** Type, its send function, values; text-like ones are compared under "C". */
const TYPES: readonly (readonly [string, string, fc.Arbitrary<string>])[] = [
  ["int2", "int2send", int(-32_768n, 32_767n)],
  ["int4", "int4send", int(-2_147_483_648n, 2_147_483_647n)],
  [
    "int8",
    "int8send",
    fc.oneof(int(-(2n ** 63n), 2n ** 63n - 1n), int(2n ** 53n - 9n, 2n ** 53n + 9n), int(-9n, 9n)),
  ],
  ["oid", "oidsend", int(0n, 4_294_967_295n)],
  ["bool", "boolsend", fc.constantFrom("t", "f")],
  ["numeric", "numeric_send", numeric],
  ["float8", "float8send", float],
  ["float4", "float4send", float4],
  ["text", "textsend", word],
  ["varchar", "varcharsend", word],
  ["name", "namesend", word],
  ["bpchar", "bpcharsend", word],
  ["char(4)", "bpcharsend", fc.stringMatching(/^[ab ]{0,4}$/)],
  [
    '"char"',
    "charsend",
    fc.oneof(
      fc.stringMatching(/^[ -~]?$/),
      nat(128, 255).map((code) => `\\${code.toString(8)}`),
    ),
  ],
  ["bytea", "byteasend", hex],
  ["uuid", "uuid_send", fc.uuid()],
  ["date", "date_send", date],
  ["time", "time_send", time],
  ["timetz", "timetz_send", fc.tuple(time, zone).map((parts) => parts.join(""))],
  ["timestamp", "timestamp_send", moment],
  ["timestamptz", "timestamptz_send", moment],
  ["interval", "interval_send", interval],
  ["bit varying", "varbit_send", bits],
  ["bit(3)", "bit_send", fc.stringMatching(/^[01]{3}$/)],
  [
    "pg_lsn",
    "pg_lsn_send",
    fc.tuple(nat(0, 300), nat(0, 2 ** 31 - 1)).map((p) => p.map((n) => n.toString(16)).join("/")),
  ],
  ["inet", "inet_send", address],
  ["cidr", "cidr_send", network],
  [
    "macaddr",
    "macaddr_send",
    fc.uint8Array({ minLength: 6, maxLength: 6 }).map((b) => Buffer.from(b).toString("hex")),
  ],
  [
    "macaddr8",
    "macaddr8_send",
    fc.uint8Array({ minLength: 8, maxLength: 8 }).map((b) => Buffer.from(b).toString("hex")),
  ],
  ["mood", "enum_send", fc.constantFrom("sad", "meh", "ok", "Über", "happy")],
  ["int4[]", "array_send", arrayOf(int(-3n, 3n))],
  ["text[]", "array_send", arrayOf(fc.stringMatching(/^[ab"\\,{} ]{0,3}$|^NULL$/))],
  ["numeric[]", "array_send", arrayOf(fc.constantFrom("1", "1.0", "NaN", "-2"))],
  [
    "uuid[]",
    "array_send",
    arrayOf(
      fc.constantFrom(
        "00000000-0000-0000-0000-000000000001",
        "f0000000-0000-0000-0000-000000000001",
      ),
    ),
  ],
  ["mood[]", "array_send", arrayOf(fc.constantFrom("sad", "meh", "ok"))],
];

const COLLATED = new Set(["text", "varchar", "name", "bpchar", "char(4)", "text[]"]);

async function rankedValues(type: string, send: string, texts: readonly string[]) {
  const result = await client.query<[string, string, string]>({
    text: `SELECT v, encode(${send}(v), 'hex'), dense_rank() OVER (ORDER BY v ${COLLATED.has(type) ? 'COLLATE "C"' : ""})
           FROM (SELECT x::${type} AS v FROM unnest($1::text[]) x) values`,
    values: [texts],
    rowMode: "array",
    types: RAW,
  });
  const values = result.rows.map(([text, binary, rank]) => ({
    text: Buffer.from(text),
    binary: Buffer.from(binary, "hex"),
    rank: Number(rank),
  }));
  return { values, typeOid: result.fields[0]?.dataTypeID ?? 0 };
}

test.each(TYPES)("%s compares as the server does", async (type, send, arbitrary) => {
  const samples = fc.sample(arbitrary, { seed: SEED, numRuns: 3000 });
  const { values, typeOid } = await rankedValues(type, send, samples);
  for (const format of ["text", "binary"] as const) {
    const rules = valueTypeOf(column("v", typeOid, format), "byte order", {
      byOid,
      extraFloatDigits: 1,
    });
    const decoded = values.map((value) => {
      // Among other bytes, as in a row.
      const bytes = Buffer.concat([Buffer.from("0x"), value[format], Buffer.from("9a")]);
      const read = format === "text" ? rules.readText : rules.readBinary;
      const key = read(bytes, 2, bytes.length - 2);
      return { value, key, identity: rules.identity(key) };
    });
    // Neighbours in the server's order, and pairs far apart.
    const sorted = decoded.toSorted((a, b) => a.value.rank - b.value.rank);
    const wrong: string[] = [];
    for (const [index, one] of sorted.entries()) {
      for (const step of [1, 0, 977]) {
        const other = sorted[(index + step) % sorted.length] as (typeof sorted)[number];
        const order = Math.sign(one.value.rank - other.value.rank);
        const isRight =
          Math.sign(rules.compare(one.key, other.key)) === order &&
          Math.sign(rules.compare(other.key, one.key)) === -order + 0 &&
          (one.identity === other.identity) === (order === 0);
        if (!isRight) wrong.push(`${one.value.text.toString()} and ${other.value.text.toString()}`);
      }
    }
    expect(wrong).toEqual([]);
  }
});

test.each(TYPES)("%s in text becomes the server's binary", async (type, send, arbitrary) => {
  const { values, typeOid } = await rankedValues(
    type,
    send,
    fc.sample(arbitrary, { seed: SEED + 1, numRuns: 1500 }),
  );
  const rules = valueTypeOf(column("v", typeOid), "byte order", { byOid, extraFloatDigits: 1 });
  const encoded = values.map(({ text }) => [
    text.toString(),
    rules.textToBinary(text).toString("hex"),
  ]);
  expect(encoded).toEqual(
    values.map(({ text, binary }) => [text.toString(), binary.toString("hex")]),
  );
});

test.each([
  ["datestyle", "German", "date", "2026-07-22"],
  ["datestyle", "SQL, MDY", "timestamptz", "2026-07-22 12:00"],
  ["datestyle", "Postgres, DMY", "timestamp", "2026-07-22 12:00"],
  ["intervalstyle", "iso_8601", "interval", "1 day"],
  ["intervalstyle", "sql_standard", "interval", "1 mon 2 days 03:00"],
  ["intervalstyle", "postgres_verbose", "interval", "1 day"],
])("%s %s is refused for %s, not misread", async (setting, style, type, value) => {
  await client.query(`SET ${setting} = ${style.includes(",") ? style : `'${style}'`}`);
  const { rows, fields } = await client.query<[string]>({
    text: `SELECT '${value}'::${type}`,
    rowMode: "array",
    types: RAW,
  });
  await client.query(`RESET ${setting}`);
  const rules = valueTypeOf(column("v", fields[0]?.dataTypeID ?? 0), "unknown", {
    byOid,
    extraFloatDigits: 1,
  });
  const text = Buffer.from(rows[0]?.[0] ?? "");
  expect(() => rules.readText(text, 0, text.length)).toThrow(
    expect.objectContaining({ id: "gather_value_unreadable" }),
  );
});

test("intervals are written as the server writes them", async () => {
  const { values } = await rankedValues(
    "interval",
    "interval_send",
    fc.sample(interval, { seed: SEED, numRuns: 3000 }),
  );
  const texts = values.map(({ text }) => text.toString());
  expect(texts.map((text) => formatInterval(parseInterval(text)))).toEqual(texts);
});
