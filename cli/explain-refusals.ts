/**
 * What PostgreSQL would refuse about a statement when it ran. The proxy plans such a
 * statement, since any server words the error; `explain` asks none, so it says it itself.
 */
import type { RangeVar } from "@pgsql/types";
import { assignedValue } from "../planner/bind-keys.ts";
import type { KeyTerm, LogicalPlan, QueryPlan } from "../planner/logical-plan.ts";
import type { InsertPlan } from "../planner/insert/insert-plan.ts";
import { resolveTable } from "../planner/names.ts";
import type { ParsedStatement } from "../planner/parse.ts";
import type { BoundParameter } from "../planner/physical-plan.ts";
import type { PlanContext } from "../planner/plan-context.ts";
import { tableReferences } from "../planner/table-references.ts";
import { keyFromParameterText, keyFromText, type KeyType } from "../shardmap/shard-key.ts";

export interface ServerRefusal {
  /** Absent where several would fit: which of them depends on the value. */
  readonly sqlstate?: string;
  readonly message: string;
  readonly detail: string;
  /** One-based, in characters of the statement's text. */
  readonly position?: number;
}

/** A table that is nowhere, in PostgreSQL's words. `source`: where the catalog comes from, as in "the schema". */
export function unknownTable(
  statement: ParsedStatement,
  plan: LogicalPlan,
  context: PlanContext,
  source: string,
): ServerRefusal | undefined {
  // The others name what need not be there yet, or name no table.
  if (plan.kind !== "query" && plan.kind !== "insert" && plan.kind !== "rejected") return undefined;
  const [table] = tableReferences(statement.node)
    .tables.filter((reference) => resolveTable(reference, context).kind === "unknown")
    .toSorted((left, right) => (left.location ?? 0) - (right.location ?? 0));
  if (table === undefined) return undefined;
  const isMapped = inCanonicalSchema(table, context) && context.map.tables.has(table.relname ?? "");
  return {
    sqlstate: "42P01",
    message: `relation "${printedName(table)}" does not exist`,
    detail: isMapped
      ? `The shard map lists the table, but ${source} does not have it.`
      : `The table is in neither the shard map nor ${source}.`,
    position: statement.positionOf(table.location),
  };
}

function inCanonicalSchema({ schemaname }: RangeVar, { map }: PlanContext): boolean {
  return schemaname === undefined || schemaname === map.canonicalSchema;
}

function printedName({ schemaname, relname = "" }: RangeVar): string {
  return schemaname === undefined ? relname : `${schemaname}.${relname}`;
}

/** A value that no server would take for the shard key it is compared with or stored in. */
export function unreadableKey(
  plan: QueryPlan | InsertPlan,
  parameters: readonly BoundParameter[],
): ServerRefusal | undefined {
  for (const { term, type, isInvalid } of plan.kind === "query"
    ? comparedKeys(plan, parameters)
    : storedKeys(plan, parameters)) {
    const text = isInvalid ? textOf(term, parameters) : undefined;
    if (text === undefined) continue;
    return {
      message: `invalid input for type ${type}: "${text}"`,
      detail: `The shard key is of type ${type}, and the value cannot be read as one, or is out of its range.`,
    };
  }
  return undefined;
}

interface ReadKey {
  readonly term: KeyTerm;
  readonly type: KeyType;
  readonly isInvalid: boolean;
}

function* comparedKeys(
  { routing }: QueryPlan,
  parameters: readonly BoundParameter[],
): Iterable<ReadKey> {
  if (routing.kind !== "shardKeys") return;
  for (const { colocation, keys } of [routing, ...routing.alsoPinned]) {
    for (const tuple of keys) {
      for (const [index, term] of tuple.entries()) {
        const type = colocation.keyTypes[index];
        if (type === undefined) continue;
        yield { term, type, isInvalid: comparedReading(term, type, parameters) === "invalid" };
      }
    }
  }
}

function comparedReading(
  term: KeyTerm,
  type: KeyType,
  parameters: readonly BoundParameter[],
): unknown {
  // A number is compared as one: what the key's type cannot hold matches no row.
  const text = term.kind === "number" ? undefined : textOf(term, parameters);
  if (text === undefined) return undefined;
  return term.kind === "parameter"
    ? keyFromParameterText(type, term.typeOid, text)
    : keyFromText(type, text);
}

function* storedKeys(plan: InsertPlan, parameters: readonly BoundParameter[]): Iterable<ReadKey> {
  for (const { key } of plan.rows) {
    for (const [index, term] of key.entries()) {
      const column = plan.keyColumns[index];
      if (column === undefined) continue;
      const isInvalid = assignedValue(term, column, parameters, []) === "invalid";
      yield { term, type: column.type, isInvalid };
    }
  }
}

/** Undefined where the statement gives no text that a type could refuse. */
function textOf(term: KeyTerm, parameters: readonly BoundParameter[]): string | undefined {
  if (term.kind === "text" || term.kind === "number") return term.text;
  if (term.kind !== "parameter") return undefined;
  return parameters[term.number - 1]?.value?.toString("utf8");
}
