import { expect, test } from "vitest";
import { hiddenColumnName } from "../../../planner/hidden-columns.ts";
import type { StreamedGather } from "../../../planner/logical-plan.ts";
import { gatherRows } from "../../../proxy/execution/gather/gather.ts";
import type { ColumnDescription } from "../../../proxy/protocol/backend/row-description.ts";
import type { DataRowRun, ShardRows } from "../../../proxy/execution/shard-rows.ts";
import { collect, column, HandShard, NO_TYPES, OID, rowsOf, runOf } from "./shards-by-hand.ts";

const ID = [column("id", OID.int4)];
const CONCAT: StreamedGather = { kind: "concat", limit: undefined };

function gather(
  how: StreamedGather,
  shards: readonly ShardRows[],
  output: readonly ColumnDescription[],
  window: { count?: bigint; offset?: bigint; bytesMax?: number } = {},
) {
  return gatherRows(
    { kind: "gather", gather: how, count: window.count, offset: window.offset ?? 0n },
    shards,
    output,
    { types: NO_TYPES, bytesMax: window.bytesMax ?? 1 << 20 },
  );
}

function mergeBy(
  more: Partial<Extract<StreamedGather, { kind: "merge" }>["sort"][number]> = {},
  hidden = 0,
): StreamedGather {
  const key = {
    column: 0,
    descending: false,
    nullsFirst: false,
    collation: "unknown",
    ...more,
  } as const;
  return { kind: "merge", sort: [key], hiddenColumns: hidden, limit: undefined };
}

const ids = (...numbers: (number | null)[]) =>
  numbers.map((id) => [id === null ? null : String(id)]);

test("concat gives rows of whichever shard has some", async () => {
  const slow = new HandShard("a", ID, [], { isOpen: true });
  const quick = new HandShard("b", ID, [ids(1, 2), ids(3)]);
  const rows = gather(CONCAT, [slow, quick], ID);
  expect(rowsOf([(await rows.next()).value])).toEqual(ids(1, 2));
  expect(rowsOf([(await rows.next()).value])).toEqual(ids(3));
  slow.give(ids(4));
  expect(rowsOf([(await rows.next()).value])).toEqual(ids(4));
  slow.end();
  expect((await rows.next()).done).toBe(true);
  expect([slow.isStopped, quick.isStopped]).toEqual([false, false]);
});

test("a shard is asked for its next run only when the last one was taken", async () => {
  const shard = new HandShard("a", ID, [ids(1), ids(2), ids(3)]);
  const rows = gather(CONCAT, [shard], ID);
  await rows.next();
  await new Promise((resolve) => setImmediate(resolve));
  expect(shard.asked).toBe(1);
  await rows.next();
  expect(shard.asked).toBe(2);
  await rows.return(undefined);
  expect(shard.isStopped).toBe(true);
});

test.each([
  [{ count: 3n }, [1, 2, 3]],
  [{ count: 3n, offset: 1n }, [2, 3, 4]],
  [{ offset: 2n }, [3, 4, 5]],
  [{ count: 0n }, []],
  [{ offset: 5n }, []],
  [{ offset: 9_223_372_036_854_775_807n, count: 9_223_372_036_854_775_807n }, []],
  [{ count: 9_223_372_036_854_775_807n }, [1, 2, 3, 4, 5]],
  [{ count: 1n, offset: 4n }, [5]],
])("concat and merge apply %o once", async (window, expected) => {
  const shard = () => new HandShard("a", ID, [ids(1, 2), ids(3, 4, 5)]);
  expect(await collect(gather(CONCAT, [shard()], ID, window))).toEqual(ids(...expected));
  expect(await collect(gather(mergeBy(), [shard()], ID, window))).toEqual(ids(...expected));
});

test("a satisfied limit stops the shards that have not ended", async () => {
  const open = new HandShard("a", ID, [], { isOpen: true });
  const quick = new HandShard("b", ID, [ids(1, 2, 3)]);
  expect(await collect(gather(CONCAT, [open, quick], ID, { count: 2n }))).toEqual(ids(1, 2));
  expect(open.isStopped).toBe(true);

  const least = new HandShard("a", ID, [ids(1, 2)], { isOpen: true });
  const more = new HandShard("b", ID, [ids(5, 6)], { isOpen: true });
  expect(await collect(gather(mergeBy(), [least, more], ID, { count: 1n }))).toEqual(ids(1));
  expect([least.isStopped, more.isStopped]).toEqual([true, true]);
});

