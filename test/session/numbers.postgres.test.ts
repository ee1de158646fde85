/** Sums, averages, variances and deviations of numbers of three placements, beside one PostgreSQL with all rows. */
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { RawClient } from "../support/raw-client.ts";
import { converse, bind, describe, execute, parse, sync } from "./conversation.ts";
import { startServers } from "./servers.ts";
import type { Servers } from "./servers.ts";

/** Fixed, so that a failure is the same again. */
const SEED = 20_260_722;
const ROWS = 240;

let servers: Servers;
let plain: RawClient;
let proxied: RawClient;

beforeAll(async () => {
  servers = await startServers();
  await servers.reset();
  [plain, proxied] = [await servers.connectPlain(), await servers.proxy.connect()];
  const rows = fc.sample(row, { seed: SEED, numRuns: ROWS });
  const values = rows.map((fields, id) => `(${[id, ...fields].join(", ")})`);
  const insert = `INSERT INTO things (id, small, number, single, wide, span, flag) VALUES ${values.join(", ")}`;
  await plain.query(insert);
  await proxied.query(insert);
});

afterAll(async () => {
  await plain?.close();
  await proxied?.close();
  await servers?.[Symbol.asyncDispose]();
});

const maybe = (arbitrary: fc.Arbitrary<number | string | boolean>) =>
  fc
    .option(arbitrary, { freq: 8 })
    .map((value) => (value === null ? "NULL" : `'${String(value)}'`));
/** Sums of these are exact in any order, as those of other floats are not, on one server either. */
const quarter = fc.integer({ min: -4000, max: 4000 }).map((value) => value / 4);
const row = fc.tuple(
  maybe(fc.integer({ min: -32_768, max: 32_767 })),
  maybe(fc.integer({ min: -999_999_999, max: 999_999_999 }).map((cents) => cents / 100)),
  maybe(quarter),
  maybe(quarter),
  maybe(fc.integer({ min: -1e9, max: 1e9 }).map((seconds) => `${seconds} seconds 3 days`)),
  maybe(fc.boolean()),
);

const NUMBERS = [
  "small",
  "small::int",
  "id",
  "id * 1000000000000",
  "number",
  "number / 7",
  "small * 0.1",
];
const EXACT_MOMENTS = ["variance", "var_samp", "var_pop", "stddev", "stddev_samp", "stddev_pop"];
const LISTS: readonly string[] = [
  ...EXACT_MOMENTS.map((name) => NUMBERS.map((number) => `${name}(${number})`).join(", ")),
  [...NUMBERS, "single", "wide", "single::float8", "single + small", "span", "span * 2"]
    .map((number) => `sum(${number}), avg(${number}), count(${number})`)
    .join(", "),
  "avg(number) FILTER (WHERE small > 0), stddev(small) FILTER (WHERE flag), sum(span) FILTER (WHERE false)",
  "bit_and(small), bit_or(small), bit_xor(id), bool_and(flag), bool_or(flag), every(flag)",
  // What the planner cannot tell the kind of, and what cannot be put together, a database does.
  "avg(power(single, 2)), stddev(width_bucket(small, -100, 100, 7)), avg(width_bucket(small, -100, 100, 7))",
  "sum(number::money), regr_count(id, small), bit_or(small::int::bit(20)::varbit)",
  "bit_xor(small::int::bit(20)), min(span), max(span), min(number), max(wide), min(day), max(small)",
];
const TAILS = [
  "",
  " GROUP BY flag ORDER BY flag",
  " WHERE id = 3",
  " WHERE id > 1000",
  " WHERE id IN (3, 130, 207)",
];

test.each(LISTS.flatMap((list) => TAILS.map((tail) => [`SELECT ${list} FROM things${tail}`])))(
  "%s",
  async (sql) => {
    for (const format of [0, 1] as const) {
      const script = [
        parse("", sql),
        bind("", "", [], [format]),
        describe("P", ""),
        execute(),
        sync(),
      ];
      const said = await converse(plain, script);
      expect(said.at(-2)).toMatch(/^CommandComplete SELECT/);
      expect(await converse(proxied, script)).toEqual(said);
    }
  },
);

test.each(["single", "wide", "single * wide", "wide / 3"])(
  "variances of floats differ from one PostgreSQL's in their last digits at most: %s",
  async (number) => {
    const sql = `SELECT flag, ${EXACT_MOMENTS.map((name) => `${name}(${number})`).join(", ")},
      avg(${number}) FROM things GROUP BY flag ORDER BY flag`;
    const [expected, given] = [await plain.query(sql), await proxied.query(sql)];
    expect(given.map((fields) => fields.map(rounded))).toEqual(
      expected.map((fields) => fields.map(rounded)),
    );
    expect(expected.flat().filter((value) => value !== null).length).toBeGreaterThan(20);
  },
);

function rounded(value: string | null): string | null {
  return value !== null && /^-?\d/.test(value) ? Number(value).toPrecision(12) : value;
}

test.each([
  "SELECT sum(abs(wide) * 1e306) FROM things",
  "SELECT sum(abs(single) * '1e37'::real) FROM things",
  "SELECT avg(wide * 1e200) FROM things",
  "SELECT stddev(wide * 1e200) FROM things",
  "SELECT sum(interval '2147483647 days') FROM things",
  "SELECT sum(small * '1e131071'::numeric * 9) FROM things",
])("a sum that leaves its type's range is PostgreSQL's error: %s", async (sql) => {
  const failure = async (client: RawClient): Promise<unknown> =>
    await client.query(sql).catch(({ message }: Error) => message);
  const expected = await failure(plain);
  expect(expected).toMatch(/^2200[38]: /);
  expect(await failure(proxied)).toBe(expected);
});
