/**
 * Plans MERGE. What it joins decides where it runs, so the join is analyzed as a SELECT:
 *
 *     WHEN MATCHED alone                    source JOIN target
 *     also NOT MATCHED [BY TARGET]          source LEFT JOIN target
 *     also NOT MATCHED BY SOURCE            source RIGHT JOIN target
 *     both                                  source FULL JOIN target
 *
 * Where that is the union of the placements' answers, each placement merges its own rows,
 * and the rows it inserts must be its own as well: their key is the source's.
 */
import type { MergeStmt, MergeWhenClause, Node, SelectStmt } from "@pgsql/types";
import { invariant } from "../base/invariant.ts";
import type { CatalogColumn } from "../shardmap/catalog.ts";
import { analyze } from "./analyze/analyze.ts";
import { familyOfKey } from "./analyze/column-types.ts";
import { constantsOf } from "./analyze/comparisons.ts";
import { termOf } from "./analyze/key-terms.ts";
import type { Analysis, Output } from "./analyze/model.ts";
import { PlacementRules } from "./analyze/placement-rules.ts";
import type { Pin } from "./analyze/units.ts";
import { checkFunctions } from "./function-rules.ts";
import { generatedFor } from "./insert/columns.ts";
import { checkUniqueKeys } from "./insert/conflict.ts";
import { checkReferenceDefaults } from "./insert/defaults.ts";
import { isSameTerm, isStoredAlike, keepsKey, keyPlaces, type KeyPlace } from "./insert/keys.ts";
import type { KeyTerm, QueryPlan } from "./logical-plan.ts";
import type { ResolvedTable } from "./names.ts";
import type { ParsedStatement } from "./parse.ts";
import { settledRouting } from "./pin-routing.ts";
import type { PlanContext } from "./plan-context.ts";
import { placeRefusal, refusal, refuse, type RefusalDraft } from "./refusal.ts";
import { scatteredRouting } from "./route-sharded.ts";
import { checkKeyUnchanged } from "./shard-key-updates.ts";
import { templateFor } from "./statement-text.ts";
import { severally } from "./several.ts";

type ShardedTable = Extract<ResolvedTable, { kind: "sharded" }>;

/** What each column of the shard key gets by one WHEN NOT MATCHED ... INSERT. */
type InsertedKey = readonly Node[];

/** Throws PlanRefused where rows of several placements would have to meet. */
export function routeShardedMerge(
  statement: ParsedStatement,
  merge: MergeStmt,
  target: ShardedTable,
  context: PlanContext,
): QueryPlan {
  const keys = keyPlaces(target);
  const clauses = (merge.mergeWhenClauses ?? []).flatMap((clause) =>
    "MergeWhenClause" in clause ? [clause.MergeWhenClause] : [],
  );
  for (const { commandType, targetList = [] } of clauses)
    if (commandType === "CMD_UPDATE") checkKeyUnchanged(targetList, target.table, () => false);
  const inserts = clauses
    .filter(({ commandType }) => commandType === "CMD_INSERT")
    .map((clause) => insertedKey(clause, keys, target));
  if (inserts.length > 0)
    checkUniqueKeys(
      { relation: target.relation, keyColumns: target.table.keyColumns },
      merge.relation?.location,
    );
  const analysis = analyze({ SelectStmt: joinOf(merge, clauses, inserts) }, context);
  checkTables(analysis, target);
  checkFunctions(analysis, { kind: "sharded" }, context);
  const placed = placedMerge(analysis, inserts, keys, target, context);
  return {
    kind: "query",
    access: "write",
    rule: placed.rule,
    routing: placed.routing,
    template: templateFor(statement, context),
    several: severally(
      { kind: "counts" },
      placed.refusal && placeRefusal(placed.refusal, statement),
    ),
    returnsRows: merge.returningClause !== undefined,
  };
}

/** Tables that are not in every placement's database, and rows of other tables that are written on the way. */
function checkTables(analysis: Analysis, target: ShardedTable): void {
  const [barred] = analysis.shardedRefusals;
  if (barred !== undefined) refuse(barred.id, barred.message, barred.details);
  for (const { table, isWritten, location } of analysis.tables) {
    if (isWritten)
      refuse(
        "data_modifying_with_scattered",
        `a data-modifying WITH query is not supported in MERGE into sharded table "${target.name}"`,
        { location },
      );
    if (table.kind === "sharded" || table.kind === "reference") continue;
    refuse(
      "tables_in_different_databases",
      `tables "${target.name}" and "${table.name}" live in different databases`,
      {
        location,
        hint: "Select the rows of the one first, and merge them with VALUES as the source.",
      },
    );
  }
}

