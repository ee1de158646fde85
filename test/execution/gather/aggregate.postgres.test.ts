/**
 * Aggregates against a server: it computes the whole and the parts over random values split
 * into random shards; the gather puts the parts together, and must give the whole byte for
 * byte, in text and in binary.
 */
import fc from "fast-check";
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { AggregateOutput, Combine } from "../../../planner/logical-plan.ts";
import { gatherRows } from "../../../proxy/execution/gather/gather.ts";
import { startPostgres } from "../../support/postgres.ts";
import type { TestPostgres } from "../../support/postgres.ts";
import { collect, column, HandShard, NO_TYPES } from "./shards-by-hand.ts";

const SHARDS = 4;
const GROUPS = 300;
/** Fixed, so that a failure is the same again. */
const SEED = 20_260_722;
const RAW = { getTypeParser: () => (value: string) => value };

let server: TestPostgres;
let client: pg.Client;

beforeAll(async () => {
  server = await startPostgres();
  client = await server.connect();
});

afterAll(async () => {
  await client?.end();
  await server?.stop();
});

const int = (min: bigint, max: bigint) => fc.bigInt({ min, max }).map(String);
const rarely = (arbitrary: fc.Arbitrary<string>, ...rare: (string | null)[]) =>
  fc.oneof({ weight: 12, arbitrary }, { weight: 1, arbitrary: fc.constantFrom(...rare, null) });

const finite = fc.oneof(
  fc.stringMatching(/^-?[0-9]{1,3}(\.[0-9]{1,3})?$/),
  fc.stringMatching(/^-?[0-9]{1,40}(\.[0-9]{1,30})?$/),
  fc.stringMatching(/^[0-9]{1,3}e-?[0-9]{1,2}$/),
);
const numeric = rarely(finite, "0", "0.00");
const anyNumeric = rarely(finite, "NaN", "Infinity", "-Infinity");
/** Sums of these are exact in any order, as those of other floats are not, on one server either. */
const exactFloat = rarely(
  fc.integer({ min: -4000, max: 4000 }).map((value) => String(value / 1024)),
  "Infinity",
  "NaN",
);
const interval = rarely(
  fc
    .tuple(...[40, 900, 100_000, 999_999].map((max) => fc.integer({ min: -max, max })))
    .map(([m, d, s, f]) => `${m} mons ${d} days ${s} seconds ${f} microseconds`),
  "0",
);

/** An aggregate as the client writes it, its partials, and the send function of its result. */
interface Case {
  readonly type: string;
  readonly values: fc.Arbitrary<string | null>;
  readonly whole: string;
  readonly combine: Combine;
  readonly partials: readonly string[];
  readonly send: string;
}

function caseOf(
  type: string,
  values: fc.Arbitrary<string | null>,
  aggregate: string,
  combine: Combine,
  send: string,
): Case {
  return {
    type,
    values,
    whole: `${aggregate}(x)`,
    combine,
    partials: partialsOf(type, aggregate, combine),
    send,
  };
}

/** What planner/aggregate-partials.ts writes. */
function partialsOf(type: string, aggregate: string, combine: Combine): readonly string[] {
  const isFloat = type === "float4" || type === "float8";
  const sum = isFloat ? "sum(x::float8)" : "sum(x)";
  switch (combine) {
    case "average":
      return isFloat ? [sum, "count(x)", "var_pop(x)"] : [sum, "count(x)"];
    case "varSamp":
    case "stddevSamp":
      return [sum, "count(x)", isFloat ? "var_samp(x)" : "sum(x::numeric * x::numeric)"];
    case "varPop":
    case "stddevPop":
      return [sum, "count(x)", isFloat ? "var_pop(x)" : "sum(x::numeric * x::numeric)"];
    default:
      return [`${aggregate}(x)`];
  }
}

/** The four of one type. */
function momentsOf(
  type: string,
  values: fc.Arbitrary<string | null>,
  send: string,
): readonly Case[] {
  return [
    caseOf(type, values, "variance", "varSamp", send),
    caseOf(type, values, "var_pop", "varPop", send),
    caseOf(type, values, "stddev", "stddevSamp", send),
    caseOf(type, values, "stddev_pop", "stddevPop", send),
  ];
}

const int2 = rarely(int(-32_768n, 32_767n), "0");
const int4 = rarely(int(-2_147_483_648n, 2_147_483_647n), "7");
const int8 = rarely(int(-(2n ** 63n), 2n ** 63n - 1n), "9007199254740993");
const bool = rarely(fc.constantFrom("t", "f"), "t");
const date = rarely(
  int(1n, 3000n).map((year) => `${year.padStart(4, "0")}-03-01`),
  "infinity",
  "0044-03-15 BC",
);
const text = rarely(fc.stringMatching(/^[a-cé ]{0,4}$/), "");
const bits = rarely(fc.stringMatching(/^[01]{9}$/), "000000000");
/** All far from zero and close to each other: what rounding would show first. */
const alike = rarely(
  fc.nat(99).map((last) => `123456789012345.6789${last}`),
  "123456789012345.6789",
);

