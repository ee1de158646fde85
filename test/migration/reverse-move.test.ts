/** The way back: from each target's placements to where the rows came from. */
import { expect, test } from "vitest";
import { databaseName } from "../../base/ids.ts";
import { isTruncateCarried } from "../../migration/move.ts";
import type { PlannedMove } from "../../migration/move.ts";
import { reverseMoves } from "../../migration/reverse-move.ts";
import { placement } from "./rig.ts";

test("one move for each target; a table of several placements comes back from each", () => {
  const [here, there, beside] = [
    placement("a", "public"),
    placement("b", "s1"),
    placement("b", "s2"),
  ];
  const move: PlannedMove = {
    name: "split",
    source: databaseName("a"),
    tables: [
      {
        schema: "public",
        name: "users",
        destination: {
          kind: "sharded",
          key: [{ column: "id", type: "bigint" }],
          function: { kind: "hash", logicalShards: 4 },
          placementByShard: [there, beside, undefined, { ...here, schema: "new" }],
        },
      },
    ],
  };
  const back = (schema: string) => ({
    schema,
    name: "users",
    destination: { kind: "one", placement: here },
    isShared: true,
  });
  const moves = reverseMoves(move);
  expect(moves).toEqual([
    { name: "split_b1", source: "b", tables: [back("s1"), back("s2")] },
    { name: "split_b2", source: "a", tables: [back("new")] },
  ]);
  // To empty one of them must not empty what has the others' rows as well.
  for (const each of moves)
    for (const table of each.tables) expect(isTruncateCarried(each, table)).toBe(false);
});

test("a name that would not fit into a slot's is refused before anything is made", () => {
  const move: PlannedMove = {
    name: "m".repeat(50),
    source: databaseName("a"),
    tables: [
      {
        schema: "public",
        name: "t",
        destination: { kind: "one", placement: placement("b", "public") },
      },
    ],
  };
  expect(() => reverseMoves(move)).toThrow("fits into those of slots");
});