interface PlacedMerge {
  readonly rule: string;
  readonly routing: QueryPlan["routing"];
  readonly refusal: RefusalDraft | undefined;
}

function placedMerge(
  analysis: Analysis,
  inserts: readonly InsertedKey[],
  keys: readonly KeyPlace[],
  target: ShardedTable,
  context: PlanContext,
): PlacedMerge {
  const rules = new PlacementRules(analysis, context);
  const { root } = analysis;
  const outputs = inserts.map((_, insert) =>
    root.outputs.slice(insert * keys.length, (insert + 1) * keys.length),
  );
  const joined = rules.distributeJoins(root);
  invariant(joined.kind !== "free", "a MERGE joins its target, which is sharded");
  const [barred] = analysis.scatterRefusals;
  const why = joined.kind === "bound" ? joined.refusal : barred;
  if (joined.kind === "byShard" && why === undefined) {
    const classes = rules.keyClasses(root, joined.roots);
    const stays = outputs.every((values) =>
      classes.some((key) =>
        keys.every((place, index) => {
          const column = values[index]?.column;
          return (
            column !== undefined && key[index]?.has(column) === true && keepsKey(column, place)
          );
        }),
      ),
    );
    if (stays && joined.roots[0]?.colocation === target.table.colocation) {
      const { routing } = scatteredRouting(root, joined.roots, rules);
      return { rule: "mergeWhereJoined", routing, refusal: undefined };
    }
  }
  const settlement = rules.settle(root, [], true);
  const routing = settlement.kind === "settled" ? settledRouting(settlement.pins) : undefined;
  const notAlike = inserts.find(
    (_, insert) =>
      settlement.kind !== "settled" ||
      !isPinnedAlike(outputs[insert] ?? [], settlement.pins, keys, context),
  );
  const refused = mergeRefusal(target, why ?? foreignKey(target, notAlike));
  if (routing === undefined || notAlike !== undefined)
    return refuse(refused.id, refused.message, refused.details);
  return { rule: "mergePinned", routing, refusal: refused };
}

/** The key of an inserted row is not known to be that of the rows it is joined with. */
function foreignKey(target: ShardedTable, insert: InsertedKey | undefined): RefusalDraft {
  return refusal(
    "merge_not_supported",
    "a row that it inserts may belong to another placement than the row of the source",
    {
      location: locationOf(insert?.[0]),
      hint: `Insert the source's shard key, which ON compares with "${target.table.keyColumns.join('", "')}".`,
    },
  );
}

function mergeRefusal({ name }: ShardedTable, { message, details }: RefusalDraft): RefusalDraft {
  return refusal(
    "merge_not_supported",
    `MERGE into sharded table "${name}" cannot be done placement by placement: ${message}`,
    details,
  );
}

function locationOf(value: Node | undefined): number | undefined {
  const [body] = Object.values(value ?? {}) as readonly { readonly location?: number }[];
  return body?.location;
}

/** Whether a row's key is the constant that the target is pinned to. */
function isPinnedAlike(
  values: readonly Output[],
  pins: readonly Pin[],
  keys: readonly KeyPlace[],
  context: PlanContext,
): boolean {
  const key = keys.map((place, index) => constantOf(values[index], place, context));
  return pins.every(
    (pin) =>
      pin.kind === "keys" &&
      pin.keys.every((tuple) => tuple.every((term, index) => isSameTerm(term, key[index]))),
  );
}

function constantOf(
  output: Output | undefined,
  { column, key }: KeyPlace,
  context: PlanContext,
): KeyTerm | undefined {
  const family = familyOfKey(key.type);
  const terms =
    output?.column !== undefined
      ? constantsOf(output.column, family, context)
      : output?.expression === undefined
        ? undefined
        : [termOf(output.expression, family, context)];
  const [term, ...others] = terms ?? [];
  return term !== undefined && others.length === 0 && isStoredAlike(term, column)
    ? term
    : undefined;
}

