/**
 * The texts that the placements of a bound statement are asked by: one a placement, or one
 * for all of a database that take part in a read.
 *
 *     (                         a SELECT over several schemas of one database is one
 *     SELECT ... FROM orders    statement to it: one snapshot, one round trip, and rows
 *     )                         that PostgreSQL itself puts in order
 *     UNION ALL
 *     (
 *     SELECT ... FROM shard_3.orders
 *     )
 *     ORDER BY 2 DESC NULLS FIRST LIMIT 10
 *
 * The arms are the client's own text, so a column has one type and one collation in all of
 * them, and UNION ALL leaves both as they are. Writes are not put together: they stay one
 * statement for each placement, whose row counts are told apart.
 */
import type { DatabaseName } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import { UNION_ARMS_MAX, UNION_TEXT_LENGTH_MAX } from "../base/limits.ts";
import { quoteIdentifier } from "../base/sql-quoting.ts";
import type { Placement, ShardMap } from "../shardmap/shard-map.ts";
import type { QueryPlan, SortKey, StreamedGather } from "./logical-plan.ts";
import type { Fragment } from "./physical-plan.ts";
import {
  movedShifts,
  renderTemplate,
  type RenderedSql,
  type Shift,
  type ShownSchema,
  type SqlTemplate,
} from "./sql-template.ts";
import type { UnionArm } from "./union-arm.ts";

/** Where a text runs: a placement, or a database as a whole. */
export interface Place {
  readonly database: DatabaseName;
  readonly placement: Placement | undefined;
}

/** One text over some placements, as far as its plan is concerned. */
export interface BoundText {
  readonly access: QueryPlan["access"];
  readonly template: SqlTemplate;
  readonly gather: StreamedGather | { readonly kind: "passThrough" };
  /** Rows that each placement, and all of them together, need give: count + offset. */
  readonly limit: bigint | undefined;
}

/** At least one place gives at least one fragment; those of one database follow each other. */
export function bindFragments(
  places: readonly Place[],
  text: BoundText,
  map: ShardMap,
): readonly Fragment[] {
  const single = (place: Place): Fragment => fragmentAt(place, text.template, text.limit, map);
  const arm = text.access === "read" ? text.template.arm : undefined;
  const tail = arm === undefined ? undefined : tailOf(text);
  if (arm === undefined || tail === undefined) return places.map(single);
  return [...Map.groupBy(places, ({ database }) => database).values()].flatMap((ofDatabase) =>
    united(ofDatabase.map(single), arm, tail),
  );
}

export function fragmentAt(
  { database, placement }: Place,
  template: SqlTemplate,
  limit: bigint | undefined,
  map: ShardMap,
): Fragment {
  const { canonicalSchema } = map;
  const rendered = renderTemplate(template, { placement, canonicalSchema, limit });
  return {
    database,
    placementIds: [placement?.id ?? `${database}.${canonicalSchema}`],
    rendered:
      placement === undefined ? { ...rendered, schemas: schemasIn(database, map) } : rendered,
    rowIndexes: undefined,
  };
}

const SCHEMAS = new WeakMap<ShardMap, ReadonlyMap<DatabaseName, readonly ShownSchema[]>>();

/** Foreign keys of any placement may stop a write to the database's reference tables: its schemas are shown as the client's. */
function schemasIn(database: DatabaseName, map: ShardMap): readonly ShownSchema[] {
  let byDatabase = SCHEMAS.get(map);
  if (byDatabase === undefined) {
    const placements = [...map.colocations.values()].flatMap((each) => each.placements);
    const moved = placements.filter(({ schema }) => schema !== map.canonicalSchema);
    byDatabase = new Map(
      [...Map.groupBy(moved, (placement) => placement.database)].map(([name, found]) => [
        name,
        [...new Set(found.map(({ schema }) => schema))].map((own) => ({
          own,
          shown: map.canonicalSchema,
        })),
      ]),
    );
    SCHEMAS.set(map, byDatabase);
  }
  return byDatabase.get(database) ?? [];
}

/** What stands behind the last arm; undefined where arms cannot be one answer. */
function tailOf({ gather, limit }: BoundText): string | undefined {
  switch (gather.kind) {
    case "merge":
      return `ORDER BY ${gather.sort.map(sortItem).join(", ")}${limitClause(gather, limit)}`;
    case "concat":
      return limitClause(gather, limit).trimStart();
    case "aggregate":
      // Partial groups of one key come from each arm: to leave some out would be wrong.
      return "";
    default:
      return undefined;
  }
}

/** By ordinal: what the arms sort by is one of their columns. */
function sortItem({ column, descending, nullsFirst }: SortKey): string {
  return `${column + 1} ${descending ? "DESC" : "ASC"} NULLS ${nullsFirst ? "FIRST" : "LAST"}`;
}

type Limited = Extract<StreamedGather, { kind: "concat" | "merge" }>;

/** A parameter stays one where it may, so that the text is the same for each of its values. */
function limitClause({ limit: terms }: Limited, limit: bigint | undefined): string {
  if (terms?.count?.kind === "parameter" && terms.offset === undefined)
    return ` LIMIT $${terms.count.number}`;
  return limit === undefined ? "" : ` LIMIT ${limit}`;
}

/** As few fragments as the bounds of a text allow. */
function united(fragments: readonly Fragment[], arm: UnionArm, tail: string): readonly Fragment[] {
  const longest = Math.max(...fragments.map(({ rendered }) => rendered.sql.length));
  const armsMax = Math.min(UNION_ARMS_MAX, Math.floor(UNION_TEXT_LENGTH_MAX / longest));
  if (fragments.length === 1 || armsMax < 2) return fragments;
  const textCount = Math.ceil(fragments.length / armsMax);
  const perText = Math.ceil(fragments.length / textCount);
  return Array.from({ length: textCount }, (_, index) =>
    union(fragments.slice(index * perText, (index + 1) * perText), arm, tail),
  );
}

function union(fragments: readonly Fragment[], arm: UnionArm, tail: string): Fragment {
  const [first] = fragments;
  invariant(first !== undefined, "a text has an arm");
  if (fragments.length === 1) return first;
  const arms = fragments.map(({ rendered }) => rendered);
  return {
    ...first,
    placementIds: fragments.flatMap(({ placementIds }) => placementIds),
    rendered: unionSql(arms, arm, tail),
  };
}

/** Each arm on lines of its own: the client's text may end in a comment. */
function unionSql(arms: readonly RenderedSql[], arm: UnionArm, tail: string): RenderedSql {
  const [before, after] = aroundArm(arm);
  let sql = "";
  const shifts: Shift[] = [];
  for (const [index, one] of arms.entries()) {
    shifts.push({ at: sql.length, by: undefined });
    sql += `${index === 0 ? "" : "\nUNION ALL\n"}${before}`;
    shifts.push({ at: sql.length, by: -sql.length }, ...movedShifts(one.shifts, sql.length, 0));
    sql += one.sql;
    shifts.push({ at: sql.length, by: undefined });
    sql += after;
  }
  return {
    sql: tail === "" ? sql : `${sql}\n${tail}`,
    original: arms[0]?.original ?? "",
    shifts,
    schemas: arms.flatMap(({ schemas }) => schemas),
  };
}

function aroundArm(arm: UnionArm): readonly [string, string] {
  if (arm.kind === "asWritten") return ["(\n", "\n)"];
  return [`(SELECT ${arm.columns.map(quoteIdentifier).join(", ")} FROM (\n`, "\n) AS placement)"];
}
