/**
 * Binds a cursor: one placement's server keeps it under the client's own name, for several each
 * server keeps one of the proxy's, which are read as one.
 */
import { quoteIdentifier } from "../base/sql-quoting.ts";
import type { Placement, ShardMap } from "../shardmap/shard-map.ts";
import type { CursorMove, DeclareCursor, UpdateCurrent } from "./cursor-plan.ts";
import type { Fragment, PhysicalPlan } from "./physical-plan.ts";
import { renderedBehind, renderTemplate, type RenderedSql } from "./sql-template.ts";

export type BoundCursor =
  /** DECLARE as the client wrote it, for one server. */
  | { readonly kind: "native"; readonly fragment: Fragment; readonly declare: PhysicalPlan }
  /** The rows of several come as they are asked for, and in one direction only. */
  | {
      readonly kind: "streamed";
      /** One a fragment. */
      readonly declare: readonly PhysicalPlan[];
      /** What is run for the rows: its fragments' texts are put to the servers again and again. */
      readonly rows: PhysicalPlan;
      readonly close: readonly PhysicalPlan[];
    }
  /** All rows are read at once: of copies, of groups, under row locks, or to be scrolled through. */
  | { readonly kind: "collected" };

/** `physical`: of the query. `serverName`: for the servers' cursors, unique in the transaction; `rowsAtOnce`: of one FETCH. */
export function bindCursor(
  declare: DeclareCursor,
  physical: PhysicalPlan,
  serverName: string,
  rowsAtOnce: number,
): BoundCursor {
  const { fragments, gather, pulls, access } = physical;
  const [only] = fragments;
  if (gather.kind === "passThrough" && pulls.length === 0 && only !== undefined) {
    const { prefix } = declare;
    return { kind: "native", fragment: only, declare: declaring(physical, only, prefix) };
  }
  const isStream =
    gather.kind === "gather" && (gather.gather.kind === "concat" || gather.gather.kind === "merge");
  if (!isStream || pulls.length > 0 || access === "write" || declare.scroll === "yes")
    return { kind: "collected" };
  const names = fragments.map((_, index) => quoteIdentifier(`${serverName}_${index}`));
  return {
    kind: "streamed",
    declare: fragments.map((fragment, index) =>
      declaring(physical, fragment, `DECLARE ${names[index]} NO SCROLL CURSOR FOR `),
    ),
    rows: {
      ...physical,
      // What would run in its place has another snapshot.
      overflow: undefined,
      fragments: fragments.map((fragment, index) =>
        saying(`FETCH FORWARD ${rowsAtOnce} FROM ${names[index]}`, fragment),
      ),
    },
    close: fragments.map((fragment, index) =>
      onServer({ ...physical, returnsRows: false }, saying(`CLOSE ${names[index]}`, fragment)),
    ),
  };
}

function declaring(physical: PhysicalPlan, fragment: Fragment, prefix: string): PhysicalPlan {
  const rendered = renderedBehind(prefix, fragment.rendered);
  return onServer({ ...physical, returnsRows: false }, { ...fragment, rendered });
}

/** A text about a cursor that one server keeps: FETCH, MOVE or CLOSE. */
export function bindAtCursor(
  sql: string,
  { fragment, declare }: Extract<BoundCursor, { kind: "native" }>,
  returnsRows: boolean,
): PhysicalPlan {
  return onServer({ ...declare, returnsRows }, saying(sql, fragment));
}

/** A write to a cursor's current row: in the placement that the cursor reads. */
export function bindUpdateCurrent(
  { plan }: UpdateCurrent,
  { fragment, declare }: Extract<BoundCursor, { kind: "native" }>,
  map: ShardMap,
): PhysicalPlan {
  const { canonicalSchema } = map;
  const placement = placementOf(fragment, map);
  const rendered = renderTemplate(plan.template, { placement, canonicalSchema, limit: undefined });
  const { access, returnsRows } = plan;
  return onServer({ ...declare, access, returnsRows }, { ...fragment, rendered });
}

function placementOf({ placementIds, database }: Fragment, map: ShardMap): Placement | undefined {
  for (const { placements } of map.colocations.values())
    for (const placement of placements)
      if (placement.database === database && placementIds.includes(placement.id)) return placement;
  return undefined;
}

export function fetchStatement(name: string, { direction, count }: CursorMove): string {
  const rows = count === Number.POSITIVE_INFINITY ? "ALL" : String(count);
  return `FETCH ${direction.toUpperCase()} ${rows} FROM ${quoteIdentifier(name)}`;
}

function onServer(physical: PhysicalPlan, fragment: Fragment): PhysicalPlan {
  return {
    ...physical,
    fragments: [fragment],
    gather: { kind: "passThrough" },
    pulls: [],
    usesOwnTables: false,
    overflow: undefined,
  };
}

/** An error's position in a text of the proxy's own is none of the client's. */
function saying(sql: string, fragment: Fragment): Fragment {
  const { schemas } = fragment.rendered;
  const rendered: RenderedSql = {
    sql,
    original: sql,
    shifts: [{ at: 0, by: undefined }],
    schemas,
  };
  return { ...fragment, rendered };
}
