/**
 * Binds an EXPLAIN: what each database is asked, and the nodes that stand above its answers.
 *
 * A statement that one database answers is explained by that database alone, and its answer
 * is the client's as it comes. Where the statement runs (ANALYZE) and is gathered in a
 * database, what is left of it there runs over the copied rows; else that is not explained,
 * since the temporary tables are not there.
 */
import { gatherLabel } from "./explain/gather-label.ts";
import { routingLabel } from "./explain/routing-label.ts";
import { property, type ExplainProperty } from "./explain/explain-node.ts";
import type { ExplainPlan, QueryPlan } from "./logical-plan.ts";
import type { InsertPlan } from "./insert/insert-plan.ts";
import type { BoundPull, Fragment, PhysicalPlan } from "./physical-plan.ts";
import { renderedBehind } from "./sql-template.ts";

export type BoundExplain =
  /** One database answers for the whole. */
  | { readonly kind: "relayed"; readonly plan: PhysicalPlan }
  | { readonly kind: "several"; readonly root: ExplainedNode };

/** An ExplainNode whose document is yet to be asked for. */
export interface ExplainedNode {
  readonly title: string;
  readonly properties: readonly ExplainProperty[];
  /** One fragment, whose answer is the document; undefined where nothing is asked. */
  readonly asks: PhysicalPlan | undefined;
  readonly groups: readonly {
    readonly name: string;
    readonly itemName: string;
    readonly nodes: readonly ExplainedNode[];
  }[];
}

/** `physical`: the plan of the statement within. */
export function bindExplain(explain: ExplainPlan, physical: PhysicalPlan): BoundExplain {
  const { fragments, pulls, gather } = physical;
  const [only] = fragments;
  if (only !== undefined && gather.kind === "passThrough" && pulls.length === 0)
    return { kind: "relayed", plan: asking(only, physical, explain) };
  return { kind: "several", root: rootOf(explain, physical) };
}

/** Values for an INSERT that does not run: nothing is drawn from a sequence for it. */
export function exampleDraws(plan: QueryPlan | InsertPlan): readonly (readonly string[])[] {
  if (plan.kind === "query") return [];
  return plan.rows.map((_, row) =>
    plan.generated.map(({ source }) =>
      source.kind === "sequence" ? String(row + 1) : exampleUuid(row),
    ),
  );
}

function exampleUuid(row: number): string {
  return `00000000-0000-4000-8000-${String(row).padStart(12, "0")}`;
}

function rootOf(explain: ExplainPlan, physical: PhysicalPlan): ExplainedNode {
  const { plan } = explain;
  const properties = [
    property("Rule", plan.rule),
    property("Route", plan.kind === "query" ? routingLabel(plan.routing) : insertLabel(plan)),
    property("Gather", boundGather(plan, physical)),
  ];
  if (
    plan.kind === "query" &&
    plan.several.overflowGather !== undefined &&
    physical.pulls.length === 0
  )
    properties.push(property("Overflow", gatherLabel(plan.several.overflowGather)));
  const title = "Colonnade Gather";
  if (physical.pulls.length === 0) {
    const placements = placementsGroup(physical.fragments, physical, explain);
    return {
      title,
      properties: [...properties, placements.count],
      asks: undefined,
      groups: [placements.group],
    };
  }
  const pulls = physical.pulls.map((pull, index) => pullNode(pull, index, explain, physical));
  const finish = physical.fragments.map((fragment) => finishNode(fragment, physical, explain));
  return {
    title,
    properties,
    asks: undefined,
    groups: [
      { name: "Pulls", itemName: "Pull", nodes: pulls },
      { name: "Finish", itemName: "Statement", nodes: finish },
    ],
  };
}

function insertLabel({ table }: InsertPlan): string {
  return table.kind === "reference" ? "every database" : `by ${table.keyColumns.join(", ")}`;
}

function boundGather(plan: QueryPlan | InsertPlan, { gather, pulls }: PhysicalPlan): string {
  if (plan.kind === "query" && pulls.length > 0) return gatherLabel(plan.several.gather);
  return gather.kind === "gather" ? gatherLabel(gather.gather) : gather.kind;
}

function placementsGroup(
  fragments: readonly Fragment[],
  physical: PhysicalPlan,
  explain: ExplainPlan,
) {
  const count = fragments.flatMap(({ placementIds }) => placementIds).length;
  const nodes = fragments.map((fragment): ExplainedNode => {
    const places = fragment.placementIds.join(", ");
    const rows = fragment.rowIndexes?.length;
    return {
      title: `Placement ${places}`,
      properties: [
        property("Database", fragment.database),
        { name: "Placement", value: places, isLong: true },
        ...(rows === undefined ? [] : [property("Inserted Rows", rows)]),
        sqlProperty(fragment),
      ],
      asks: asking(fragment, physical, explain),
      groups: [],
    };
  });
  return {
    count: property("Placement Count", count),
    group: { name: "Placements", itemName: "Placement", nodes },
  };
}

function pullNode(
  pull: BoundPull,
  index: number,
  explain: ExplainPlan,
  physical: PhysicalPlan,
): ExplainedNode {
  const { plan } = explain;
  const routing =
    plan.kind === "query" && plan.several.gather.kind === "database"
      ? plan.several.gather.pulls[index]?.routing
      : undefined;
  const { count, group } = placementsGroup(pull.fragments, physical, explain);
  return {
    title: `Pull into ${pull.table}`,
    properties: [
      property("Table", pull.table),
      property("Columns", pull.columns.join(", ")),
      ...(routing === undefined ? [] : [property("Route", routingLabel(routing))]),
      ...(pull.gather.kind === "gather"
        ? [property("Gather", gatherLabel(pull.gather.gather))]
        : []),
      count,
    ],
    asks: undefined,
    groups: [group],
  };
}

function finishNode(
  fragment: Fragment,
  physical: PhysicalPlan,
  explain: ExplainPlan,
): ExplainedNode {
  const asked = asking(fragment, physical, explain);
  return {
    title: `Finish in ${fragment.database}`,
    properties: [property("Database", fragment.database), sqlProperty(fragment)],
    asks: explain.executes ? { ...asked, pulls: physical.pulls } : undefined,
    groups: [],
  };
}

function sqlProperty({ rendered }: Fragment): ExplainProperty {
  return { name: "SQL", value: rendered.sql, isLong: true };
}

/** The fragment by itself, behind the client's EXPLAIN. */
function asking(fragment: Fragment, physical: PhysicalPlan, explain: ExplainPlan): PhysicalPlan {
  const { access, prefix } = explain;
  return {
    mapVersion: physical.mapVersion,
    access,
    fragments: [{ ...fragment, rendered: renderedBehind(prefix, fragment.rendered) }],
    gather: { kind: "passThrough" },
    returnsRows: true,
    pulls: [],
    usesOwnTables: false,
    snapshot: physical.snapshot,
    overflow: undefined,
  };
}
