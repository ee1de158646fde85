/**
 * Which columns facts make equal. A long join gives each of its sources the facts of all the
 * others, and every pair of sources asks: so the classes are worked out once for a list.
 */
import type { Column, Fact } from "./model.ts";

/** Every column that facts make equal to this one, itself included. */
export function equalColumns(column: Column, facts: readonly Fact[]): ReadonlySet<Column> {
  return classesOf(facts).get(column) ?? new Set([column]);
}

type Classes = ReadonlyMap<Column, ReadonlySet<Column>>;

/** Lists of facts only grow, so their length tells whether what is known of one still holds. */
const KNOWN = new WeakMap<
  readonly Fact[],
  { readonly length: number; readonly classes: Classes }
>();

function classesOf(facts: readonly Fact[]): Classes {
  const known = KNOWN.get(facts);
  if (known?.length === facts.length) return known.classes;
  const classes = new Map<Column, Set<Column>>();
  const classOf = (column: Column): Set<Column> => classes.get(column) ?? new Set([column]);
  for (const fact of facts) {
    if (fact.kind !== "columns") continue;
    const [left, right] = [classOf(fact.left), classOf(fact.right)];
    if (left.has(fact.right)) continue;
    const [larger, smaller] = left.size < right.size ? [right, left] : [left, right];
    for (const column of smaller) larger.add(column);
    // A class of one column is in no map yet.
    for (const column of [fact.left, fact.right, ...smaller]) classes.set(column, larger);
  }
  KNOWN.set(facts, { length: facts.length, classes });
  return classes;
}
