/** Binds an INSERT: each row to the placement of its key, rows of one placement together. */
import { invariant } from "../base/invariant.ts";
import { SqlError } from "../base/sql-error.ts";
import { PLAIN_SPELLING, type KeyValue } from "../shardmap/shard-key.ts";
import type { Colocation, Placement, ShardMap } from "../shardmap/shard-map.ts";
import { assignedValue, placementOf } from "./bind-keys.ts";
import type { Moment } from "./clock-value.ts";
import { renderInsert } from "./insert/template.ts";
import type { InsertPlan } from "./insert/insert-plan.ts";
import type { BoundGather, BoundParameter, Fragment, PhysicalPlan } from "./physical-plan.ts";
import type { RenderedSql } from "./sql-template.ts";

export function bindInsert(
  plan: InsertPlan,
  parameters: readonly BoundParameter[],
  map: ShardMap,
  draws: readonly (readonly string[])[],
): PhysicalPlan {
  const fragments =
    plan.table.kind === "sharded"
      ? placedFragments(plan, plan.table.colocation.name, parameters, map, draws)
      : everywhere(plan, map, draws);
  return {
    pulls: [],
    usesOwnTables: false,
    snapshot: "own",
    overflow: undefined,
    mapVersion: map.version,
    access: "write",
    fragments,
    gather: gatherOf(plan, fragments.length),
    returnsRows: plan.returnsRows,
  };
}

function gatherOf(plan: InsertPlan, fragmentCount: number): BoundGather {
  if (fragmentCount === 1) return { kind: "passThrough" };
  if (plan.table.kind === "reference")
    return { kind: "gather", gather: { kind: "agree" }, count: undefined, offset: 0n };
  if (plan.returnsRows) return { kind: "insertOrder", mayDropRows: plan.mayDropRows };
  return { kind: "gather", gather: { kind: "counts" }, count: undefined, offset: 0n };
}

/** A reference table: every database gets every row. */
function everywhere(
  plan: InsertPlan,
  map: ShardMap,
  draws: readonly (readonly string[])[],
): readonly Fragment[] {
  const all = [...plan.rows.keys()];
  const rendered = renderInsert(plan, all, draws, {
    placement: undefined,
    canonicalSchema: map.canonicalSchema,
    limit: undefined,
  });
  return [...map.databases.keys()].map((database) => ({
    database,
    placementIds: [`${database}.${map.canonicalSchema}`],
    rendered,
    rowIndexes: undefined,
  }));
}

function placedFragments(
  plan: InsertPlan,
  name: string,
  parameters: readonly BoundParameter[],
  map: ShardMap,
  draws: readonly (readonly string[])[],
): readonly Fragment[] {
  const colocation = map.colocations.get(name);
  if (colocation === undefined)
    throw new SqlError(
      "shard_key_not_covered",
      `colocation "${name}" is no longer in the shard map`,
    );
  const rowsByPlacement = new Map<Placement, number[]>();
  for (const row of plan.rows.keys()) {
    const placement = placementOfRow(plan, row, colocation, parameters, draws);
    const rows = rowsByPlacement.get(placement);
    if (rows === undefined) rowsByPlacement.set(placement, [row]);
    else rows.push(row);
  }
  const { canonicalSchema } = map;
  const isSplit = plan.rows.length > 1;
  return colocation.placements.flatMap((placement): readonly Fragment[] => {
    const rowIndexes = rowsByPlacement.get(placement);
    if (rowIndexes === undefined) return [];
    const at = (moment: Moment | undefined): RenderedSql =>
      renderInsert(plan, rowIndexes, draws, {
        placement,
        canonicalSchema,
        limit: undefined,
        moment,
      });
    const { database, id } = placement;
    const clock = plan.readsClock ? at : isSplit ? "none" : undefined;
    return [{ database, placementIds: [id], rendered: at(undefined), clock, rowIndexes }];
  });
}

function placementOfRow(
  plan: InsertPlan,
  row: number,
  colocation: Colocation,
  parameters: readonly BoundParameter[],
  draws: readonly (readonly string[])[],
): Placement {
  const { table } = plan;
  invariant(table.kind === "sharded", "only rows of a sharded table have a placement each");
  const key: KeyValue[] = [];
  for (const [index, term] of (plan.rows[row]?.key ?? []).entries()) {
    const column = plan.keyColumns[index];
    invariant(column !== undefined, "a key has a value for each key column");
    const value = assignedValue(term, column, parameters, draws[row] ?? []);
    const name = table.keyColumns[index] ?? "";
    if (value === "null")
      throw new SqlError(
        "shard_key_null",
        `null value in shard key column "${name}" of table "${table.name}"`,
      );
    if (value === "unproven")
      throw new SqlError(
        "shard_key_not_proven",
        `value of shard key column "${name}" of table "${table.name}" cannot be read`,
        { hint: PLAIN_SPELLING[column.type] },
      );
    if (value === "invalid") return firstPlacement(colocation);
    key.push(value);
  }
  return placementOf(colocation, key);
}

/** Every server refuses the value, so any may word the error. */
function firstPlacement({ placements }: Colocation): Placement {
  const [placement] = placements;
  invariant(placement !== undefined, "a colocation has a placement");
  return placement;
}
