/**
 * Looks for a shard map that suits a workload: begins with every table in one database and
 * takes the change that gains most, as long as one does. What a map is worth is what the
 * planner itself makes of every statement under it, so a suggestion never promises a plan
 * that the proxy would refuse. What the schema would have to change first is told with it.
 */
import { SUGGESTED_MAPS_MAX } from "../../base/limits.ts";
import type { PlanContext } from "../../planner/plan-context.ts";
import { type KeyDomain, keyDomains } from "./key-domains.ts";
import { linksOf, type StatementLinks } from "./links.ts";
import { planned, type PlannedStatement } from "./planned-workload.ts";
import { ROUTE_CLASSES, type RouteClass } from "./route-class.ts";
import { schemaChanges } from "./schema-changes.ts";
import {
  type Assignment,
  shardedTables,
  suggestedMap,
  suggestedYaml,
  type TableHome,
} from "./suggested-map.ts";
import type { SpanningTransactions, Suggestion } from "./suggestion.ts";
import type { Together, Workload } from "./workload.ts";

/** Null where none that was found is better than one database, or than the map that is given. */
export function suggest(
  workload: Workload,
  before: readonly PlannedStatement[],
  context: PlanContext,
): Suggestion | null {
  const search = new MapSearch(workload, before, context);
  const assignment = search.best();
  const changes = schemaChanges(assignment, context);
  const colocations = [...shardedTables(assignment)].map(([domain, tables]) => ({
    name: domain.name,
    keyType: domain.keyType,
    tables: tables.map((table) => ({ table, column: domain.columns.get(table) ?? "" })),
    schemaChanges: changes.get(domain) ?? [],
  }));
  const found = search.classesUnder(assignment);
  if (colocations.length === 0 || !search.isBetter(assignment, before)) return null;
  const tables = new Set(search.links.flatMap((link) => link.tables));
  return {
    yaml: suggestedYaml(assignment, context.map),
    colocations,
    referenceTables: [...assignment].flatMap(([table, { kind }]) =>
      kind === "reference" ? [table] : [],
    ),
    referenceTableChanges: changes.get(null) ?? [],
    unsharded: [...tables].filter((table) => !assignment.has(table)).toSorted(),
    before: callsByClass(before.map((one) => [one.class, one.statement.calls])),
    after: callsByClass(
      found.map((one, index) => [one, search.links[index]?.statement.calls ?? 0]),
    ),
    spanning: search.spanning(assignment),
  };
}

/**
 * What a call of each class is worth. A table that stays in one database gains nothing by
 * sharding, but loses nothing either; one that is refused is lost. In tenths, so that sums
 * are exact, and maps that are worth the same are seen to be.
 */
const WORTH: Readonly<Record<RouteClass, number>> = {
  single: 10,
  pruned: 8,
  home: 5,
  streamed: 4,
  gathered: 2,
  everywhere: 2,
  session: 0,
  refused: -10,
};

/** What a transaction that commits in two phases takes away, in tenths of a call. */
const SPANNING_COST = 5;

/** A reference table is written in every database: more writes than this share of its calls are too many. */
const REFERENCE_WRITES_MAX = 0.02;

class MapSearch {
  readonly links: readonly StatementLinks[];
  readonly #together: readonly Together[];
  readonly #context: PlanContext;
  readonly #domains: readonly KeyDomain[];
  readonly #rarelyWritten: readonly string[];
  /** By statement and the homes of its tables. */
  readonly #classes = new Map<string, RouteClass>();
  #mapsTried = 0;

  constructor(workload: Workload, before: readonly PlannedStatement[], context: PlanContext) {
    this.links = before.map(({ statement }) => linksOf(statement, context));
    this.#together = workload.together;
    this.#context = context;
    this.#domains = keyDomains(this.links, this.#together, context);
    this.#rarelyWritten = rarelyWritten(this.links);
  }

