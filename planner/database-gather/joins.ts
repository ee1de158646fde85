/**
 * Which joins a gather over copied tables may make. Any would be exact; refused are those
 * that meet rows of any two shards, since their cost grows with the product of the fleet:
 *
 *     FROM a JOIN b                sharded tables that no shard key ties
 *     (SELECT ... b ... a.x ...)   b of another colocation than the row it is evaluated for
 *
 * Neither is a table that is pinned, since it brings the rows of few keys, nor what a sub-select
 * has grouped, cut or made distinct, since that is no longer a table's rows. Sub-selects that
 * refer to nothing around them are evaluated once.
 */
import type { Colocation } from "../../shardmap/shard-map.ts";
import type { PlanContext } from "../plan-context.ts";
import type { RefusalDraft } from "../refusal.ts";
import { joinRefusal } from "../analyze/join-refusals.ts";
import type { Analysis, Level, OuterJoin, Source } from "../analyze/model.ts";
import type { PlacementRules } from "../analyze/placement-rules.ts";
import { Ties } from "../analyze/ties.ts";
import { isTied, pinOf, tableUnit, type Unit } from "../analyze/units.ts";

export class GatheredJoins {
  readonly #rules: PlacementRules;
  readonly #context: PlanContext;
  readonly #inferredTypes: Analysis["inferredTypes"];
  readonly #seen = new Set<Level>();

  constructor(rules: PlacementRules, { inferredTypes }: Analysis, context: PlanContext) {
    this.#rules = rules;
    this.#inferredTypes = inferredTypes;
    this.#context = context;
  }

  /** The first join, of the level or below it, that must not be made. */
  refusal(level: Level): RefusalDraft | undefined {
    if (this.#seen.has(level) || !this.#rules.readsSharded(level)) return undefined;
    this.#seen.add(level);
    const own = this.#untied(level);
    if (own !== undefined) return own;
    for (const inner of levelsBelow(level)) {
      const refused = this.#correlation(inner) ?? this.refusal(inner);
      if (refused !== undefined) return refused;
    }
    return undefined;
  }

  /**
   * The units must all be tied to one, as for a scatter, but for two cases: a pinned one brings
   * the rows of few keys, whatever it meets, and so do those that are tied to it; and a FULL
   * JOIN ties its right side to its left where the right is whole in itself.
   */
  #untied(level: Level): RefusalDraft | undefined {
    if (this.#rules.distributeJoins(level).kind === "byShard") return undefined;
    const units = this.#rules.unitsOf(level).filter(({ source }) => !source.isFilter);
    for (const { type, right } of level.outerJoins) {
      const side = units.filter(({ source }) => right.includes(source));
      const refused = type === "full" ? this.#unconnected(side, level, []) : undefined;
      if (refused !== undefined) return refused;
    }
    return this.#unconnected(units, level, level.outerJoins);
  }

  #unconnected(
    units: readonly Unit[],
    level: Level,
    joins: readonly OuterJoin[],
  ): RefusalDraft | undefined {
    const isTiedTo = (from: Unit, to: Unit): boolean => this.#isTied(from, to, level, joins);
    const ties = new Ties(units, isTiedTo);
    const pinned = new Set(units.filter((unit) => this.#isPinned(unit, level)));
    const unbound = units.filter((unit) => [...ties.ledToBy(unit)].every((to) => !pinned.has(to)));
    const left = new Ties(unbound, isTiedTo);
    if (unbound.length === 0 || left.roots().length > 0) return undefined;
    const [first] = unbound;
    const other = unbound.find((unit) => first !== undefined && !left.ledToBy(unit).has(first));
    return joinRefusal(first, other ?? unbound[1]);
  }

  /** Whether a row of the one meets rows of one shard alone of the other. */
  #isTied(from: Unit, to: Unit, level: Level, joins: readonly OuterJoin[]): boolean {
    const facts = level.facts.get(from.source) ?? [];
    return (
      isTied(from, to, facts) ||
      joins.some(
        ({ type, left, right, on }) =>
          type === "full" &&
          right.includes(from.source) &&
          left.includes(to.source) &&
          isTied(from, to, on),
      ) ||
      this.#rules.isTiedInside(from, [from, to])
    );
  }

  #isPinned(unit: Unit, level: Level): boolean {
    const facts = level.facts.get(unit.source) ?? [];
    return pinOf(unit, facts, this.#inferredTypes) !== undefined;
  }

  /** A sub-select over one colocation that is evaluated for rows of another, and reads more of it than pins bound. */
  #correlation(inner: Level): RefusalDraft | undefined {
    if (!this.#rules.readsSharded(inner)) return undefined;
    const inside = [...subtree(inner)];
    const sources = new Set(inside.flatMap((level) => level.sources));
    const tables = inside.flatMap((level) =>
      this.#tablesOf(level.sources).filter((unit) => !this.#isPinned(unit, level)),
    );
    for (const { outerColumns } of inside) {
      for (const { source } of outerColumns) {
        if (sources.has(source)) continue;
        const refused = this.#across(this.#tablesBehind(source), tables);
        if (refused !== undefined) return refused;
      }
    }
    return undefined;
  }

  #across(outer: readonly Unit[], inner: readonly Unit[]): RefusalDraft | undefined {
    const colocations = new Set<Colocation>(outer.map(({ colocation }) => colocation));
    const other = inner.find(
      ({ colocation }) => colocations.size > 0 && !colocations.has(colocation),
    );
    return other === undefined ? undefined : joinRefusal(outer[0], other);
  }

  #tablesOf(sources: readonly Source[]): readonly Unit[] {
    return sources.flatMap((source) => tableUnit(source, this.#context.catalog) ?? []);
  }

  #tablesBehind(source: Source): readonly Unit[] {
    if (source.content.kind !== "query") return this.#tablesOf([source]);
    return [...subtree(source.content.level)].flatMap(({ sources }) => this.#tablesOf(sources));
  }
}

/** Levels right below one: its sub-selects, wherever they stand, arms and WITH queries. */
export function levelsBelow(level: Level): readonly Level[] {
  const inFrom = level.sources.flatMap(({ content }) =>
    content.kind === "query" ? [content.level] : [],
  );
  return [...inFrom, ...level.nested, ...level.arms, ...level.withQueries];
}

/** A level and all below it. */
export function subtree(level: Level): ReadonlySet<Level> {
  const found = new Set([level]);
  for (const from of found) for (const inner of levelsBelow(from)) found.add(inner);
  return found;
}
