import fc from "fast-check";
import { expect, test } from "vitest";
import { insertOrderRows } from "../../../proxy/execution/gather/gather.ts";
import { collect, column, HandShard, OID, rowsOf } from "./shards-by-hand.ts";

const ID = [column("id", OID.int4)];
const OPTIONS = { bytesMax: 1 << 20, mayDropRows: false };

function part(rowIndexes: readonly number[], runs: readonly (readonly number[])[], isOpen = false) {
  const shard = new HandShard(
    `part of ${rowIndexes.join(", ")}`,
    ID,
    runs.map((run) => run.map((id) => [String(id)])),
    { isOpen },
  );
  return { rows: shard, rowIndexes };
}

test("rows go back into the order of VALUES, however they were split and cut into runs", async () => {
  const split = fc.array(fc.tuple(fc.nat(4), fc.boolean()), { minLength: 1, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(split, async (rows) => {
      const parts = [0, 1, 2, 3, 4].map((number) => {
        const indexes = [...rows.keys()].filter((index) => rows[index]?.[0] === number);
        const runs: number[][] = [];
        for (const index of indexes) {
          if (runs.length === 0 || rows[index]?.[1]) runs.push([]);
          runs.at(-1)?.push(index);
        }
        return part(indexes, runs);
      });
      expect(await collect(insertOrderRows(parts, OPTIONS))).toEqual(
        [...rows.keys()].map((index) => [String(index)]),
      );
    }),
    { numRuns: 200 },
  );
});

test("rows that are due stream while others are waited for", async () => {
  const late = part([1, 3], [], true);
  const rows = insertOrderRows([part([0, 2], [[0, 2]]), late], OPTIONS);
  expect(rowsOf([(await rows.next()).value])).toEqual([["0"]]);
  late.rows.give([["1"]]);
  expect(rowsOf([(await rows.next()).value])).toEqual([["1"], ["2"]]);
  late.rows.give([["3"]]);
  expect(rowsOf([(await rows.next()).value])).toEqual([["3"]]);
  late.rows.end();
  expect((await rows.next()).done).toBe(true);
});

test.each([[[[0]]], [[[0, 1, 2]]], [[]]])(
  "a part that returns %j for two rows is an error",
  async (runs) => {
    await expect(collect(insertOrderRows([part([0, 1], runs)], OPTIONS))).rejects.toMatchObject({
      id: "placement_rows_miscounted",
    });
  },
);

test("held rows are bounded", async () => {
  const parts = [part([0], [], true), part([1, 2, 3], [[1], [2], [3]])];
  await expect(collect(insertOrderRows(parts, { ...OPTIONS, bytesMax: 30 }))).rejects.toMatchObject(
    {
      id: "gather_memory_exceeded",
    },
  );
  expect(parts[0]?.rows.isStopped).toBe(true);
});

test("where rows may be left out, and none was, they are in the order of VALUES", async () => {
  const parts = [part([1, 3], [[1, 3]]), part([0, 2, 4], [[0], [2, 4]])];
  const rows = await collect(insertOrderRows(parts, { ...OPTIONS, mayDropRows: true }));
  expect(rows).toEqual([["0"], ["1"], ["2"], ["3"], ["4"]]);
});

test("where rows were left out, each part's rows are together and in their order", async () => {
  const parts = [part([1, 3], [[3]]), part([0, 2, 4], [[0], [2, 4]])];
  const rows = await collect(insertOrderRows(parts, { ...OPTIONS, mayDropRows: true }));
  expect(rows).toEqual([["3"], ["0"], ["2"], ["4"]]);
});

test("a row too many is an error whether rows may be left out or not", async () => {
  const parts = [part([0], [[0, 1]]), part([1], [])];
  await expect(
    collect(insertOrderRows(parts, { ...OPTIONS, mayDropRows: true })),
  ).rejects.toMatchObject({ id: "placement_rows_miscounted" });
});
