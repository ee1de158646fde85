/**
 * The two proofs a statement over sharded tables may rest on.
 *
 * *Settled*: all rows that matter lie in one placement. Every unit, at every level, is
 * pinned, or tied by key equality to one that is. Then any SQL gives the right answer there.
 *
 * *Distributed*: the answer is the union of the placements' answers. All units of a level
 * are tied, directly or through others, to one of them (the root), so that no row meets
 * one of another shard; and nothing of the level looks at more than one shard's rows.
 *
 * A tie has a direction: `a LEFT JOIN b ON a.key = b.key` ties b to a, since a row of a
 * stands in the result without b, but not the other way about. Following ties from any row
 * leads to a row of the root, so each row of the result belongs to one shard.
 */
import { ANALYSIS_VISITS_MAX } from "../../base/limits.ts";
import type { PlanContext } from "../plan-context.ts";
import { refusal, refuse, type RefusalDraft } from "../refusal.ts";
import { equalColumns } from "./equal-columns.ts";
import { fullJoinUnits } from "./full-joins.ts";
import { joinRefusal } from "./join-refusals.ts";
import type { Analysis, Bounds, Column, Level, Source } from "./model.ts";
import { oncePerStatement } from "./once-per-statement.ts";
import { localShape, type KeyClasses } from "./shape.ts";
import { Ties } from "./ties.ts";
import {
  boundsOf,
  isTied,
  pinOf,
  tableUnit,
  tellingColumns,
  type Pin,
  type Unit,
} from "./units.ts";

export type Settlement =
  | { readonly kind: "settled"; readonly pins: readonly Pin[] }
  | { readonly kind: "unsettled"; readonly refusal: RefusalDraft };

export type Distribution =
  /** Reads no sharded table: the same rows in every placement. */
  | { readonly kind: "free" }
  /** Any of `roots` will do; never empty. */
  | { readonly kind: "byShard"; readonly roots: readonly Unit[] }
  | { readonly kind: "bound"; readonly refusal: RefusalDraft };

export class PlacementRules {
  readonly #context: PlanContext;
  readonly #inferredTypes: ReadonlyMap<number, number>;
  readonly #sharded = new Map<Level, boolean>();
  readonly #distributions = new Map<Level, Distribution>();
  #visits = 0;

  constructor(analysis: Analysis, context: PlanContext) {
    const { redefinedComparison } = context.catalog;
    if (redefinedComparison !== undefined) {
      refuse(
        "comparison_redefined",
        `operator ${redefinedComparison} compares built-in types in a way of its own`,
      );
    }
    this.#context = context;
    this.#inferredTypes = analysis.inferredTypes;
  }

