/**
 * What one analysis collects as it goes through a statement, and where it stands in it.
 */
import type { Node } from "@pgsql/types";
import { ANALYSIS_LEVELS_MAX } from "../../base/limits.ts";
import type { FunctionUse } from "../functions.ts";
import type { PlanContext } from "../plan-context.ts";
import { refusal, refuse, type RefusalDraft } from "../refusal.ts";
import type { ErrorId } from "../../base/sql-error.ts";
import type { Fact, Level, LevelStatement, Source, TableUse, WholeRow } from "./model.ts";
import { resolveColumn, type Scope } from "./namespace.ts";

/** WITH names in scope, innermost first. */
export interface WithScope {
  readonly name: string;
  readonly query: WithQuery;
  readonly outer: WithScope | undefined;
}

export type WithQuery =
  | {
      readonly kind: "level";
      readonly level: Level;
      readonly columnNames: readonly string[];
      readonly addsColumns: boolean;
    }
  | { readonly kind: "recursion" };

/** Where in the statement a query stands. */
export interface Place {
  readonly parent: Scope | undefined;
  readonly withScope: WithScope | undefined;
  readonly depth: number;
}

export class AnalysisRun {
  readonly context: PlanContext;
  /** Analyzes a query below the current place: given from outside, since everything recurs through it. */
  readonly query: (run: AnalysisRun, node: Node, place: Place) => Level;
  readonly tables: TableUse[] = [];
  readonly functions: FunctionUse[] = [];
  readonly wholeRows: WholeRow[] = [];
  readonly scatterRefusals: RefusalDraft[] = [];
  readonly shardedRefusals: RefusalDraft[] = [];
  locksRows = false;
  readonly #parameterUses = new Map<number, number>();
  readonly #parameterTypes = new Map<number, { count: number; readonly types: Set<number> }>();
  #levels = 0;

  constructor(context: PlanContext, query: (run: AnalysisRun, node: Node, place: Place) => Level) {
    this.context = context;
    this.query = query;
  }

  level(statement: LevelStatement, location: number | undefined, isRecursive: boolean): Level {
    this.#levels += 1;
    if (this.#levels > ANALYSIS_LEVELS_MAX) {
      refuse("statement_too_deep", `statement has more than ${ANALYSIS_LEVELS_MAX} sub-selects`);
    }
    return {
      statement,
      sources: [],
      facts: new Map(),
      always: [],
      outerJoins: [],
      conditions: [],
      outerColumns: new Set(),
      nested: [],
      arms: [],
      withQueries: [],
      isRecursive,
      outputs: [],
      outputsAreOpen: false,
      aggregates: [],
      windows: [],
      columnOf: () => undefined,
      location,
    };
  }

  /** The statement needs one placement, whatever its joins. */
  needsOnePlacement(
    id: ErrorId,
    message: string,
    location: number | undefined,
    detail?: string,
  ): void {
    this.scatterRefusals.push(refusal(id, message, { location, detail }));
  }

  /** The statement cannot be if it touches a sharded table. */
  barsSharded(id: ErrorId, message: string, location: number | undefined, detail?: string): void {
    this.shardedRefusals.push(refusal(id, message, { location, detail }));
  }

  countParameter(number: number): void {
    this.#parameterUses.set(number, (this.#parameterUses.get(number) ?? 0) + 1);
  }

  /** A use of a parameter that would give it this type if no other use came first. */
  suggestType(number: number, typeOid: number): void {
    const seen = this.#parameterTypes.get(number) ?? { count: 0, types: new Set<number>() };
    seen.count += 1;
    seen.types.add(typeOid);
    this.#parameterTypes.set(number, seen);
  }

  /** Types of the undeclared parameters whose every use suggests the same one. */
  inferredTypes(): ReadonlyMap<number, number> {
    const inferred = new Map<number, number>();
    for (const [number, { count, types }] of this.#parameterTypes) {
      const [type] = types;
      if (type !== undefined && types.size === 1 && count === this.#parameterUses.get(number))
        inferred.set(number, type);
    }
    return inferred;
  }
}

export function addFacts(level: Level, sources: readonly Source[], facts: readonly Fact[]): void {
  for (const source of sources) {
    const known = level.facts.get(source);
    if (known === undefined) level.facts.set(source, [...facts]);
    else known.push(...facts);
  }
}

/** `kept`: the sources whose rows the condition sees as they are stored. */
export function addCondition(
  level: Level,
  expression: Node | undefined,
  kept: readonly Source[],
  scope: Scope,
): void {
  if (expression === undefined || kept.length === 0) return;
  const columnOf = (inner: Node) =>
    "ColumnRef" in inner ? resolveColumn(inner.ColumnRef, scope)?.column : undefined;
  level.conditions.push({ expression, sources: kept, columnOf });
}
