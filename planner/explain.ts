/**
 * Prints logical and physical plans: as a tree for people, as data for machines. The same
 * plan always prints the same, so that a printed plan can be compared.
 */
import { unreachable } from "../base/invariant.ts";
import { ERRORS } from "../base/sql-error.ts";
import type { Colocation } from "../shardmap/shard-map.ts";
import { boundPullTree, databaseGatherTree } from "./explain/database-gather.ts";
import { gatherLabel } from "./explain/gather-label.ts";
import { routingLabel, termLabel } from "./explain/routing-label.ts";
import { printTree, type Tree } from "./explain/tree.ts";
import type { CopyInPlan, CopyOutPlan } from "./copy/copy-plan.ts";
import type { CursorPlan } from "./cursor-plan.ts";
import type { DdlPlan, Gather, LogicalPlan, QueryPlan } from "./logical-plan.ts";
import type { InsertPlan } from "./insert/insert-plan.ts";
import type { TransactionPlan } from "./session-plan.ts";
import type { PhysicalPlan } from "./physical-plan.ts";

export function explainLogical(plan: LogicalPlan): string {
  return printTree(logicalTree(plan));
}

export function explainPhysical(plan: PhysicalPlan): string {
  return printTree(physicalTree(plan));
}

/** Plans, or what holds them, as JSON may: colocations by name, for they are the map's, and bigints as text. */
export function explainJson(plans: object): unknown {
  return JSON.parse(
    JSON.stringify(plans, (_, value: unknown) => {
      if (typeof value === "bigint") return value.toString();
      if (isColocation(value)) return value.name;
      return isQueryPlan(value) ? flat(value) : value;
    }),
  ) as unknown;
}

/** What several placements need stands beside what one does. */
function flat({ several, ...plan }: QueryPlan): object {
  const { scatterTemplate, gather, overflowGather, scatterRefusal } = several;
  return { ...plan, scatterTemplate, gather, overflowGather, scatterRefusal };
}

function isQueryPlan(value: unknown): value is QueryPlan {
  return typeof value === "object" && value !== null && "several" in value;
}

/** What is refused once a server has checked the statement. */
function refusalLeaves({ refusal }: CopyInPlan | CopyOutPlan): readonly Tree[] {
  if (refusal === undefined) return [];
  const { id, message } = refusal;
  return [leaf(`checked by a server, then refused: ${ERRORS[id].sqlstate} ${id}: ${message}`)];
}

function isColocation(value: unknown): value is Colocation {
  return typeof value === "object" && value !== null && "placementByShard" in value;
}

function logicalTree(plan: LogicalPlan): Tree {
  switch (plan.kind) {
    case "empty":
      return leaf("empty");
    case "rejected":
      return {
        label: "rejected by the grammar: PostgreSQL words the error",
        children: [sqlLeaf(plan.sql)],
      };
    case "query":
      return queryTree(plan);
    case "insert":
      return insertTree(plan);
    case "insertQuery":
      return {
        label: `insert ${plan.rule} into ${plan.table}`,
        children: [queryTree(plan.source), sqlLeaf(plan.sql)],
      };
    case "explain":
      return {
        label: `explain ${plan.format}${plan.executes ? " analyze" : ""} (${plan.access})`,
        children: [logicalTree(plan.plan)],
      };
    case "copyIn":
      return {
        label: `${plan.rule} into ${plan.table}`,
        children: [sqlLeaf(plan.template.sql), ...refusalLeaves(plan)],
      };
    case "copyOut":
      return { label: plan.rule, children: [queryTree(plan.query), ...refusalLeaves(plan)] };
    case "cursor":
      return cursorTree(plan);
    case "ddl":
      return ddlTree(plan);
    case "transaction":
      return leaf(`transaction ${transactionLabel(plan)}`);
    case "setting":
      return {
        label: `setting ${plan.action} ${plan.scope} ${plan.name ?? "all"}`,
        children: [sqlLeaf(plan.sql)],
      };
    case "session":
      return leaf(`session ${plan.action.kind}`);
    default:
      return unreachable(plan);
  }
}

function queryTree(plan: QueryPlan): Tree {
  const { gather, scatterTemplate, overflowGather, scatterRefusal } = plan.several;
  const children = [
    leaf(`route ${routingLabel(plan.routing)}`),
    scatterRefusal === undefined
      ? gatherTree(gather)
      : leaf(`one placement only (${scatterRefusal.id})`),
    sqlLeaf(plan.template.sql),
  ];
  if (scatterTemplate !== undefined)
    children.push(leaf(`sql of several placements: ${scatterTemplate.sql}`));
  if (overflowGather !== undefined)
    children.push(databaseGatherTree("or, where that is too much, gather", overflowGather));
  return { label: `query ${plan.rule} (${plan.access})`, children };
}

