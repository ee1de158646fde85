/**
 * Plans as people read them: the rule that decided, the route, the gather, and the SQL of
 * each placement. It decides nothing and reads nothing but the plans.
 */
import { unreachable } from "../base/invariant.ts";
import type {
  AggregateOutput,
  Gather,
  InsertPlan,
  KeyTerm,
  KeyTuple,
  LimitTerm,
  LogicalPlan,
  Routing,
  RowLimit,
  SortCollation,
} from "../planner/logical-plan.ts";
import type { PhysicalPlan } from "../planner/physical-plan.ts";

/** A name and what it is; printed as two columns. */
export type ExplainLine = readonly [label: string, text: string];

export function explainLogical(plan: LogicalPlan): readonly ExplainLine[] {
  switch (plan.kind) {
    case "empty":
      return [["statement", "empty"]];
    case "rejected":
      return [["statement", "goes to a server as it is, which words the error"]];
    case "query":
      return [
        ["rule", `${plan.rule} (${plan.access})`],
        ["route", describeRouting(plan.routing)],
        ...(plan.scatterRefusal === undefined
          ? [["gather", describeGather(plan.gather)] as const]
          : [["only on", `one placement, else ${plan.scatterRefusal.id}`] as const]),
      ];
    case "insert":
      return [
        ["rule", `${plan.rule} (${plan.access})`],
        ["rows", describeRows(plan)],
        ...plan.generated.map(({ column, source }): ExplainLine => [
          "draws",
          source.kind === "sequence"
            ? `${column} from ${source.schema}.${source.sequence}`
            : `${column} at random`,
        ]),
      ];
    case "ddl":
      return [
        ["rule", plan.rule],
        ["runs", plan.transactional ? "in one transaction over all databases" : "step by step"],
        ...plan.steps.map(({ database, sql }): ExplainLine => [database, sql]),
      ];
    case "transaction":
    case "session":
      return [["session", plan.action.kind]];
    case "setting":
      return [["setting", `${plan.action} ${plan.name ?? "all"} (${plan.scope})`]];
    default:
      return unreachable(plan);
  }
}

export function explainPhysical(plan: PhysicalPlan): readonly ExplainLine[] {
  const { gather } = plan;
  return [
    ...plan.fragments.map(({ placementId, rendered }): ExplainLine => [placementId, rendered.sql]),
    ["gather", gather.kind === "gather" ? describeGather(gather.gather) : gather.kind],
  ];
}

function describeRows({ table, rows }: InsertPlan): string {
  const count = `${rows.length} ${rows.length === 1 ? "row" : "rows"}`;
  return table.kind === "sharded"
    ? `${count} of ${table.name}, each to the placement of its ${table.keyColumns.join(", ")}`
    : `${count} of ${table.name}, to every database`;
}

function describeRouting(routing: Routing): string {
  switch (routing.kind) {
    case "home":
      return `database ${routing.database} (${routing.because})`;
    case "anyDatabase":
      return "any database";
    case "everyDatabase":
      return "every database";
    case "shardKeys": {
      const also = routing.alsoPinned.map((pinned) => describePinned(pinned));
      return [describePinned(routing), ...also].join(", and ");
    }
    case "keyArray":
      return `keys of ${routing.colocation.name} in the array $${routing.parameter}`;
    case "keyRange":
      return `a range of keys of ${routing.colocation.name}`;
    case "noRows":
      return `one placement of ${routing.colocation.name}, since no row can match`;
    case "allShards":
      return `all placements of ${routing.colocation.name} (${routing.because})`;
    default:
      return unreachable(routing);
  }
}

function describePinned(pinned: {
  readonly colocation: { readonly name: string };
  readonly keys: readonly KeyTuple[];
}): string {
  const keys = pinned.keys.map((tuple) => {
    const terms = tuple.map(describeTerm).join(", ");
    return tuple.length === 1 ? terms : `(${terms})`;
  });
  return `${keys.length === 1 ? "key" : "keys"} of ${pinned.colocation.name}: ${keys.join(", ")}`;
}

function describeTerm(term: KeyTerm): string {
  switch (term.kind) {
    case "text":
      return `'${term.text}'`;
    case "number":
      return term.text;
    case "null":
      return "NULL";
    case "parameter":
      return `$${term.number}`;
    case "generated":
      return "a value that is drawn";
    default:
      return unreachable(term);
  }
}

function describeGather(gather: Gather): string {
  switch (gather.kind) {
    case "concat":
      return `rows one placement after the other${describeLimit(gather.limit)}`;
    case "merge": {
      const keys = gather.sort.map((key) => describeSort(key.column, key)).join(", ");
      return `sorted rows merged by ${keys}${describeLimit(gather.limit)}`;
    }
    case "aggregate": {
      const groups = gather.groupBy.map(({ column }) => `column ${column + 1}`).join(", ");
      const by = groups === "" ? "one group" : `groups by ${groups}`;
      const outputs = gather.outputs.map(describeOutput).join(", ");
      const sort = gather.sort.map((key) => describeSort(key.output, key)).join(", ");
      const sorted = sort === "" ? "" : `, sorted by ${sort}`;
      return `${by}, giving ${outputs}${sorted}${describeLimit(gather.limit)}`;
    }
    case "counts":
      return "row counts added";
    case "agree":
      return "one answer, and all must agree";
    default:
      return unreachable(gather);
  }
}

interface Sorted {
  readonly descending: boolean;
  readonly nullsFirst: boolean;
  readonly collation: SortCollation;
}

function describeSort(column: number, { descending, nullsFirst }: Sorted): string {
  const nulls = nullsFirst ? " nulls first" : " nulls last";
  return `column ${column + 1}${descending ? " desc" : ""}${nullsFirst === descending ? "" : nulls}`;
}

function describeOutput(output: AggregateOutput): string {
  const columns = output.kind === "group" ? [output.column] : output.columns;
  const numbers = columns.map((column) => `column ${column + 1}`).join(", ");
  return output.kind === "group" ? numbers : `${output.combine}(${numbers})`;
}

function describeLimit(limit: RowLimit | undefined): string {
  return describeLimitTerm("limit", limit?.count) + describeLimitTerm("offset", limit?.offset);
}

function describeLimitTerm(word: string, term: LimitTerm | undefined): string {
  if (term === undefined) return "";
  return `, ${word} ${term.kind === "constant" ? term.value : `$${term.number}`}`;
}