  best(): Assignment {
    let best = this.#judged(new Map());
    for (;;) {
      let better = best;
      for (const assignment of this.#changes(best.assignment)) {
        if (this.#mapsTried >= SUGGESTED_MAPS_MAX) break;
        const found = this.#judged(assignment);
        if (isBetterThan(found, better)) better = found;
      }
      if (better === best) return best.assignment;
      best = better;
    }
  }

  /** In the order of `links`. */
  classesUnder(assignment: Assignment): readonly RouteClass[] {
    this.#mapsTried++;
    const context = { ...this.#context, map: suggestedMap(assignment, this.#context.map) };
    return this.links.map((link, index) => {
      const homes = link.tables.map((table) => homeKey(table, assignment.get(table)));
      const key = `${index} ${homes.join(" ")}`;
      const known = this.#classes.get(key);
      if (known !== undefined) return known;
      const found = planned(link.statement, context)?.class ?? "session";
      this.#classes.set(key, found);
      return found;
    });
  }

  /** Transactions that write to tables of several colocations, or of one and of none. */
  spanning(assignment: Assignment): readonly SpanningTransactions[] {
    const written = new Map(this.links.map((link) => [link.statement, link.written]));
    const spanning = new Map<
      string,
      { readonly tables: readonly string[]; transactions: number }
    >();
    for (const { statements, transactions } of this.#together) {
      const tables = new Set(statements.flatMap((one) => [...(written.get(one) ?? [])]));
      const homes = new Set([...tables].map((table) => colocationOf(assignment.get(table))));
      if (homes.size < 2) continue;
      const names = [...tables].toSorted();
      const key = names.join(" ");
      const known = spanning.get(key);
      if (known === undefined) spanning.set(key, { tables: names, transactions });
      else known.transactions += transactions;
    }
    return [...spanning.values()].toSorted((a, b) => b.transactions - a.transactions);
  }

  /** Than the map under which the statements were planned as `before` says. */
  isBetter(assignment: Assignment, before: readonly PlannedStatement[]): boolean {
    const given = worthOf(before.map((one) => [one.class, one.statement.calls]));
    return this.#worth(assignment) > given;
  }

  #joinedAndRarelyWritten(assignment: Assignment): readonly string[] {
    const joined = new Set(
      this.links
        .filter(({ tables }) => tables.some((table) => assignment.get(table)?.kind === "sharded"))
        .flatMap(({ tables }) => tables),
    );
    return this.#rarelyWritten.filter((table) => joined.has(table) && !assignment.has(table));
  }

  #judged(assignment: Assignment): JudgedMap {
    const changes = [...schemaChanges(assignment, this.#context).values()].flat().length;
    const references = [...assignment.values()].filter(({ kind }) => kind === "reference").length;
    return { assignment, worth: this.#worth(assignment), references, schemaChanges: changes };
  }

  #worth(assignment: Assignment): number {
    const calls = this.links.map(({ statement }) => statement.calls);
    let worth = worthOf(
      this.classesUnder(assignment).map((found, index) => [found, calls[index] ?? 0]),
    );
    for (const { transactions } of this.spanning(assignment)) worth -= SPANNING_COST * transactions;
    return worth;
  }

  /** One colocation more, also with what would be joined to it; or one table in another place. */
  *#changes(from: Assignment): Generator<Assignment> {
    for (const domain of this.#domains) {
      const free = [...domain.columns.keys()].filter((table) => !from.has(table));
      if (free.length > 0) {
        const sharded = withHomes(from, free, { kind: "sharded", domain });
        yield sharded;
        yield withHomes(sharded, this.#joinedAndRarelyWritten(sharded), { kind: "reference" });
      }
      for (const table of domain.columns.keys()) {
        yield withHomes(from, [table], { kind: "sharded", domain });
      }
    }
    for (const table of this.#rarelyWritten) yield withHomes(from, [table], { kind: "reference" });
    for (const table of from.keys()) {
      yield new Map([...from].filter(([name]) => name !== table));
    }
  }
}

interface JudgedMap {
  readonly assignment: Assignment;
  readonly worth: number;
  readonly references: number;
  readonly schemaChanges: number;
}

/**
 * Of two maps that are worth the same, the one that the schema needs fewer changes for. Maps
 * with more reference tables are not the same: a large table, copied into every database, is
 * no way around a change of its key.
 */
function isBetterThan(one: JudgedMap, other: JudgedMap): boolean {
  if (one.worth !== other.worth) return one.worth > other.worth;
  if (one.references !== other.references) return one.references < other.references;
  return one.schemaChanges < other.schemaChanges;
}

function worthOf(calls: readonly (readonly [RouteClass, number])[]): number {
  return calls.reduce((worth, [name, count]) => worth + WORTH[name] * count, 0);
}

function withHomes(from: Assignment, tables: readonly string[], home: TableHome): Assignment {
  return new Map([...from, ...tables.map((table) => [table, home] as const)]);
}

function homeKey(table: string, home: TableHome | undefined): string {
  return `${table}=${colocationOf(home)}`;
}

/** Reference tables are in every database, so no transaction must go elsewhere for them but all do. */
function colocationOf(home: TableHome | undefined): string {
  if (home === undefined) return "";
  return home.kind === "reference" ? "*" : home.domain.name;
}

function rarelyWritten(links: readonly StatementLinks[]): readonly string[] {
  const calls = new Map<string, { all: number; writes: number }>();
  for (const { tables, written, statement } of links) {
    for (const table of tables) {
      const counted = calls.get(table) ?? { all: 0, writes: 0 };
      counted.all += statement.calls;
      if (written.has(table)) counted.writes += statement.calls;
      calls.set(table, counted);
    }
  }
  return [...calls].flatMap(([table, { all, writes }]) =>
    writes <= all * REFERENCE_WRITES_MAX ? [table] : [],
  );
}

function callsByClass(
  calls: readonly (readonly [RouteClass, number])[],
): Readonly<Record<RouteClass, number>> {
  const counts = Object.fromEntries(ROUTE_CLASSES.map((name) => [name, 0])) as Record<
    RouteClass,
    number
  >;
  for (const [name, count] of calls) counts[name] += count;
  return counts;
}