test("LIMIT 0 asks no shard for a row", async () => {
  const shard = new HandShard("a", ID, [ids(1)]);
  expect(await collect(gather(mergeBy(), [shard], ID, { count: 0n }))).toEqual([]);
  expect([shard.asked, shard.isStopped]).toEqual([0, true]);
});

test.each<[string, StreamedGather]>([
  ["concat", CONCAT],
  ["merge", mergeBy()],
  ["agree", { kind: "agree" }],
])("an error of one shard stops the others and is thrown: %s", async (_, how) => {
  const failure = new Error("division by zero");
  const failing = new HandShard("a", ID, [ids(1)], { failure });
  const open = new HandShard("b", ID, [ids(2)], { isOpen: true });
  await expect(collect(gather(how, [failing, open], ID))).rejects.toBe(failure);
  expect(open.isStopped).toBe(true);
});

test("merge orders by the key, NULLs last, equal rows in the shards' order, hidden columns cut", async () => {
  const columns = [column("name", OID.text), column("key", OID.int8)];
  const how = mergeBy({ column: 1 }, 1);
  const first = new HandShard("a", columns, [
    [
      ["a1", "-5"],
      ["a2", "7"],
    ],
    [
      ["a3", "9007199254740993"],
      ["a4", null],
    ],
  ]);
  const second = new HandShard("b", columns, [
    [["b1", "7"]],
    [
      ["b2", "9007199254740992"],
      [null, null],
    ],
  ]);
  const rows = await collect(gather(how, [first, second], [column("name", OID.text)]));
  expect(rows.map(([name]) => name)).toEqual(["a1", "a2", "b1", "b2", "a3", "a4", null]);
});

test("merge with DESC and NULLS FIRST", async () => {
  const how = mergeBy({ descending: true, nullsFirst: true });
  const first = new HandShard("a", ID, [ids(null, 3, 1)]);
  const second = new HandShard("b", ID, [ids(null, 2)]);
  expect(await collect(gather(how, [first, second], ID))).toEqual(ids(null, null, 3, 2, 1));
});

test("merge does not hold rows back while it waits for a shard", async () => {
  const first = new HandShard("a", ID, [ids(1, 2)], { isOpen: true });
  const second = new HandShard("b", ID, [ids(9)]);
  const rows = gather(mergeBy(), [first, second], ID);
  expect(rowsOf([(await rows.next()).value])).toEqual(ids(1, 2));
  first.give(ids(3));
  expect(rowsOf([(await rows.next()).value])).toEqual(ids(3));
  first.end();
  expect(rowsOf([(await rows.next()).value])).toEqual(ids(9));
});

test("a shard that sorts otherwise is an error, not another order", async () => {
  const shards = [
    new HandShard("users0.public", ID, [ids(2), ids(1)]),
    new HandShard("users1.public", ID, []),
  ];
  await expect(collect(gather(mergeBy(), shards, ID))).rejects.toMatchObject({
    id: "placement_rows_unordered",
    message: 'placement "users0.public" sorts the rows otherwise than they can be merged',
  });
});

test("a database that answers alone has put its rows in order, whatever they are", async () => {
  const columns = [column("x", OID.json)];
  const hidden = column(hiddenColumnName(0), OID.text);
  const rows = [
    ["{}", "b"],
    ["[]", "a"],
    ["1", null],
  ];
  const how: StreamedGather = {
    kind: "merge",
    sort: [{ column: 1, descending: false, nullsFirst: false, collation: "unknown" }],
    hiddenColumns: 1,
    limit: undefined,
  };
  const shard = new HandShard("a", [...columns, hidden], [rows]);
  expect(await collect(gather(how, [shard], columns))).toEqual([["{}"], ["[]"], ["1"]]);
});

test("rows that lie behind one another are given as they lie, without a copy", async () => {
  const run = runOf(ids(1, 2, 3));
  const shard: ShardRows = {
    placementId: "a",
    columns: () => Promise.resolve(ID),
    next: () => Promise.resolve(given.shift()),
    stop: () => undefined,
  };
  const given = [run];
  const rows = gather(mergeBy(), [shard, new HandShard("b", ID, [ids(7)])], ID);
  const first = (await rows.next()).value as DataRowRun;
  expect(rowsOf([first])).toEqual(ids(1, 2, 3));
  expect(first.bytes.buffer).toBe(run.bytes.buffer);
  expect(rowsOf([(await rows.next()).value as DataRowRun])).toEqual(ids(7));
});

