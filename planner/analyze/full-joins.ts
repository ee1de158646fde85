/**
 * FULL JOINs whose sides are spread by the same key: a row of the join is of the shard of
 * whichever side it has, for a pair of rows is of one shard, and a row without a partner
 * in its own shard has none in any other.
 *
 *     a FULL JOIN b ON a.key = b.key        the join is a unit, whose rows a and b belong to
 *
 * Neither side stands for it: a's key is NULL in rows of b alone. So a group or a pin of the
 * whole is told by the merged column of USING, or by what the level says of either key.
 */
import { refusal, type RefusalDraft } from "../refusal.ts";
import type { Column, Level, MergedColumn, OuterJoin } from "./model.ts";
import { isTied, type Unit } from "./units.ts";

export type FullJoins =
  | { readonly kind: "joined"; readonly units: readonly Unit[] }
  | { readonly kind: "refused"; readonly refusal: RefusalDraft };

/** `rootsOf`: those of some units that all of them lead to. */
export function fullJoinUnits(
  level: Level,
  units: readonly Unit[],
  rootsOf: (units: readonly Unit[]) => readonly Unit[],
): FullJoins {
  const joined: Unit[] = [];
  // The joins inside of others come before them.
  for (const join of level.outerJoins) {
    if (join.type !== "full") continue;
    const within = [...units, ...joined];
    const left = within.filter(({ source }) => join.left.includes(source));
    const right = within.filter(({ source }) => join.right.includes(source));
    const [either] = [...left, ...right];
    if (either === undefined) continue;
    const unit = joinedUnit(join, [left, rootsOf(left)], [right, rootsOf(right)]);
    if (unit === undefined) return { kind: "refused", refusal: unjoined(either) };
    joined.push(unit);
  }
  return { kind: "joined", units: joined };
}

type Side = readonly [units: readonly Unit[], roots: readonly Unit[]];

function joinedUnit(
  { on, joined, merged }: OuterJoin,
  [left, leftRoots]: Side,
  [right, rightRoots]: Side,
): Unit | undefined {
  const [leftRoot] = leftRoots;
  const [rightRoot] = rightRoots;
  if (joined === undefined || leftRoot === undefined || rightRoot === undefined) return undefined;
  const areTied = left.some((one) => right.some((other) => isTied(one, other, on)));
  if (!areTied) return undefined;
  // Only a root's key is in every row of its side.
  const keys = leftRoots.flatMap((one) => rightRoots.map((other) => mergedKey(one, other, merged)));
  return {
    source: joined,
    colocation: leftRoot.colocation,
    key: keys.find((key) => key !== undefined),
    fullJoin: { members: [...left, ...right], roots: [leftRoot, rightRoot] },
  };
}

function mergedKey(
  left: Unit,
  right: Unit,
  merged: readonly MergedColumn[],
): readonly Column[] | undefined {
  const key = (left.key ?? []).map((column, index) => {
    const found = merged.find((one) => one.left === column && one.right === right.key?.[index]);
    return found?.column;
  });
  return key.length > 0 && key.every((column) => column !== undefined) ? key : undefined;
}

function unjoined({ source }: Unit): RefusalDraft {
  return refusal(
    "full_join_scattered",
    "FULL JOIN over several placements needs the shard keys of both sides",
    { location: source.location },
  );
}
