/** A plan comes back from JSON as it went in, whatever its keys are made of. */
import { expect, test } from "vitest";
import { databaseName } from "../../../base/ids.ts";
import type { ShardedDestination } from "../../../migration/move.ts";
import { decodePlan, encodePlan } from "../../../migration/plan/plan-document.ts";
import type { StoredPlan } from "../../../migration/plan/plan-document.ts";

const PLACEMENT = { database: databaseName("b"), schema: "s" };

function planWith(destination: ShardedDestination): StoredPlan {
  return {
    name: "one",
    kind: "split",
    object: "colocation users",
    notes: [],
    mapFrom: 1,
    mapTo: 2,
    nextMap: "version: 2",
    rows: 3,
    bytes: 4,
    moves: [
      {
        name: "one",
        source: databaseName("a"),
        tables: [
          { schema: "public", name: "users", destination },
          { schema: "two", name: "users", destination, home: destination },
        ],
      },
    ],
  };
}

test.each<readonly [string, ShardedDestination["function"]]>([
  ["hash", { kind: "hash", logicalShards: 2 }],
  [
    "range",
    {
      kind: "range",
      ranges: [
        { from: undefined, to: { kind: "timestamptz", microseconds: 9_007_199_254_740_993n } },
        { from: { kind: "integer", value: 9_007_199_254_740_993n }, to: undefined },
      ],
    },
  ],
  [
    "list",
    {
      kind: "list",
      entries: [[{ kind: "text", bytes: Buffer.from("é") }], [{ kind: "date", days: 7 }]],
      defaultEntry: undefined,
    },
  ],
])("%s", (_kind, shardFunction) => {
  const plan = planWith({
    kind: "sharded",
    key: [{ column: "id", type: "bigint" }],
    function: shardFunction,
    placementByShard: [undefined, PLACEMENT],
  });
  const stored = JSON.parse(JSON.stringify(encodePlan(plan))) as unknown;
  expect(decodePlan(stored)).toEqual(plan);
});
