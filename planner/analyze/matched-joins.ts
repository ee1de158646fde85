/**
 * Outer joins whose unmatched rows come to nothing. A side that an outer join fills with NULLs
 * has a row of its own wherever one of its columns equals something, so there the ON holds:
 *
 *     a LEFT JOIN b ON b.key = a.key  WHERE b.x = 5               as with JOIN: b.key = a.key
 *     a LEFT JOIN b ON b.key = a.key  RIGHT JOIN c ON c.key = b.key
 *                                      for rows of a as with JOIN: no other is seen
 *
 * PostgreSQL does the same (reduce_outer_joins), for the whole of a join alone. Here it is
 * asked of each source: what its own facts say is not NULL in any row that matters to it.
 */
import { MATCHED_OUTER_JOINS_MAX } from "../../base/limits.ts";
import type { Column, Fact, Level, OuterJoin, Source } from "./model.ts";

/** Adds what follows to the facts of the level; a one-sided join that always matches is an inner one from then on. */
export function addMatchedFacts(level: Level): void {
  const joins = level.outerJoins;
  if (joins.length === 0 || joins.length > MATCHED_OUTER_JOINS_MAX) return;
  for (const [source, facts] of level.facts)
    growFacts(facts, joins, (side) => side.includes(source));
  const matched = growFacts(level.always, joins, () => false);
  const left = joins.filter((join) => join.type === "full" || !matched.has(join));
  joins.splice(0, joins.length, ...left);
}

/** The joins whose ON the facts came to include. `isThere`: a side has a row, as far as is known without facts. */
function growFacts(
  facts: Fact[],
  joins: readonly OuterJoin[],
  isThere: (side: readonly Source[]) => boolean,
): ReadonlySet<OuterJoin> {
  const matched = new Set<OuterJoin>();
  const named = new Set<Source>();
  const add = (added: readonly Fact[]): void => {
    for (const fact of added) for (const { source } of columnsOf(fact)) named.add(source);
  };
  add(facts);
  const hasRow = (side: readonly Source[]): boolean =>
    isThere(side) || side.some((source) => named.has(source));
  for (let before = -1; before !== matched.size;) {
    before = matched.size;
    for (const join of joins) {
      if (matched.has(join) || !nullableSides(join).every(hasRow)) continue;
      matched.add(join);
      facts.push(...join.on);
      add(join.on);
    }
  }
  return matched;
}

export function nullableSides({ type, left, right }: OuterJoin): readonly (readonly Source[])[] {
  switch (type) {
    case "left":
      return [right];
    case "right":
      return [left];
    case "full":
      return [left, right];
  }
}

/** None of a fact's columns is NULL where it holds. */
function columnsOf(fact: Fact): readonly Column[] {
  switch (fact.kind) {
    case "columns":
      return [fact.left, fact.right];
    case "tuples":
      return fact.columns;
    default:
      return [fact.column];
  }
}