const CASES: readonly Case[] = [
  caseOf("int4", int4, "count", "count", "int8send"),
  caseOf("int2", int2, "sum", "sum", "int8send"),
  caseOf("int4", int4, "sum", "sum", "int8send"),
  caseOf("int8", int8, "sum", "sum", "numeric_send"),
  caseOf("numeric", numeric, "sum", "sum", "numeric_send"),
  caseOf("numeric", anyNumeric, "sum", "sum", "numeric_send"),
  caseOf("numeric", anyNumeric, "avg", "average", "numeric_send"),
  caseOf("float4", exactFloat, "sum", "sum", "float4send"),
  caseOf("float8", exactFloat, "sum", "sum", "float8send"),
  caseOf("interval", interval, "sum", "sum", "interval_send"),
  caseOf("int2", int2, "avg", "average", "numeric_send"),
  caseOf("int4", int4, "avg", "average", "numeric_send"),
  caseOf("int8", int8, "avg", "average", "numeric_send"),
  caseOf("numeric", numeric, "avg", "average", "numeric_send"),
  caseOf("float4", exactFloat, "avg", "average", "float8send"),
  caseOf("float8", exactFloat, "avg", "average", "float8send"),
  caseOf("interval", interval, "avg", "average", "interval_send"),
  caseOf("int8", int8, "min", "min", "int8send"),
  caseOf("int8", int8, "max", "max", "int8send"),
  caseOf("float8", exactFloat, "max", "max", "float8send"),
  caseOf("date", date, "min", "min", "date_send"),
  caseOf("date", date, "max", "max", "date_send"),
  {
    ...caseOf("text", text, "max", "max", "textsend"),
    whole: 'max(x COLLATE "C")',
    partials: ['max(x COLLATE "C")'],
  },
  caseOf("bool", bool, "bool_and", "boolAnd", "boolsend"),
  caseOf("bool", bool, "bool_or", "boolOr", "boolsend"),
  caseOf("int2", int2, "bit_and", "bitAnd", "int2send"),
  caseOf("int4", int4, "bit_or", "bitOr", "int4send"),
  caseOf("int8", int8, "bit_xor", "bitXor", "int8send"),
  caseOf("bit(9)", bits, "bit_and", "bitAnd", "bit_send"),
  caseOf("bit(9)", bits, "bit_or", "bitOr", "bit_send"),
  caseOf("bit(9)", bits, "bit_xor", "bitXor", "bit_send"),
  ...momentsOf("int2", int2, "numeric_send"),
  ...momentsOf("int4", int4, "numeric_send"),
  ...momentsOf("int8", int8, "numeric_send"),
  ...momentsOf("numeric", numeric, "numeric_send"),
  ...momentsOf("numeric", anyNumeric, "numeric_send"),
  ...momentsOf("numeric", alike, "numeric_send"),
];

test.each(CASES)("$whole of $type", async (one) => {
  await fillTable(one);
  const whole = await query(`SELECT grp, ${one.whole} FROM t GROUP BY grp ORDER BY grp`);
  const binary = await query(
    `SELECT encode(int4send(grp), 'hex'), encode(${one.send}(${one.whole}), 'hex') FROM t GROUP BY grp ORDER BY grp`,
  );
  const gather = await gatherOf(one, whole.typeOids);
  // Text is compared as UTF-8 bytes, as which the rows are read back.
  const latin1 = (value: string | null) => value && Buffer.from(value).toString("latin1");
  expect(await gather("text")).toEqual(whole.rows.map((row) => row.map(latin1)));
  const hex = (value: string | null) => value && Buffer.from(value, "latin1").toString("hex");
  const gathered = await gather("binary");
  expect(gathered.map((row) => row.map(hex))).toEqual(binary.rows);
});

const anyFloat8 = rarely(
  fc.double({ noNaN: true, min: -1e100, max: 1e100 }).map(String),
  "NaN",
  "Infinity",
  "-Infinity",
  "0",
);
const FLOAT_CASES: readonly Case[] = ["float4", "float8"].flatMap((type) => [
  ...momentsOf(type, type === "float4" ? exactFloat : anyFloat8, "float8send"),
  caseOf(type, type === "float4" ? exactFloat : anyFloat8, "avg", "average", "float8send"),
]);

test.each(FLOAT_CASES)("$whole of $type, of groups that lie on one placement", async (one) => {
  await fillTable(one);
  await client.query("UPDATE t SET shard = grp % 4");
  // Rows in the order in which a placement has them, as its own sum would take them.
  const whole = await query(`SELECT grp, ${one.whole} FROM t GROUP BY grp ORDER BY grp`);
  const gather = await gatherOf(one, whole.typeOids);
  expect(await gather("text")).toEqual(whole.rows);
});

/** The order in which rows are added decides the last digits, in one PostgreSQL as here. */
const FLOAT_TOLERANCE = 1e-12;