function insertedKey(
  clause: MergeWhenClause,
  keys: readonly KeyPlace[],
  { name, relation }: ShardedTable,
): InsertedKey {
  const { targetList = [], values = [] } = clause;
  const names = targetList.map((item) => ("ResTarget" in item ? item.ResTarget.name : undefined));
  const positionOf = (column: CatalogColumn): number =>
    targetList.length > 0 ? names.indexOf(column.name) : relation.columns.indexOf(column);
  const valueOf = (column: CatalogColumn): Node | undefined => {
    const value = values[positionOf(column)];
    return value === undefined || "SetToDefault" in value ? undefined : value;
  };
  for (const column of relation.columns) {
    const isKey = keys.some((key) => key.column === column);
    const isLeftOut = valueOf(column) === undefined;
    if (!isLeftOut || generatedFor(column, "sharded", isKey) === undefined) continue;
    refuse(
      "merge_not_supported",
      `MERGE into sharded table "${name}" must give column "${column.name}" a value`,
      {
        location: locationOf(targetList[0] ?? values[0]),
        detail: "Its default is drawn from a sequence that all placements share.",
        hint: "Use INSERT ... ON CONFLICT.",
      },
    );
  }
  return keys.map(
    ({ column }) =>
      valueOf(column) ??
      refuse(
        "merge_not_supported",
        `MERGE into sharded table "${name}" must give shard key column "${column.name}" a value`,
        { location: locationOf(targetList[0] ?? values[0]) },
      ),
  );
}

/** The join with every expression of the MERGE in its select list, the inserted keys first. */
function joinOf(
  merge: MergeStmt,
  clauses: readonly MergeWhenClause[],
  inserts: readonly InsertedKey[],
): SelectStmt {
  const { relation, sourceRelation, joinCondition, withClause, returningClause } = merge;
  invariant(relation !== undefined && sourceRelation !== undefined, "a MERGE has two sides");
  const hidden = (withClause?.ctes ?? []).some(
    (query) =>
      "CommonTableExpr" in query &&
      relation.schemaname === undefined &&
      query.CommonTableExpr.ctename === relation.relname,
  );
  if (hidden)
    refuse("merge_not_supported", "a WITH query of MERGE has the name of its target", {
      location: relation.location,
      hint: "Give the WITH query another name.",
    });
  const expressions = clauses.flatMap(({ condition, targetList = [], values = [] }) => [
    ...(condition === undefined ? [] : [condition]),
    ...targetList.flatMap((item) =>
      "ResTarget" in item && item.ResTarget.val !== undefined ? [item.ResTarget.val] : [],
    ),
    ...values,
  ]);
  const outputs = [...inserts.flat(), ...expressions];
  return {
    ...(withClause === undefined ? {} : { withClause }),
    targetList: [
      ...outputs.map((val) => ({ ResTarget: { val } })),
      ...(returningClause?.exprs ?? []),
    ],
    fromClause: [
      {
        JoinExpr: {
          jointype: joinType(clauses),
          larg: sourceRelation,
          rarg: { RangeVar: relation },
          ...(joinCondition === undefined ? {} : { quals: joinCondition }),
        },
      },
    ],
  };
}

function joinType(clauses: readonly MergeWhenClause[]) {
  const has = (kind: MergeWhenClause["matchKind"]) =>
    clauses.some(({ matchKind }) => matchKind === kind);
  const keepsSource = has("MERGE_WHEN_NOT_MATCHED_BY_TARGET");
  if (has("MERGE_WHEN_NOT_MATCHED_BY_SOURCE")) return keepsSource ? "JOIN_FULL" : "JOIN_RIGHT";
  return keepsSource ? "JOIN_LEFT" : "JOIN_INNER";
}

/** Every database merges its own copy: what it inserts must come out alike in all of them. */
export function checkReferenceMerge(
  merge: MergeStmt,
  { name, relation }: Extract<ResolvedTable, { kind: "reference" }>,
  context: PlanContext,
): void {
  for (const item of merge.mergeWhenClauses ?? []) {
    if (!("MergeWhenClause" in item)) continue;
    const { commandType, targetList = [], values = [] } = item.MergeWhenClause;
    const given = targetList.map((part) => ("ResTarget" in part ? part.ResTarget.name : undefined));
    const isDefaulted = ({ name: column }: CatalogColumn, index: number): boolean => {
      const position = given.length > 0 ? given.indexOf(column) : index;
      const value =
        commandType === "CMD_INSERT" ? values[position] : setValue(targetList[position]);
      const isLeft = value === undefined && commandType === "CMD_INSERT";
      return isLeft || (value !== undefined && "SetToDefault" in value);
    };
    if (commandType !== "CMD_INSERT" && commandType !== "CMD_UPDATE") continue;
    const defaulted = relation.columns.filter(isDefaulted);
    const drawn = defaulted.find(
      (column) => generatedFor(column, "reference", false) !== undefined,
    );
    if (drawn !== undefined)
      refuse(
        "merge_not_supported",
        `MERGE into reference table "${name}" must give column "${drawn.name}" a value`,
        { location: merge.relation?.location, hint: "Use INSERT ... ON CONFLICT." },
      );
    checkReferenceDefaults(name, defaulted, context);
  }
}

function setValue(item: Node | undefined): Node | undefined {
  return item !== undefined && "ResTarget" in item ? item.ResTarget.val : undefined;
}
