/** Which rows of a target verification takes for misplaced. */
import { expect, test } from "vitest";
import type { MovedTable } from "../../migration/move.ts";
import { misplacedRows } from "../../migration/verify-sql.ts";
import { placement } from "./rig.ts";

const HERE = placement("two", "late");
const THERE = placement("one", "public");

/** Of eight shards; those that are named come to a placement, the others do not move. */
function moving(shards: readonly number[]): MovedTable {
  return {
    schema: "public",
    name: "users",
    columns: [],
    identity: [],
    oldRows: "identity",
    isPartitioned: false,
    destination: {
      kind: "sharded",
      key: [{ column: "id", type: "bigint" }],
      function: { kind: "hash", logicalShards: 8 },
      placementByShard: Array.from({ length: 8 }, (_, shard) =>
        shards.includes(shard) ? HERE : shard === 7 ? THERE : undefined,
      ),
    },
  };
}

test("a row of a shard that does not move is misplaced, too", () => {
  const table = moving([0, 1]);
  const sql = misplacedRows(table, HERE, [table]);
  expect(sql).toMatch(/^\(.*\) IS NOT TRUE$/);
  expect(misplacedRows(table, HERE, [moving([0]), moving([1])])).toBe(sql);
  // Shards of other placements are nobody's here.
  expect(sql).not.toBe(misplacedRows(moving([0, 1, 2]), HERE, [moving([0, 1, 2])]));
});