function gatherTree(gather: Gather): Tree {
  return gather.kind === "database"
    ? databaseGatherTree("gather", gather)
    : leaf(`gather ${gatherLabel(gather)}`);
}

function insertTree(plan: InsertPlan): Tree {
  const isReference = plan.table.kind === "reference";
  const target = isReference ? "every database" : `by ${plan.table.keyColumns.join(", ")}`;
  const fills = plan.generated.map(({ column, source }) => {
    const origin =
      source.kind === "sequence"
        ? `sequence ${source.schema}.${source.sequence}`
        : source.kind === "randomUuid"
          ? "a random uuid"
          : `its default ${source.template.sql}`;
    return leaf(`fill ${column} from ${origin}`);
  });
  const rows = plan.rows.map(({ key, pieces }, index) => {
    const keyLabel = isReference ? "" : ` key (${key.map(termLabel).join(", ")})`;
    const text = pieces.map((piece) =>
      piece.kind === "generated" ? `<${piece.index}>` : piece.text,
    );
    return leaf(`row ${index}${keyLabel}: ${text.join("")}`);
  });
  return {
    label: `insert ${plan.rule} into ${plan.table.name} (${target})`,
    children: [...fills, ...rows, sqlLeaf(plan.template.statement.sql)],
  };
}

function ddlTree(plan: DdlPlan): Tree {
  const mode = plan.block === "refused" ? "each step commits alone" : "one transaction";
  return {
    label: `ddl ${plan.rule} (${mode})`,
    children: plan.steps.map(({ database, sql }) => leaf(`on ${database}: ${sql}`)),
  };
}

function cursorTree({ action }: CursorPlan): Tree {
  switch (action.kind) {
    case "declare":
      return {
        label: `cursor ${action.name}${action.isHeld ? " with hold" : ""}`,
        children: [leaf(`declared by: ${action.prefix}`), queryTree(action.query)],
      };
    case "fetch": {
      const { isMove, direction, count, name } = action;
      return leaf(`cursor ${name} ${isMove ? "move" : "fetch"} ${direction} ${count}`);
    }
    case "close":
      return leaf(action.name === undefined ? "close all cursors" : `cursor ${action.name} close`);
    case "updateCurrent":
      return { label: `at cursor ${action.name}`, children: [queryTree(action.plan)] };
    default:
      return unreachable(action);
  }
}

function transactionLabel({ action }: TransactionPlan): string {
  switch (action.kind) {
    case "begin":
    case "setModes": {
      const { isolation, readOnly, deferrable } = action.modes;
      const modes = [
        isolation,
        readOnly === undefined ? undefined : readOnly ? "read only" : "read write",
        deferrable === undefined ? undefined : deferrable ? "deferrable" : "not deferrable",
      ];
      return [action.kind, ...modes.filter((mode) => mode !== undefined)].join(" ");
    }
    case "setConstraints":
      return "set constraints all";
    case "commit":
    case "rollback":
      return `${action.kind}${action.chain ? " and chain" : ""}`;
    case "savepoint":
    case "release":
    case "rollbackTo":
      return `${action.kind} ${action.name}`;
    default:
      return unreachable(action);
  }
}

function physicalTree(plan: PhysicalPlan): Tree {
  const { fragments, access, mapVersion } = plan;
  const placements = fragments.flatMap(({ placementIds }) => placementIds).length;
  const places = placements === 1 ? "one placement" : `${placements} placements`;
  const count = plan.pulls.length === 0 ? places : "the catalog database, over copies";
  const leaves = fragments.map(({ placementIds, rendered, rowIndexes }) => {
    const rows = rowIndexes === undefined ? "" : ` rows ${rowIndexes.join(", ")}`;
    return leaf(`fragment ${placementIds.join(", ")}${rows}: ${rendered.sql}`);
  });
  return {
    label: `${access} on ${count} (map version ${mapVersion})`,
    children: [
      ...plan.pulls.map(boundPullTree),
      ...leaves,
      leaf(`gather ${boundGatherLabel(plan)}`),
    ],
  };
}

function boundGatherLabel({ gather }: PhysicalPlan): string {
  if (gather.kind !== "gather") return gather.kind;
  const count = gather.count === undefined ? "" : `, first ${gather.count} rows`;
  const offset = gather.offset === 0n ? "" : `, after ${gather.offset}`;
  return `${gatherLabel(gather.gather)}${count}${offset}`;
}

function leaf(label: string): Tree {
  return { label, children: [] };
}

function sqlLeaf(sql: string): Tree {
  return leaf(`sql ${sql}`);
}
