/** A database gather as a tree: what is copied from where, and what runs over the copies. */
import type { DatabaseGather, Pull } from "../logical-plan.ts";
import type { BoundPull } from "../physical-plan.ts";
import type { SqlTemplate } from "../sql-template.ts";
import { gatherLabel } from "./gather-label.ts";
import { routingLabel } from "./routing-label.ts";
import type { Tree } from "./tree.ts";

export function databaseGatherTree(label: string, gather: DatabaseGather): Tree {
  const finish = { label: `finish ${fixedSql(gather.finish)}`, children: [] };
  return {
    label: `${label} ${gatherLabel(gather)}`,
    children: [...gather.pulls.map(pullTree), finish],
  };
}

function pullTree(pull: Pull): Tree {
  const lines = [`route ${routingLabel(pull.routing)}`, `sql ${pull.template.sql}`];
  if (pull.gather.kind !== "concat") lines.push(`gather ${gatherLabel(pull.gather)}`);
  return { label: pullLabel(pull), children: lines.map((label) => ({ label, children: [] })) };
}

export function boundPullTree(pull: BoundPull): Tree {
  const lines = pull.fragments.map(
    ({ placementIds, rendered }) => `fragment ${placementIds.join(", ")}: ${rendered.sql}`,
  );
  if (pull.gather.kind === "gather") lines.push(`gather ${gatherLabel(pull.gather.gather)}`);
  return { label: pullLabel(pull), children: lines.map((label) => ({ label, children: [] })) };
}

function pullLabel({ table, columns, primaryKey }: Pick<Pull, "table" | "columns" | "primaryKey">) {
  const key = primaryKey.length === 0 ? "" : ` with primary key (${primaryKey.join(", ")})`;
  return `copy into ${table} (${columns.join(", ")})${key}`;
}

/** The text with the edits that are the same wherever it runs. */
function fixedSql({ sql, edits }: SqlTemplate): string {
  let shown = "";
  let read = 0;
  for (const edit of edits) {
    if (edit.with.kind !== "text") continue;
    shown += sql.slice(read, edit.start) + edit.with.text;
    read = edit.end;
  }
  return shown + sql.slice(read);
}