test.each(FLOAT_CASES)("$whole of $type, but for the last digits", async (one) => {
  await fillTable({ ...one, values: exactFloat });
  const whole = await query(`SELECT grp, ${one.whole} FROM t GROUP BY grp ORDER BY grp`);
  const gathered = await (await gatherOf(one, whole.typeOids))("text");
  const differing = whole.rows.filter(([group, value], index) => {
    const [ourGroup, ours] = gathered[index] ?? [];
    return ourGroup !== group || !isNear(ours, value);
  });
  expect(gathered).toHaveLength(whole.rows.length);
  expect(differing).toEqual([]);
});

function isNear(ours: unknown, value: string | null | undefined): boolean {
  if (value === null || !Number.isFinite(Number(value)) || Number(value) === 0) {
    return ours === value;
  }
  return Math.abs(Number(ours) / Number(value) - 1) < FLOAT_TOLERANCE;
}

test.each([
  ["avg", "average", "float8", ["1e200", "-1e200"]],
  ["variance", "varSamp", "float8", ["1e300", "-1e300"]],
  ["avg", "average", "float8", ["1.7e308", "1.7e308"]],
  ["sum", "sum", "float8", ["1.7e308", "1.7e308"]],
  ["sum", "sum", "float4", ["3e38", "3e38"]],
  ["sum", "sum", "interval", ["2147483647 days", "1 day"]],
] as const)("%s(%s) of %s leaves its type's range as in the server", async (...row) => {
  const [aggregate, combine, type, values] = row;
  const one = caseOf(type, fc.constant(null), aggregate, combine, "");
  await client.query(`DROP TABLE IF EXISTS t; CREATE TEMP TABLE t (shard int, grp int, x ${type})`);
  await client.query(
    `INSERT INTO t SELECT n - 1, 1, x::${type} FROM unnest($1::text[]) WITH ORDINALITY u(x, n)`,
    [values],
  );
  const refused = await client.query(`SELECT ${one.whole} FROM t`).catch((error: unknown) => error);
  const { typeOids } = await query(`SELECT grp, ${one.whole} FROM t WHERE false GROUP BY grp`);
  const gather = await gatherOf(one, typeOids);
  await expect(gather("text")).rejects.toMatchObject({
    sqlstate: (refused as pg.DatabaseError).code,
    message: (refused as pg.DatabaseError).message,
  });
});

/** Asks each shard for its parts; what comes back puts them together. */
async function gatherOf(one: Case, typeOids: readonly number[]) {
  const parts = await query(
    `SELECT shard, grp, ${one.partials.join(", ")} FROM t GROUP BY shard, grp`,
  );
  const columns = parts.typeOids.slice(1).map((oid, index) => column(`c${index}`, oid));
  const output = typeOids.map((oid, index) => column(`c${index}`, oid));
  const shards = Array.from({ length: SHARDS }, (_, shard) =>
    parts.rows.filter(([number]) => Number(number) === shard).map((row) => row.slice(1)),
  );
  return async (format: "text" | "binary") =>
    await collect(
      gatherRows(
        { kind: "gather", gather: groupedBy(one), count: undefined, offset: 0n },
        shards.map((rows, shard) => new HandShard(`shard ${shard}`, columns, [rows])),
        output.map((described) => ({ ...described, format })),
        { types: NO_TYPES, bytesMax: 1 << 24 },
      ),
    );
}

function groupedBy({ combine, partials }: Case) {
  const outputs: readonly AggregateOutput[] = [
    { kind: "group", column: 0 },
    {
      kind: "combine",
      combine,
      columns: partials.map((_, index) => index + 1),
      collation: "byte order",
    },
  ];
  return {
    kind: "aggregate",
    groupBy: [{ column: 0, collation: "unknown" }],
    outputs,
    hiddenOutputs: 0,
    sort: [{ output: 0, descending: false, nullsFirst: false, collation: "unknown" }],
    limit: undefined,
    isCutByPlacements: false,
  } as const;
}

async function fillTable({ type, values }: Case): Promise<void> {
  const row = fc.tuple(fc.nat(SHARDS - 1), fc.nat(GROUPS - 1), values);
  const rows = fc.sample(row, { seed: SEED, numRuns: 3000 });
  await client.query(`DROP TABLE IF EXISTS t; CREATE TEMP TABLE t (shard int, grp int, x ${type})`);
  await client.query(
    `INSERT INTO t SELECT shard, grp, x::${type} FROM unnest($1::int[], $2::int[], $3::text[]) u(shard, grp, x)`,
    [0, 1, 2].map((index) => rows.map((fields) => fields[index])),
  );
}

async function query(sql: string): Promise<{ rows: (string | null)[][]; typeOids: number[] }> {
  const result = await client.query<(string | null)[]>({
    text: sql,
    rowMode: "array",
    types: RAW,
  });
  return { rows: result.rows, typeOids: result.fields.map(({ dataTypeID }) => dataTypeID) };
}
