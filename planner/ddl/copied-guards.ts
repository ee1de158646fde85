/**
 * `CREATE TABLE ... (LIKE users INCLUDING ALL)` copies the CHECK that guards the canonical table of a
 * sharded table, or of a group elsewhere: one that no row of another table could pass. PostgreSQL's own answer has none.
 */
import type { CreateStmt, Node, RangeVar, TableLikeClause } from "@pgsql/types";
import { GUARD_CONSTRAINT, isCanonicalTableEmpty } from "../../shardmap/guard.ts";
import type { ParsedStatement } from "../parse.ts";
import type { PlanContext } from "../plan-context.ts";
import { nameExtent } from "../rewrite.ts";
import { partCount, type DdlStep } from "./steps.ts";
import { existingTable } from "./table-homes.ts";

/** CREATE_TABLE_LIKE_CONSTRAINTS of parsenodes.h; INCLUDING ALL has every bit. */
const INCLUDING_CONSTRAINTS = 1 << 2;

/** The steps after which the made table has no guard of another's. */
export function withoutCopiedGuard(
  steps: readonly DdlStep[],
  { statement, create }: { readonly statement: ParsedStatement; readonly create: CreateStmt },
  context: PlanContext,
): readonly DdlStep[] {
  const { relation, tableElts = [] } = create;
  if (relation === undefined || !tableElts.some((element) => mayCopyGuard(element, context)))
    return steps;
  const name = writtenName(statement, relation);
  const sql = `ALTER TABLE IF EXISTS ${name} DROP CONSTRAINT IF EXISTS ${GUARD_CONSTRAINT}`;
  return steps.flatMap((step) => [step, { database: step.database, sql, isFollowUp: true }]);
}

function mayCopyGuard(element: Node, context: PlanContext): boolean {
  if (!("TableLikeClause" in element)) return false;
  const { relation, options = 0 }: TableLikeClause = element.TableLikeClause;
  if (relation === undefined || (options & INCLUDING_CONSTRAINTS) === 0) return false;
  const source = existingTable(relation, context);
  if (source.kind !== "mapped") return false;
  return source.table.kind === "sharded" || isCanonicalTableEmpty(context.map, source.table);
}

function writtenName(statement: ParsedStatement, relation: RangeVar): string {
  const { start, end } = nameExtent(statement, relation.location, partCount(relation));
  return statement.text.slice(start, end);
}
