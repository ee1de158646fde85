/**
 * What the rows of an INSERT are known to hold: constants, and values that its query's own
 * columns are pinned to. So an INSERT beside other statements is seen to stay in their placement.
 */
import type { InsertStmt, Node } from "@pgsql/types";
import type { KeyTerm } from "../logical-plan.ts";
import type { PlanContext } from "../plan-context.ts";
import { equalityFamily, type Family } from "./column-types.ts";
import { termOf } from "./key-terms.ts";
import type { Column, Fact, Level, Source } from "./model.ts";
import { equalColumns } from "./equal-columns.ts";

/** Names of the columns by which the rows of a table are placed; none for other sources. */
export function shardKeyOf({ content }: Source): ReadonlySet<string | undefined> {
  const isSharded = content.kind === "table" && content.table.kind === "sharded";
  return new Set(isSharded ? content.table.table.keyColumns : []);
}

/** Of the shard key alone: ON CONFLICT and triggers may leave other columns with other values. `query`: of the INSERT's SELECT or VALUES; undefined for DEFAULT VALUES. */
export function insertedFacts(
  insert: InsertStmt,
  target: Source,
  query: Level | undefined,
  context: PlanContext,
): readonly Fact[] {
  const names = insert.cols?.map((column) =>
    "ResTarget" in column ? column.ResTarget.name : undefined,
  );
  const keys = shardKeyOf(target);
  return target.columns.flatMap((column, index): readonly Fact[] => {
    if (!keys.has(column.catalog?.name)) return [];
    const position = names === undefined ? index : names.indexOf(column.catalog?.name);
    const family = equalityFamily(column, context.catalog);
    // A length or a precision may make another value of what is assigned.
    if (position < 0 || family === undefined || (column.catalog?.typmod ?? 0) >= 0) return [];
    const terms = query === undefined ? undefined : termsAt(query, position, family, context);
    return terms === undefined
      ? []
      : [{ kind: "values", column, values: { kind: "terms", terms } }];
  });
}

function termsAt(
  query: Level,
  position: number,
  family: Family,
  context: PlanContext,
): readonly KeyTerm[] | undefined {
  if (query.statement.kind !== "select") return undefined;
  const rows = query.statement.node.valuesLists;
  if (rows !== undefined) {
    const terms = rows.map((row) =>
      storedTerm("List" in row ? row.List.items?.[position] : undefined, family, context),
    );
    const known = terms.filter((term) => term !== undefined);
    return known.length === terms.length ? known : undefined;
  }
  if (query.outputsAreOpen) return undefined;
  const output = query.outputs[position];
  if (output?.column !== undefined) return pinnedTerms(output.column, query);
  const term = storedTerm(output?.expression, family, context);
  return term === undefined ? undefined : [term];
}

/** A constant that the assignment stores as it is. */
function storedTerm(
  value: Node | undefined,
  family: Family,
  context: PlanContext,
): KeyTerm | undefined {
  const term = value === undefined ? undefined : termOf(value, family, context);
  switch (term?.kind) {
    case "text":
      return term;
    case "number":
      return /^-?[0-9]+$/.test(term.text) ? term : undefined;
    // Of another type than the column's family it would be cast, and is left unproven.
    case "parameter":
      return { ...term, isCast: true };
    default:
      return undefined;
  }
}

/** What a column is pinned to where it stands, or inside the sub-select that hands it on. */
function pinnedTerms(column: Column, level: Level): readonly KeyTerm[] | undefined {
  let at: Column | undefined = column;
  let within: Level | undefined = level;
  while (at !== undefined && within !== undefined) {
    const facts = within.facts.get(at.source) ?? [];
    const equal = equalColumns(at, facts);
    for (const fact of facts) {
      if (fact.kind === "values" && fact.values.kind === "terms" && equal.has(fact.column))
        return fact.values.terms;
    }
    const { content }: Source = at.source;
    within = content.kind === "query" ? content.level : undefined;
    at = at.inner;
  }
  return undefined;
}
