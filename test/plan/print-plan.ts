/** Plans as the data files show them: short, and with everything that decides an answer. */
import { SqlError } from "../../base/sql-error.ts";
import type {
  AggregateOutput,
  DatabaseGather,
  Gather,
  KeyTerm,
  KeyTuple,
  LimitTerm,
  LogicalPlan,
  QueryPlan,
  RowLimit,
  SortCollation,
} from "../../planner/logical-plan.ts";
import { explainLogical } from "../../planner/explain.ts";
import type { Fragment, PhysicalPlan } from "../../planner/physical-plan.ts";
import { renderTemplate } from "../../planner/sql-template.ts";

export function printError(error: unknown): string {
  if (!(error instanceof SqlError)) throw error;
  const lines = [`ERROR ${error.sqlstate} ${error.id}: ${error.message}`];
  if (error.position !== undefined) lines.push(`POSITION: ${error.position}`);
  if (error.detail !== undefined) lines.push(`DETAIL: ${error.detail}`);
  if (error.hint !== undefined) lines.push(`HINT: ${error.hint}`);
  return lines.join("\n");
}

export function printPlan(plan: LogicalPlan): string {
  if (plan.kind !== "query") return explainLogical(plan);
  const lines = [`${plan.access} ${plan.rule}`, `route ${printRouting(plan)}`];
  const { gather, scatterTemplate, overflowGather, scatterRefusal } = plan.several;
  if (scatterRefusal === undefined) lines.push(`gather ${printGather(gather)}`);
  else lines.push(`one placement: ${scatterRefusal.id}`);
  if (scatterTemplate !== undefined) lines.push(`placements run ${scatterTemplate.sql}`);
  if (gather.kind === "database") lines.push(...printDatabaseGather(gather));
  if (overflowGather !== undefined) lines.push(`overflow ${printGather(overflowGather)}`);
  return lines.join("\n");
}

function printRouting({ routing }: Pick<QueryPlan, "routing">): string {
  switch (routing.kind) {
    case "home":
      return `home ${routing.database} (${routing.because})`;
    case "shardKeys": {
      const also = routing.alsoPinned.map(
        ({ colocation, keys }) => ` and ${colocation.name} ${printKeys(keys)}`,
      );
      return `shardKeys ${routing.colocation.name} ${printKeys(routing.keys)}${also.join("")}`;
    }
    case "keyArray":
      return `keyArray ${routing.colocation.name} $${routing.parameter}:${routing.typeOid}`;
    case "allShards":
      return `allShards ${routing.colocation.name} (${routing.because})`;
    case "noRows":
    case "keyRange":
      return `${routing.kind} ${routing.colocation.name}`;
    default:
      return routing.kind;
  }
}

function printKeys(keys: readonly KeyTuple[]): string {
  return keys.map((tuple) => `(${tuple.map(printTerm).join(", ")})`).join(" ");
}

function printTerm(term: KeyTerm): string {
  switch (term.kind) {
    case "text":
      return `'${term.text}'`;
    case "number":
      return term.text;
    case "null":
      return "null";
    case "parameter":
      return `$${term.number}:${term.typeOid}${term.isCast ? " cast" : ""}`;
    case "generated":
      return `generated ${term.index}`;
  }
}

function printGather(gather: Gather): string {
  switch (gather.kind) {
    case "concat":
      return `concat${printLimit(gather.limit)}`;
    case "merge": {
      const keys = gather.sort.map((key) => printSort(key.column, key)).join(", ");
      return `merge by ${keys}${gather.hiddenColumns === 0 ? "" : ` hidden ${gather.hiddenColumns}`}${printLimit(gather.limit)}`;
    }
    case "aggregate": {
      const groups = gather.groupBy.map(({ column }) => column).join(", ");
      const sort = gather.sort.map((key) => printSort(key.output, key)).join(", ");
      const hidden = gather.hiddenOutputs === 0 ? "" : ` hidden ${gather.hiddenOutputs}`;
      return `aggregate by (${groups}) giving ${gather.outputs.map(printOutput).join(", ")}${sort === "" ? "" : ` sorted by ${sort}`}${hidden}${printLimit(gather.limit)}`;
    }
    case "database":
      return `database ${gather.rule}`;
    default:
      return gather.kind;
  }
}

function printDatabaseGather({ pulls, finish }: DatabaseGather): readonly string[] {
  const lines = pulls.flatMap((pull) => [
    `pull ${pull.table} (${pull.columns.join(", ")})${pull.primaryKey.length === 0 ? "" : ` key (${pull.primaryKey.join(", ")})`} ${printRouting(pull)}`,
    ...(pull.gather.kind === "concat" ? [] : [`  ${printGather(pull.gather)}`]),
    `  ${pull.template.sql}`,
  ]);
  const context = { placement: undefined, canonicalSchema: "public", limit: undefined };
  return [...lines, `finish ${renderTemplate(finish, context).sql}`];
}

interface Sorted {
  readonly descending: boolean;
  readonly nullsFirst: boolean;
  readonly collation: SortCollation;
}

function printSort(column: number, { descending, nullsFirst, collation }: Sorted): string {
  return `${column}${descending ? " desc" : ""}${nullsFirst === descending ? "" : nullsFirst ? " nulls first" : " nulls last"}${collation === "byte order" ? " bytes" : ""}`;
}

function printOutput(output: AggregateOutput): string {
  return output.kind === "group"
    ? `${output.column}`
    : `${output.combine}(${output.columns.join(", ")})`;
}

function printLimit(limit: RowLimit | undefined): string {
  const term = (name: string, value: LimitTerm | undefined): string =>
    value === undefined
      ? ""
      : ` ${name} ${value.kind === "constant" ? value.value : `$${value.number}`}`;
  return `${term("limit", limit?.count)}${term("offset", limit?.offset)}`;
}

export function printPhysical(plan: PhysicalPlan): string {
  const printFragment = ({ placementIds, rendered }: Fragment) =>
    `${placementIds.join(", ")}: ${rendered.sql}`;
  const pulls = plan.pulls.flatMap(({ table, fragments }) => [
    `pull ${table}`,
    ...fragments.map((fragment) => `  ${printFragment(fragment)}`),
  ]);
  const lines = [...pulls, ...plan.fragments.map(printFragment)];
  const { gather } = plan;
  const bounds =
    gather.kind === "gather"
      ? `${gather.gather.kind}${gather.count === undefined ? "" : ` limit ${gather.count}`}${gather.offset === 0n ? "" : ` offset ${gather.offset}`}`
      : gather.kind;
  return [...lines, `gather ${bounds}`].join("\n");
}