test.each([
  ["gather_type_unsupported", OID.json, "byte order"],
  ["gather_collation_unsupported", OID.text, "unknown"],
  ["gather_type_unsupported", 424_242, "byte order"],
] as const)("%s is raised before any row and stops the shards", async (id, typeOid, collation) => {
  const columns = [column("x", typeOid)];
  const shard = new HandShard("a", columns, [[["1"]]]);
  const shards = [shard, new HandShard("b", columns, [])];
  await expect(collect(gather(mergeBy({ collation }), shards, columns))).rejects.toMatchObject({
    id,
  });
  expect([shard.asked, shard.isStopped]).toEqual([0, true]);
});

test("an error calls what is only sorted by as the client wrote it, not by a name of the proxy's", async () => {
  const hidden = [...ID, column(hiddenColumnName(0), OID.json)];
  const how: StreamedGather = {
    kind: "merge",
    sort: [{ column: 1, descending: false, nullsFirst: false, collation: "unknown" }],
    hiddenColumns: 1,
    limit: undefined,
  };
  const shards = ["a", "b"].map((name) => new HandShard(name, hidden, []));
  await expect(collect(gather(how, shards, ID))).rejects.toMatchObject({
    message: expect.stringMatching(/^an ORDER BY expression of type .* cannot be ordered/),
  });
});

test("placements whose columns differ are refused, and stopped", async () => {
  for (const how of [CONCAT, mergeBy()]) {
    const first = new HandShard("a", ID, [ids(1)], { isOpen: true });
    const second = new HandShard("b", [column("id", OID.int8)], [ids(2)]);
    await expect(collect(gather(how, [first, second], ID))).rejects.toMatchObject({
      id: "placement_columns_differ",
    });
    expect([first.isStopped, second.isStopped]).toEqual([true, true]);
  }
  const wide = new HandShard("c", [...ID, ...ID], []);
  await expect(collect(gather(CONCAT, [wide], ID))).rejects.toMatchObject({
    message: 'placement "c" answers with 2 columns, 1 were expected',
  });
});

test("floats that are sent rounded are refused", async () => {
  const columns = [column("x", OID.float8)];
  const rows = gatherRows(
    { kind: "gather", gather: mergeBy(), count: undefined, offset: 0n },
    [new HandShard("a", columns, []), new HandShard("b", columns, [])],
    columns,
    { types: { ...NO_TYPES, extraFloatDigits: 0 }, bytesMax: 1 },
  );
  await expect(collect(rows)).rejects.toMatchObject({ id: "gather_value_unreadable" });
});

test("agree gives one database's rows and reads the others to their end", async () => {
  const how: StreamedGather = { kind: "agree" };
  const first = new HandShard("a", ID, [ids(1), ids(2)]);
  const second = new HandShard("b", ID, [ids(1, 2)]);
  expect(await collect(gather(how, [first, second], ID))).toEqual(ids(1, 2));

  const fewer = new HandShard("b", ID, [ids(1)]);
  const rows = gather(how, [new HandShard("a", ID, [ids(1, 2)]), fewer], ID);
  await expect(collect(rows)).rejects.toMatchObject({ id: "reference_copies_differ" });
});

test("a run that is no DataRow is a protocol violation", async () => {
  const shard = new HandShard("a", ID, [ids(1)]);
  const broken = [
    Buffer.from("D"),
    Buffer.from([0x44, 0, 0, 0, 99, 0, 1]),
    Buffer.from([0x43, 0, 0, 0, 6, 0, 0]),
  ];
  broken.push(
    Buffer.from([0x44, 0, 0, 0, 10, 0, 1, 0, 0, 0, 9]),
    Buffer.from([0x44, 0, 0, 0, 6, 0, 2]),
  );
  for (const bytes of broken) {
    const lying: ShardRows = {
      placementId: "a",
      columns: async () => await shard.columns(),
      next: async () => await Promise.resolve({ bytes, count: 1 }),
      stop: () => undefined,
    };
    await expect(collect(gather(mergeBy(), [lying], ID))).rejects.toThrow(
      expect.objectContaining({ name: "ProtocolViolation" }),
    );
  }
});
