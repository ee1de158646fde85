/** Where a statement reads each sharded table, which rows of it can matter, and where those are. */
import type { Node } from "@pgsql/types";
import { invariant } from "../../base/invariant.ts";
import { PINNED_KEYS_MAX } from "../../base/limits.ts";
import type { Catalog, CatalogRelation } from "../../shardmap/catalog.ts";
import type { Colocation } from "../../shardmap/shard-map.ts";
import type { Analysis, Fact, Level, Source } from "../analyze/model.ts";
import type { PlacementRules } from "../analyze/placement-rules.ts";
import { boundsOf, pinOf, tableUnit, type Unit } from "../analyze/units.ts";
import { sameTree } from "../ast.ts";
import type { Routing } from "../logical-plan.ts";
import { pinRouting } from "../pin-routing.ts";
import type { PlanContext } from "../plan-context.ts";
import { subtree } from "./joins.ts";
import { equalValues } from "./equal-values.ts";
import { pushedConditions } from "./pushed-filter.ts";

export interface TableUses {
  readonly relation: CatalogRelation;
  readonly sources: readonly { readonly source: Source; readonly level: Level }[];
  /** True of every row that any of the uses can need; undefined where nothing is known of them. */
  readonly filter: Node | undefined;
  readonly routing: Routing;
}

/** One entry a table, in the order of appearance. */
export function tableUses(
  analysis: Analysis,
  rules: PlacementRules,
  context: PlanContext,
): readonly TableUses[] {
  const { uses } = new UseCollector(analysis.root, rules, context);
  return [...uses].map(([relation, found]) => ({
    relation,
    sources: found.map(({ source, level }) => ({ source, level })),
    filter: filterOf(found, context),
    routing: routingOf(found, analysis),
  }));
}

interface Use {
  readonly source: Source;
  readonly level: Level;
  readonly unit: Unit;
  /** What holds for every row of the source that has an effect on the answer. */
  readonly facts: readonly Fact[];
}

/** Goes through the levels, each once. */
class UseCollector {
  readonly uses = new Map<CatalogRelation, Use[]>();
  readonly #rules: PlacementRules;
  readonly #catalog: Catalog;
  readonly #references = new Map<Level, number>();
  readonly #seen = new Set<Level>();

  constructor(root: Level, rules: PlacementRules, { catalog }: PlanContext) {
    this.#rules = rules;
    this.#catalog = catalog;
    for (const { sources } of subtree(root)) {
      for (const { content } of sources) {
        if (content.kind !== "query") continue;
        this.#references.set(content.level, (this.#references.get(content.level) ?? 0) + 1);
      }
    }
    this.#collect(root, []);
  }

  /** `around`: what every row satisfies for which the level is evaluated to any effect. */
  #collect(level: Level, around: readonly Fact[]): void {
    if (this.#seen.has(level)) return;
    this.#seen.add(level);
    // A WITH query that one alone refers to is evaluated for that one; any other for all.
    for (const inner of level.withQueries)
      if (this.#references.get(inner) !== 1) this.#collect(inner, []);
    const within = [...around, ...level.always];
    const units = this.#rules.unitsOf(level);
    for (const source of level.sources) {
      const facts = [...around, ...(level.facts.get(source) ?? [])];
      const { content } = source;
      if (content.kind === "table") this.#collectTable(source, level, facts);
      if (content.kind !== "query") continue;
      const unit = units.find((candidate) => candidate.source === source);
      this.#collect(content.level, [...facts, ...level.always, ...keyFacts(unit)]);
    }
    for (const inner of [...level.nested, ...level.arms]) this.#collect(inner, within);
  }

  #collectTable(source: Source, level: Level, facts: readonly Fact[]): void {
    const unit = tableUnit(source, this.#catalog);
    const { content } = source;
    if (unit === undefined || content.kind !== "table" || content.table.kind !== "sharded") return;
    const { relation } = content.table;
    const use = { source, level, unit, facts };
    const known = this.uses.get(relation);
    if (known === undefined) this.uses.set(relation, [use]);
    else known.push(use);
  }
}

/**
 * A sub-select that gives each shard's rows by themselves: what is said of the key it hands on
 * is said of the tables within.
 */
function keyFacts(unit: Unit | undefined): readonly Fact[] {
  return (unit?.key ?? []).flatMap((column): Fact[] =>
    column.inner === undefined ? [] : [{ kind: "columns", left: column, right: column.inner }],
  );
}

/** Any of the uses' conditions, ANDed each; one use without any needs every row. */
function filterOf(uses: readonly Use[], { catalog }: PlanContext): Node | undefined {
  const alternatives: Node[] = [];
  for (const { source, level, unit, facts } of uses) {
    const own = pushedConditions(source, level, catalog);
    const conditions = [...own, ...equalValues(unit, facts, own.length > 0, catalog)];
    const filter = connected("AND_EXPR", conditions);
    if (filter === undefined) return undefined;
    if (!alternatives.some((known) => sameTree(known, filter))) alternatives.push(filter);
  }
  return connected("OR_EXPR", alternatives);
}

function connected(boolop: "AND_EXPR" | "OR_EXPR", args: Node[]): Node | undefined {
  const [only, ...others] = args;
  return others.length === 0 ? only : { BoolExpr: { boolop, args } };
}

/** Where the rows of any of the uses are. */
function routingOf(uses: readonly Use[], { inferredTypes }: Analysis): Routing {
  const routings = uses.map(({ unit, facts }) => routingOfUse(unit, facts, inferredTypes));
  const [first, ...others] = routings;
  invariant(first !== undefined, "a table that is copied is read somewhere");
  return others.reduce(either, first);
}

function routingOfUse(
  unit: Unit,
  facts: readonly Fact[],
  inferredTypes: Analysis["inferredTypes"],
): Routing {
  const pin = pinOf(unit, facts, inferredTypes);
  if (pin !== undefined) return pinRouting(pin, []);
  const { colocation } = unit;
  const bounds =
    colocation.function.kind === "hash" ? undefined : boundsOf(unit, facts, inferredTypes);
  return bounds === undefined
    ? everywhere(colocation)
    : { kind: "keyRange", colocation, ...bounds };
}

/** Of two uses of one table. Ranges and arrays are known when bound, so only equal ones are put together. */
function either(left: Routing, right: Routing): Routing {
  if (left.kind === "noRows") return right;
  if (right.kind === "noRows" || identity(left) === identity(right)) return left;
  if (left.kind === "shardKeys" && right.kind === "shardKeys") {
    const keys = [...left.keys, ...right.keys];
    if (keys.length <= PINNED_KEYS_MAX) return { ...left, keys };
  }
  invariant("colocation" in left, "a sharded table is routed by its colocation");
  return everywhere(left.colocation);
}

function everywhere(colocation: Colocation): Routing {
  return { kind: "allShards", colocation, because: "no shard key in predicate" };
}

function identity(routing: Routing): string {
  return JSON.stringify(routing, (field, value: unknown) => (field === "colocation" ? "" : value));
}
