/** What is refused before anything is made: what a switch could not put in force alone. */
import { expect, test } from "vitest";
import { databaseName } from "../../../base/ids.ts";
import type { PlannedMove } from "../../../migration/move.ts";
import { unsupported } from "../../../migration/orchestrator/supported.ts";
import { encodePlan } from "../../../migration/plan/plan-document.ts";
import type { StoredPlan } from "../../../migration/plan/plan-document.ts";
import { placement } from "../rig.ts";

function move(source: string, name: string): PlannedMove {
  const destination = { kind: "one", placement: placement("c", "public") } as const;
  return {
    name: "m",
    source: databaseName(source),
    tables: [{ schema: "public", name, destination }],
  };
}

function plan(
  name: string,
  moves: readonly PlannedMove[],
  more: Partial<StoredPlan> = {},
): StoredPlan {
  return {
    name,
    kind: "vertical",
    object: "group g",
    moves,
    notes: [],
    mapFrom: 1,
    mapTo: 2,
    nextMap: "version: 2",
    rows: 0,
    bytes: 0,
    ...more,
  };
}

const ALONE = plan("one", [move("a", "t")]);

test("a migration that is all that its map needs", () => {
  const again = plan("one_2", [move("a", "t")]);
  const elsewhere = plan("other", [move("a", "u")], { nextMap: "version: 2 # another" });
  expect(unsupported(again, [ALONE, again, elsewhere].map(encodePlan))).toEqual([]);
});

test("one of several, the others cancelled or not: their rows are not where the map would say", () => {
  const other = plan("other", [move("a", "u")]);
  expect(unsupported(ALONE, [ALONE, other].map(encodePlan))).toEqual([
    expect.stringContaining("the next shard map also needs other"),
  ]);
});

test("rows of several tables in one, by a plan that does not tell them apart", () => {
  const apart = plan("apart", [move("a", "t"), move("b", "u")]);
  expect(unsupported(apart, [encodePlan(apart)])).toEqual([]);
  const merge = plan("merge", [move("a", "t"), move("b", "t")]);
  expect(unsupported(merge, [encodePlan(merge)])).toEqual([
    expect.stringContaining("rows of several tables come to c.public.t"),
  ]);
});
