/**
 * Equality between key columns: which units meet only rows of their own logical shard, and
 * which keys pin them.
 *
 * A *unit* is a source whose rows are spread over placements by a key: a sharded table, or
 * a sub-select that gives each placement's rows by themselves and hands the key on.
 */
import type { Catalog } from "../../shardmap/catalog.ts";
import type { Colocation } from "../../shardmap/shard-map.ts";
import type { KeyTerm, KeyTuple } from "../logical-plan.ts";
import { equalityFamily, familyOfKey } from "./column-types.ts";
import { combinations } from "./comparisons.ts";
import { equalColumns } from "./equal-columns.ts";
import type { Bounds, Column, Fact, PinValues, Source } from "./model.ts";

export interface Unit {
  readonly source: Source;
  readonly colocation: Colocation;
  /** Undefined where the key's columns are not known, or not of the map's types: nothing can be tied to it. */
  readonly key: readonly Column[] | undefined;
  /** Of a FULL JOIN, whose `key` is the merged one: the units that it joins, and one of each side that the side's others lead to. */
  readonly fullJoin?: { readonly members: readonly Unit[]; readonly roots: readonly Unit[] };
}

/** One way in which a unit is pinned. */
export type Pin =
  | { readonly kind: "keys"; readonly colocation: Colocation; readonly keys: readonly KeyTuple[] }
  | {
      readonly kind: "array";
      readonly colocation: Colocation;
      readonly parameter: number;
      readonly typeOid: number;
    };

export function tableUnit(source: Source, catalog: Catalog): Unit | undefined {
  if (source.content.kind !== "table" || source.content.table.kind !== "sharded") return undefined;
  const { colocation, keyColumns } = source.content.table.table;
  const key: Column[] = [];
  for (const [index, name] of keyColumns.entries()) {
    const column = source.columns.find((candidate) => candidate.catalog?.name === name);
    const type = colocation.keyTypes[index];
    if (
      column === undefined ||
      type === undefined ||
      equalityFamily(column, catalog) !== familyOfKey(type)
    ) {
      return { source, colocation, key: undefined };
    }
    key.push(column);
  }
  return { source, colocation, key };
}

/**
 * Whether the facts make every row of `from` meet only rows of `to` with the same key. A row
 * of a side of a FULL JOIN is in a row of the join. That one has a side's key where a fact
 * says so, since NULL equals nothing.
 */
export function isTied(from: Unit, to: Unit, facts: readonly Fact[]): boolean {
  const { key } = to;
  if (to.fullJoin?.members.includes(from) === true) return true;
  if (key === undefined || from.colocation !== to.colocation || isWithin(to, from)) return false;
  return keysOf(from).some((own) =>
    own.every((column, index) => {
      const target = key[index];
      return target !== undefined && equalColumns(column, facts).has(target);
    }),
  );
}

/** The keys that tell a row's shard where they are not NULL. */
function keysOf({ key, fullJoin }: Unit): readonly (readonly Column[])[] {
  const own = key === undefined ? [] : [key];
  return [...own, ...(fullJoin?.members ?? []).flatMap(keysOf)];
}

function isWithin(unit: Unit, join: Unit): boolean {
  return (join.fullJoin?.members ?? []).some((member) => member === unit || isWithin(unit, member));
}

/** The columns that tell a unit's rows of different shards apart: of a FULL JOIN the keys of both sides together. */
export function tellingColumns({ key, fullJoin }: Unit): readonly Column[] | undefined {
  if (fullJoin === undefined) return key;
  const sides = fullJoin.roots.map(tellingColumns);
  return sides.every((side) => side !== undefined) ? sides.flat() : undefined;
}

/** The keys the facts pin a unit to: of ANDed bounds, the one with the fewest alternatives bounds it best. */
export function pinOf(
  unit: Unit,
  facts: readonly Fact[],
  inferredTypes: ReadonlyMap<number, number>,
): Pin | undefined {
  for (const key of keysOf(unit)) {
    const pin = pinOfKey(unit.colocation, key, facts, inferredTypes);
    if (pin !== undefined) return pin;
  }
  return undefined;
}