  /** Whether every unit of the level and below lies with its pins or with one of `anchors`. */
  settle(level: Level, anchors: readonly Unit[], mayPin: boolean): Settlement {
    this.#visits += 1;
    if (this.#visits > ANALYSIS_VISITS_MAX)
      refuse("statement_too_deep", "sub-selects of the statement depend on each other too often");
    const pins: Pin[] = [];
    const settled: Unit[] = [...anchors];
    let pending = level.sources.filter((source) => this.#reads(source));
    for (let before = -1; before !== pending.length;) {
      before = pending.length;
      pending = pending.filter(
        (source) => !this.#settleSource(source, level, settled, mayPin, pins),
      );
    }
    const [left] = pending;
    if (left !== undefined) return { kind: "unsettled", refusal: this.#unsettled(left, settled) };
    const below = [
      ...level.nested,
      ...level.arms,
      ...level.withQueries.filter(({ statement }) => statement.kind !== "select"),
    ];
    for (const inner of below) {
      if (!this.readsSharded(inner)) continue;
      const settlement = this.settle(inner, settled, mayPin);
      if (settlement.kind === "unsettled") return settlement;
      pins.push(...settlement.pins);
    }
    return { kind: "settled", pins };
  }

  #settleSource(
    source: Source,
    level: Level,
    settled: Unit[],
    mayPin: boolean,
    pins: Pin[],
  ): boolean {
    const unit = this.#unitOf(source);
    const facts = level.facts.get(source) ?? [];
    const pin = mayPin && unit !== undefined ? pinOf(unit, facts, this.#inferredTypes) : undefined;
    if (pin !== undefined) pins.push(pin);
    const isReached =
      pin !== undefined ||
      (unit !== undefined && settled.some((anchor) => isTied(unit, anchor, facts)));
    if (!isReached) {
      if (source.content.kind !== "query") return false;
      const inside = this.settle(source.content.level, settled, mayPin);
      if (inside.kind === "unsettled") return false;
      pins.push(...inside.pins);
    }
    if (unit !== undefined) settled.push(unit);
    return true;
  }

  /** Whether a level below another may be evaluated placement by placement. */
  distribute(level: Level): Distribution {
    const known = this.#distributions.get(level);
    if (known !== undefined) return known;
    const joined = this.distributeJoins(level);
    const shape =
      joined.kind === "byShard"
        ? localShape(level, this.groupClasses(level, joined.roots))
        : undefined;
    const distribution: Distribution =
      shape === undefined ? joined : { kind: "bound", refusal: shape };
    this.#distributions.set(level, distribution);
    return distribution;
  }

  /** As `distribute`, for a level whose own LIMIT, grouping and so on are the caller's to gather. */
  distributeJoins(level: Level): Distribution {
    if (!this.readsSharded(level)) return { kind: "free" };
    const bound = (draft: RefusalDraft): Distribution => ({ kind: "bound", refusal: draft });
    if (level.arms.length > 0) {
      return bound(
        refusal(
          "set_operation_scattered",
          "UNION, INTERSECT and EXCEPT over several placements are not supported",
          { location: level.location },
        ),
      );
    }
    const writing = level.withQueries.find(({ statement }) => statement.kind !== "select");
    if (writing !== undefined) {
      return bound(
        refusal(
          "data_modifying_with_scattered",
          "a data-modifying WITH query over several placements is not supported",
          { location: writing.location },
        ),
      );
    }
    const once = oncePerStatement(level, (inner) => this.readsSharded(inner), this.#context);
    if (once !== undefined) return bound(once);
    const real = this.unitsOf(level);
    if (real.every(({ source }) => source.isFilter)) return bound(this.#withoutUnit(level));
    const full = fullJoinUnits(level, real, (units) => this.#rootsOf(units, level));
    if (full.kind === "refused") return bound(full.refusal);
    const all = [...real, ...full.units];
    const isConnected = this.#rootsOf(all, level).length > 0;
    const units = isConnected ? all : all.filter((unit) => !this.isTiedInside(unit, all));
    const roots = this.#rootsOf(units, level);
    if (roots.length === 0) return bound(this.#unconnected(all, level));
    const refused = this.#outerJoinRefusal(level, units) ?? this.#belowRefusal(level, units);
    return refused === undefined ? { kind: "byShard", roots } : bound(refused);
  }

  /** What the roots' keys are pinned to: by the level's own facts, or inside a sub-select that is a root. */
  rootPin(level: Level, roots: readonly Unit[]): Pin | undefined {
    for (const root of roots) {
      const pin = pinOf(root, level.facts.get(root.source) ?? [], this.#inferredTypes);
      if (pin !== undefined) return pin;
      if (root.source.content.kind !== "query") continue;
      const inner = root.source.content.level;
      const distribution = this.distribute(inner);
      const innerPin =
        distribution.kind === "byShard" ? this.rootPin(inner, distribution.roots) : undefined;
      if (innerPin !== undefined) return innerPin;
    }
    return undefined;
  }

  /** What a root's key lies between, by the level's own facts. */
  rootBounds(level: Level, roots: readonly Unit[]): Bounds | undefined {
    for (const root of roots) {
      const bounds = boundsOf(root, level.facts.get(root.source) ?? [], this.#inferredTypes);
      if (bounds !== undefined) return bounds;
    }
    return undefined;
  }

  /** For each key column, the columns of the level that always equal a root's: what makes a group local to a shard. */
  keyClasses(level: Level, roots: readonly Unit[]): readonly (readonly ReadonlySet<Column>[])[] {
    return roots.flatMap(({ key }) =>
      key === undefined ? [] : [key.map((column) => equalColumns(column, level.always))],
    );
  }

  /** As `keyClasses`, and what else holds a group in one shard: of a FULL JOIN the keys of both sides. */
  groupClasses(level: Level, roots: readonly Unit[]): KeyClasses {
    const telling = roots.flatMap((root) => {
      const columns = root.fullJoin === undefined ? undefined : tellingColumns(root);
      return columns === undefined
        ? []
        : [columns.map((column) => equalColumns(column, level.always))];
    });
    return [...this.keyClasses(level, roots), ...telling];
  }

  readsSharded(level: Level): boolean {
    const known = this.#sharded.get(level);
    if (known !== undefined) return known;
    this.#sharded.set(level, false);
    const below = [...level.nested, ...level.arms, ...level.withQueries];
    const reads =
      level.sources.some((source) => this.#reads(source)) ||
      below.some((inner) => this.readsSharded(inner));
    this.#sharded.set(level, reads);
    return reads;
  }

  #reads({ content }: Source): boolean {
    if (content.kind === "table") return content.table.kind === "sharded";
    return content.kind === "query" && this.readsSharded(content.level);
  }

  /** The sources of a level whose rows are spread by a key. */
  unitsOf(level: Level): readonly Unit[] {
    return level.sources.flatMap((source) => this.#unitOf(source) ?? []);
  }

  #unitOf(source: Source): Unit | undefined {
    if (source.content.kind !== "query") return tableUnit(source, this.#context.catalog);
    const inner = source.content.level;
    const distribution = this.distribute(inner);
    const root = distribution.kind === "byShard" ? distribution.roots[0] : undefined;
    if (root === undefined || distribution.kind !== "byShard") return undefined;
    return {
      source,
      colocation: root.colocation,
      key: outputKey(source, inner, this.keyClasses(inner, distribution.roots)),
    };
  }

  #rootsOf(units: readonly Unit[], level: Level): readonly Unit[] {
    return tiesOf(units, level)
      .roots()
      .filter(({ source }) => !source.isFilter);
  }

  /** A LATERAL sub-select that ties its own tables to the other units of its level. */
  isTiedInside({ source }: Unit, units: readonly Unit[]): boolean {
    if (source.content.kind !== "query") return false;
    const others = units.filter((unit) => unit.source !== source);
    return this.settle(source.content.level, others, false).kind === "settled";
  }

  #outerJoinRefusal(level: Level, units: readonly Unit[]): RefusalDraft | undefined {
    for (const { type, left, right } of level.outerJoins) {
      const leftUnit = units.find(({ source }) => left.includes(source));
      const rightUnit = units.find(({ source }) => right.includes(source));
      const [preserved, optional, side] =
        type === "right" ? [rightUnit, leftUnit, right] : [leftUnit, rightUnit, left];
      if (optional === undefined || preserved !== undefined) continue;
      return refusal(
        "outer_join_repeats_rows",
        `outer join keeps the rows of "${side[0]?.name ?? ""}" on every placement of sharded table "${optional.source.name}"`,
        {
          location: side[0]?.location,
          detail:
            "Each placement has all rows of that side, so those without a match there would be repeated.",
        },
      );
    }
    return undefined;
  }

  /** Sub-selects: what they read of sharded tables must be tied to the row they are evaluated for. */
  #belowRefusal(level: Level, units: readonly Unit[]): RefusalDraft | undefined {
    for (const source of level.sources) {
      if (
        source.content.kind !== "query" ||
        !this.#reads(source) ||
        units.some((unit) => unit.source === source)
      )
        continue;
      const inner = source.content.level;
      if (this.settle(inner, units, false).kind === "settled") continue;
      const distribution = this.distribute(inner);
      return distribution.kind === "bound" ? distribution.refusal : this.#unconnected(units, level);
    }
    for (const inner of level.nested) {
      if (!this.readsSharded(inner)) continue;
      const settlement = this.settle(inner, units, false);
      if (settlement.kind === "unsettled") return settlement.refusal;
    }
    return undefined;
  }

  #withoutUnit(level: Level): RefusalDraft {
    for (const source of level.sources) {
      if (source.content.kind !== "query") continue;
      const distribution = this.distribute(source.content.level);
      if (distribution.kind === "bound") return distribution.refusal;
    }
    const inner = level.nested.find((candidate) => this.readsSharded(candidate));
    return refusal(
      "subquery_scattered",
      "a sub-select over a sharded table is not supported here",
      {
        location: inner?.location ?? level.location,
        detail: "It would be evaluated on each placement by itself, over a part of its rows.",
      },
    );
  }

  #unconnected(units: readonly Unit[], level: Level): RefusalDraft {
    const ties = tiesOf(units, level);
    const [first] = units;
    const other = units.find((unit) => first !== undefined && !ties.ledToBy(unit).has(first));
    return joinRefusal(first, other ?? units[1]);
  }

  #unsettled(source: Source, settled: readonly Unit[]): RefusalDraft {
    const unit = this.#unitOf(source);
    if (unit === undefined && source.content.kind === "query") {
      const distribution = this.distribute(source.content.level);
      if (distribution.kind === "bound") return distribution.refusal;
    }
    return joinRefusal(settled[0], unit);
  }
}

function tiesOf(units: readonly Unit[], { facts }: Level): Ties {
  return new Ties(units, (from, to) => isTied(from, to, facts.get(from.source) ?? []));
}

/** The sub-select's output columns that hold the key, as columns of its source. */
function outputKey(
  source: Source,
  inner: Level,
  classes: readonly (readonly ReadonlySet<Column>[])[],
): readonly Column[] | undefined {
  for (const keyClass of classes) {
    const key = keyClass.map((equal) => {
      const index = inner.outputs.findIndex(
        ({ column }) => column !== undefined && equal.has(column),
      );
      return index < 0 ? undefined : source.columns[index];
    });
    if (key.every((column) => column !== undefined)) return key;
  }
  return undefined;
}
