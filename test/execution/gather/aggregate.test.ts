import { expect, test } from "vitest";
import type { AggregateOutput, Combine, Gather } from "../../../planner/logical-plan.ts";
import { gatherRows } from "../../../proxy/execution/gather/gather.ts";
import type { ColumnDescription } from "../../../proxy/protocol/backend/row-description.ts";
import type { Field } from "./shards-by-hand.ts";
import { collect, column, HandShard, NO_TYPES, OID } from "./shards-by-hand.ts";

type Aggregate = Extract<Gather, { kind: "aggregate" }>;

const INTERVAL = 1186;
const MONEY = 790;
const BIT = 1560;
const VARBIT = 1562;

const GROUP: AggregateOutput = { kind: "group", column: 0 };

function combine(how: Combine, ...columns: number[]): AggregateOutput {
  return { kind: "combine", combine: how, columns, collation: "byte order" };
}

function aggregate(outputs: readonly AggregateOutput[], more: Partial<Aggregate> = {}): Aggregate {
  return {
    kind: "aggregate",
    groupBy: [],
    outputs,
    sort: [],
    hiddenOutputs: 0,
    limit: undefined,
    isCutByPlacements: false,
    ...more,
  };
}

async function run(
  gather: Aggregate,
  columns: readonly ColumnDescription[],
  shards: readonly (readonly (readonly Field[])[])[],
  output: readonly ColumnDescription[],
  more: { count?: bigint; offset?: bigint; bytesMax?: number } = {},
) {
  const rows = gatherRows(
    { kind: "gather", gather, count: more.count, offset: more.offset ?? 0n },
    shards.map((shard, index) => new HandShard(`s${index}`, columns, [shard])),
    output,
    { types: NO_TYPES, bytesMax: more.bytesMax ?? 1 << 20 },
  );
  return await collect(rows);
}

test("without GROUP BY there is one row, even where no shard gave one", async () => {
  const columns = [column("count", OID.int8), column("sum", OID.int8)];
  const gather = aggregate([combine("count", 0), combine("sum", 1)]);
  expect(await run(gather, columns, [[], []], columns)).toEqual([["0", null]]);
  expect(await run(gather, columns, [[["2", "5"]], [["0", null]]], columns)).toEqual([["2", "5"]]);
});

test("groups are put together by their type's equality", async () => {
  const columns = [column("g", OID.numeric), column("count", OID.int8)];
  const gather = aggregate([GROUP, combine("count", 1)], {
    groupBy: [{ column: 0, collation: "unknown" }],
    sort: [{ output: 0, descending: false, nullsFirst: false, collation: "unknown" }],
  });
  const shards = [
    [
      ["1.0", "1"],
      ["NaN", "1"],
      [null, "4"],
    ],
    [
      ["1.00", "2"],
      ["NaN", "1"],
      [null, "5"],
      ["-3", "7"],
    ],
  ];
  expect(await run(gather, columns, shards, columns)).toEqual([
    ["-3", "7"],
    ["1.0", "3"],
    ["NaN", "2"],
    [null, "9"],
  ]);
});

test("-0 and 0 are one group, and neighbouring columns are not mixed up", async () => {
  const columns = [column("f", OID.float8)];
  const gather = aggregate([GROUP], { groupBy: [{ column: 0, collation: "unknown" }] });
  expect(await run(gather, columns, [[["-0"]], [["0"]]], columns)).toHaveLength(1);

  const two = [column("a", OID.text), column("b", OID.text)];
  const both = aggregate([GROUP, { kind: "group", column: 1 }], {
    groupBy: [0, 1].map((index) => ({ column: index, collation: "unknown" as const })),
  });
  const rows = [[["a", "1:bc"]], [["a1:b", "c"]], [["", null]], [[null, ""]], [["N", ""]]];
  expect(await run(both, two, rows, two)).toHaveLength(5);
});

test("a DISTINCT without order gives a row when it first comes, and stops at its limit", async () => {
  const columns = [column("g", OID.text)];
  const shard = new HandShard("a", columns, [[["x"], ["y"], ["x"]]], { isOpen: true });
  const gather = aggregate([GROUP], { groupBy: [{ column: 0, collation: "byte order" }] });
  const bound = { kind: "gather", gather, count: 2n, offset: 0n } as const;
  const rows = gatherRows(bound, [shard], columns, { types: NO_TYPES, bytesMax: 1 << 20 });
  expect(await collect(rows)).toEqual([["x"], ["y"]]);
  expect(shard.isStopped).toBe(true);
});

test("groups are sorted by outputs the client does not see, then cut", async () => {
  const columns = [column("g", OID.text), column("count", OID.int8)];
  const gather = aggregate([GROUP, combine("count", 1)], {
    groupBy: [{ column: 0, collation: "byte order" }],
    hiddenOutputs: 1,
    sort: [{ output: 1, descending: true, nullsFirst: true, collation: "unknown" }],
  });
  const shards = [
    [
      ["a", "1"],
      ["b", "5"],
      ["c", "2"],
    ],
    [
      ["c", "9"],
      ["a", "3"],
      ["d", "1"],
    ],
  ];
  const output = [column("g", OID.text)];
  expect(await run(gather, columns, shards, output)).toEqual([["c"], ["b"], ["a"], ["d"]]);
  expect(await run(gather, columns, shards, output, { offset: 1n, count: 2n })).toEqual([
    ["b"],
    ["a"],
  ]);
});