function pinOfKey(
  colocation: Colocation,
  key: readonly Column[],
  facts: readonly Fact[],
  inferredTypes: ReadonlyMap<number, number>,
): Pin | undefined {
  const bounds: (readonly KeyTerm[])[] = [];
  for (const column of key) {
    const values = fewest(column, facts);
    if (values === undefined) return undefined;
    if (values.kind === "array") {
      if (key.length > 1) return undefined;
      const typeOid =
        values.typeOid === 0 ? (inferredTypes.get(values.parameter) ?? 0) : values.typeOid;
      return { kind: "array", colocation, parameter: values.parameter, typeOid };
    }
    bounds.push(values.terms);
  }
  const keys = fewerTuples(combinations(bounds), statedTuples(key, facts));
  return keys === undefined
    ? undefined
    : {
        kind: "keys",
        colocation,
        keys: keys.map((tuple) => tuple.map((term) => withInferredType(term, inferredTypes))),
      };
}

/** What a unit's single key column lies between; undefined where nothing bounds it. */
export function boundsOf(
  unit: Unit,
  facts: readonly Fact[],
  inferredTypes: ReadonlyMap<number, number>,
): Bounds | undefined {
  const columns = keysOf(unit).flatMap((key) => (key.length === 1 ? key : []));
  for (const column of columns) {
    const bounds = boundsOfColumn(column, facts, inferredTypes);
    if (bounds !== undefined) return bounds;
  }
  return undefined;
}

function boundsOfColumn(
  column: Column,
  facts: readonly Fact[],
  inferredTypes: ReadonlyMap<number, number>,
): Bounds | undefined {
  const equal = equalColumns(column, facts);
  const found = facts.flatMap((fact) =>
    fact.kind === "bounds" && equal.has(fact.column) ? [fact.bounds] : [],
  );
  const lower = found.find(({ from }) => from !== undefined)?.from;
  const upper = found.find(({ to }) => to !== undefined);
  if (lower === undefined && upper === undefined) return undefined;
  return {
    from: lower === undefined ? undefined : withInferredType(lower, inferredTypes),
    to: upper?.to === undefined ? undefined : withInferredType(upper.to, inferredTypes),
    toInclusive: upper?.toInclusive ?? false,
  };
}

function fewest(column: Column, facts: readonly Fact[]): PinValues | undefined {
  const equal = equalColumns(column, facts);
  let best: PinValues | undefined;
  for (const fact of facts) {
    if (fact.kind !== "values" || !equal.has(fact.column)) continue;
    if (best === undefined || alternatives(fact.values) < alternatives(best)) best = fact.values;
  }
  return best;
}

function alternatives(values: PinValues): number {
  return values.kind === "terms" ? values.terms.length : Number.POSITIVE_INFINITY;
}

function withInferredType(term: KeyTerm, inferredTypes: ReadonlyMap<number, number>): KeyTerm {
  if (term.kind !== "parameter" || term.typeOid !== 0) return term;
  return { ...term, typeOid: inferredTypes.get(term.number) ?? 0 };
}

/** A composite key's values as a fact gives them together. */
function statedTuples(
  key: readonly Column[],
  facts: readonly Fact[],
): readonly KeyTuple[] | undefined {
  let best: readonly KeyTuple[] | undefined;
  for (const fact of facts) {
    if (fact.kind !== "tuples") continue;
    const places = key.map((column) => {
      const equal = equalColumns(column, facts);
      return fact.columns.findIndex((candidate) => equal.has(candidate));
    });
    if (places.includes(-1)) continue;
    const tuples = fact.tuples.map((tuple) => places.flatMap((place) => tuple[place] ?? []));
    best = fewerTuples(tuples, best);
  }
  return best;
}

function fewerTuples(
  one: readonly KeyTuple[] | undefined,
  other: readonly KeyTuple[] | undefined,
): readonly KeyTuple[] | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return other.length < one.length ? other : one;
}
