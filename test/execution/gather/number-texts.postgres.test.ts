/** What the gather writes itself, floats and computed numerics, is written as a server writes it. */
import fc from "fast-check";
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { formatFloat4, formatFloat8 } from "../../../proxy/execution/gather/values/float-text.ts";
import {
  addNumeric,
  divideNumeric,
  formatNumeric,
  parseNumeric,
} from "../../../proxy/execution/gather/values/numeric.ts";
import { startPostgres } from "../../support/postgres.ts";
import type { TestPostgres } from "../../support/postgres.ts";
import { int, numeric, SEED } from "./random-values.ts";

let server: TestPostgres;
let client: pg.Client;

const RAW = { getTypeParser: () => (value: string) => value };

beforeAll(async () => {
  server = await startPostgres();
  client = await server.connect();
});

afterAll(async () => {
  await client?.end();
  await server?.stop();
});

test("floats are written as the server writes them", async () => {
  const powers = Array.from({ length: 2098 }, (_, index) => 2 ** (index - 1074)).filter(
    Number.isFinite,
  );
  const tens = Array.from({ length: 632 }, (_, index) => Number(`1e${index - 323}`));
  const whole = fc.sample(fc.double({ min: 2 ** 53, max: 2 ** 90, noNaN: true }), {
    seed: SEED,
    numRuns: 3000,
  });
  const any = fc.sample(fc.double(), { seed: SEED, numRuns: 5000 });
  const doubles = [...powers, ...tens, ...whole, ...any, 0.3, 123_456.789, -1e-5, -0];
  const singles = doubles
    .map(Math.fround)
    .concat(fc.sample(fc.float(), { seed: SEED, numRuns: 5000 }));
  expect(doubles.map(formatFloat8)).toEqual(await floatTexts("float8", doubles, 8));
  expect(singles.map(formatFloat4)).toEqual(await floatTexts("float4", singles, 4));
});

/** As the server prints the very same bits: they go there as bytea, through the type's own reader. */
async function floatTexts(
  type: "float4" | "float8",
  values: readonly number[],
  size: 4 | 8,
): Promise<string[]> {
  const { rows } = await client.query<[string]>({
    text: `SELECT x::${type} FROM unnest($1::text[]) WITH ORDINALITY AS u(x, n) ORDER BY n`,
    // 17 digits name a double, and 9 a single, beyond doubt.
    values: [values.map((value) => exactText(value, size === 4 ? 9 : 17))],
    rowMode: "array",
    types: RAW,
  });
  return rows.map(([text]) => text);
}

function exactText(value: number, precision: number): string {
  if (Object.is(value, -0)) return "-0";
  return Number.isFinite(value) ? value.toExponential(precision - 1) : String(value);
}

test("numeric sums and quotients have the server's digits and scale", async () => {
  const count = fc.oneof(
    int(1n, 20n),
    int(1n, 2n ** 62n),
    fc.constantFrom("9999", "10000", "10001", "100000000"),
  );
  const samples = fc.sample(fc.tuple(numeric, numeric, count), { seed: SEED, numRuns: 4000 });
  const { rows } = await client.query<string[]>({
    text: `SELECT a, b, n, a + b, a / n FROM
             (SELECT a::numeric, b::numeric, n::numeric FROM unnest($1::text[], $2::text[], $3::text[]) AS u(a, b, n)) v`,
    values: [0, 1, 2].map((index) => samples.map((sample) => sample[index])),
    rowMode: "array",
    types: RAW,
  });
  const computed = rows.map(([a = "", b = "", n = ""]) => {
    const sum = formatNumeric(addNumeric(parseNumeric(a), parseNumeric(b)));
    return [a, b, n, sum, formatNumeric(divideNumeric(parseNumeric(a), BigInt(n)))];
  });
  expect(computed).toEqual(rows);
});