test("sums leave the range of bigint with PostgreSQL's error", async () => {
  const columns = [column("sum", OID.int8)];
  const gather = aggregate([combine("sum", 0)]);
  const largest = "9223372036854775807";
  await expect(run(gather, columns, [[[largest]], [["1"]]], columns)).rejects.toMatchObject({
    sqlstate: "22003",
    message: "bigint out of range",
  });
  expect(await run(gather, columns, [[[largest]], [["1"]], [["-1"]]], columns)).toEqual([
    [largest],
  ]);

  const floats = [column("sum", OID.float8)];
  await expect(run(gather, floats, [[["1e+308"]], [["1e+308"]]], floats)).rejects.toMatchObject({
    message: "value out of range: overflow",
  });
  expect(await run(gather, floats, [[["Infinity"]], [["-Infinity"]]], floats)).toEqual([["NaN"]]);
});

test("numeric wider than PostgreSQL holds is an error", async () => {
  const columns = [column("sum", OID.numeric)];
  const widest = "9".repeat(131_072);
  await expect(
    run(aggregate([combine("sum", 0)]), columns, [[[widest]], [["1"]]], columns),
  ).rejects.toMatchObject({ message: "value overflows numeric format" });
});

test("intervals that leave their range fail as PostgreSQL's do", async () => {
  const columns = [column("sum", INTERVAL)];
  const gather = aggregate([combine("sum", 0)]);
  const rows = [[["2147483647 days"]], [["1 day"]]];
  await expect(run(gather, columns, rows, columns)).rejects.toMatchObject({
    id: "combined_interval_out_of_range",
    sqlstate: "22008",
    message: "interval out of range",
  });
  const infinite = [[["infinity"]], [["-infinity"]]];
  await expect(run(gather, columns, infinite, columns)).rejects.toMatchObject({
    id: "combined_interval_out_of_range",
  });
});

test.each([
  ["avg(real) of sums in single precision", "average", [OID.float4, OID.int8], OID.float8],
  ["avg of floats without their variance", "average", [OID.float8, OID.int8], OID.float8],
  [
    "stddev(real) of sums in single precision",
    "stddevPop",
    [OID.float4, OID.int8, OID.numeric],
    OID.float8,
  ],
  ["sum of money", "sum", [MONEY], MONEY],
  ["bit_and of bit varying", "bitAnd", [VARBIT], VARBIT],
] as const)("%s is refused before any row, so that a database may do it", async (...one) => {
  const [, how, partials, result] = one;
  const columns = partials.map((oid, index) => column(`partial ${index}`, oid));
  const gather = aggregate([combine(how, ...partials.keys())]);
  await expect(run(gather, columns, [[]], [column("whole", result)])).rejects.toMatchObject({
    id: "gather_type_unsupported",
  });
});

test("squares that numeric has rounded are not combined", async () => {
  const columns = [OID.numeric, OID.int8, OID.numeric].map((oid) => column("x", oid));
  const gather = aggregate([combine("varPop", 0, 1, 2)]);
  const output = [column("var_pop", OID.numeric)];
  const exact = [["3.0", "2", "5.00"]];
  expect(await run(gather, columns, [exact], output)).toEqual([["0.25000000000000000000"]]);
  const rounded = [["3.0", "2", "5.0"]];
  await expect(run(gather, columns, [rounded], output)).rejects.toMatchObject({
    id: "gather_value_unreadable",
  });
});

test("bit strings of different sizes are not combined; any_value is one that is there", async () => {
  const columns = [column("bits", BIT), column("any", OID.json)];
  const gather = aggregate([combine("bitOr", 0), combine("anyValue", 1)]);
  const shards = [[["0101", null]], [["0011", "{}"]], [[null, "[]"]]];
  expect(await run(gather, columns, shards, columns)).toEqual([["0111", "{}"]]);
  await expect(
    run(gather, columns, [[["0101", null]], [["01", null]]], columns),
  ).rejects.toMatchObject({ id: "gather_type_unsupported" });
});

test("held groups are bounded, values and all", async () => {
  const columns = [column("g", OID.text), column("max", OID.text)];
  const gather = aggregate([GROUP, combine("max", 1)], {
    groupBy: [{ column: 0, collation: "byte order" }],
  });
  const many = Array.from({ length: 1000 }, (_, index) => [`group ${index}`, "x"]);
  await expect(run(gather, columns, [many], columns, { bytesMax: 100_000 })).rejects.toMatchObject({
    id: "gather_memory_exceeded",
    sqlstate: "53200",
    message: "groups of several placements need more than 100000 bytes",
  });
  const growing = [[["g", "a"]], [["g", "b".repeat(100_000)]]];
  await expect(run(gather, columns, growing, columns, { bytesMax: 100_000 })).rejects.toMatchObject(
    {
      id: "gather_memory_exceeded",
    },
  );
});

test.each([
  ["sum", OID.bool, "gather_type_unsupported"],
  ["sum", OID.text, "gather_collation_unsupported"],
  ["average", OID.float4, "gather_type_unsupported"],
  ["bitAnd", OID.numeric, "gather_type_unsupported"],
  ["max", OID.json, "gather_type_unsupported"],
] as const)("%s of type %i is refused: %s", async (how, typeOid, id) => {
  const columns = [column("x", typeOid), column("count", OID.int8)];
  const output = [column("x", typeOid)];
  await expect(run(aggregate([combine(how, 0, 1)]), columns, [[]], output)).rejects.toMatchObject({
    id,
  });
});

test("a result of another type than the client was told is refused", async () => {
  const columns = [column("sum", OID.int8), column("count", OID.int8)];
  await expect(
    run(aggregate([combine("average", 0, 1)]), columns, [[]], [column("avg", OID.int8)]),
  ).rejects.toMatchObject({ id: "placement_columns_differ" });
});
