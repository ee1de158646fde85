/** A gather in one line. Columns are counted from one, as in ORDER BY. */
import { unreachable } from "../../base/invariant.ts";
import type { AggregateOutput, Gather, LimitTerm, RowLimit, SortKey } from "../logical-plan.ts";

export function gatherLabel(gather: Gather): string {
  switch (gather.kind) {
    case "concat":
      return `concat${limitLabel(gather.limit)}`;
    case "merge":
      return `merge by ${gather.sort.map((key) => sortLabel(key.column, key)).join(", ")}${hiddenLabel(gather.hiddenColumns)}${limitLabel(gather.limit)}`;
    case "aggregate": {
      const groups =
        gather.groupBy.length === 0
          ? "one group"
          : `groups of ${gather.groupBy.map(({ column }) => column + 1).join(", ")}`;
      const outputs = gather.outputs.map(outputLabel).join(", ");
      const sort = gather.sort.map((key) => sortLabel(key.output, key)).join(", ");
      return `aggregate ${groups} giving ${outputs}${sort === "" ? "" : ` sorted by ${sort}`}${hiddenLabel(gather.hiddenOutputs)}${limitLabel(gather.limit)}`;
    }
    case "counts":
    case "agree":
      return gather.kind;
    case "database":
      return `in the catalog database over ${gather.rule}`;
    default:
      return unreachable(gather);
  }
}

function sortLabel(
  column: number,
  { descending, nullsFirst }: Pick<SortKey, "descending" | "nullsFirst">,
): string {
  const nulls = nullsFirst === descending ? "" : nullsFirst ? " nulls first" : " nulls last";
  return `${column + 1}${descending ? " desc" : ""}${nulls}`;
}

function outputLabel(output: AggregateOutput): string {
  if (output.kind === "group") return String(output.column + 1);
  return `${output.combine}(${output.columns.map((column) => column + 1).join(", ")})`;
}

function hiddenLabel(count: number): string {
  return count === 0 ? "" : ` without the last ${count}`;
}

function limitLabel(limit: RowLimit | undefined): string {
  const part = (word: string, term: LimitTerm | undefined): string =>
    term === undefined
      ? ""
      : ` ${word} ${term.kind === "constant" ? term.value : `$${term.number}`}`;
  return `${part("limit", limit?.count)}${part("offset", limit?.offset)}`;
}
