/**
 * Which joins a gather over copied tables may make. Any would be exact; refused are those
 * that meet rows of any two shards, since their cost grows with the product of the fleet:
 *
 *     FROM a JOIN b                sharded tables that no shard key ties, unless pins bound them
 *     (SELECT ... b ... a.x ...)   b of another colocation than the row it is evaluated for
 *
 * What a sub-select has grouped, cut or made distinct is no longer a table's rows, so it may
 * be joined with anything. Sub-selects that refer to nothing around them are evaluated once.
 */
import type { Colocation } from "../../shardmap/shard-map.ts";
import type { PlanContext } from "../plan-context.ts";
import type { RefusalDraft } from "../refusal.ts";
import { joinRefusal } from "../analyze/join-refusals.ts";
import type { Analysis, Level, Source } from "../analyze/model.ts";
import type { PlacementRules } from "../analyze/placement-rules.ts";
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

  /** Units that nothing ties to the first, where not every group of tied ones is pinned. */
  #untied(level: Level): RefusalDraft | undefined {
    const units = this.#rules.unitsOf(level).filter(({ source }) => !source.isFilter);
    const [first] = units;
    if (first === undefined) return undefined;
    const tied = this.#tiedTo(first, units, level);
    const other = units.find((unit) => !tied.has(unit));
    if (other === undefined || this.#arePinned(units, level)) return undefined;
    return joinRefusal(first, other);
  }

  #tiedTo(first: Unit, units: readonly Unit[], level: Level): ReadonlySet<Unit> {
    const facts = [
      ...[...level.facts.values()].flat(),
      ...level.outerJoins.flatMap(({ on }) => on),
    ];
    const tied = new Set([first]);
    for (const from of tied) {
      for (const to of units) {
        if (tied.has(to)) continue;
        const isInside =
          this.#rules.isTiedInside(to, [from, to]) || this.#rules.isTiedInside(from, [from, to]);
        if (isInside || isTied(to, from, facts)) tied.add(to);
      }
    }
    return tied;
  }

  #arePinned(units: readonly Unit[], level: Level): boolean {
    const left = new Set(units);
    for (const unit of units) {
      const facts = level.facts.get(unit.source) ?? [];
      if (pinOf(unit, facts, this.#inferredTypes) === undefined) continue;
      for (const tied of this.#tiedTo(unit, units, level)) left.delete(tied);
    }
    return left.size === 0;
  }

  /** A sub-select over one colocation that is evaluated for rows of another. */
  #correlation(inner: Level): RefusalDraft | undefined {
    if (!this.#rules.readsSharded(inner)) return undefined;
    const inside = [...subtree(inner)];
    const sources = new Set(inside.flatMap((level) => level.sources));
    const tables = this.#tablesOf([...sources]);
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
