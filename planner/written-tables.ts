/**
 * The tables a statement writes. PostgreSQL allows a writing statement at the top and in
 * the WITH of the top alone (parse_cte.c), so nothing deeper is looked at.
 */
import type { CopyStmt, InsertStmt, Node, RangeVar, UpdateStmt, WithClause } from "@pgsql/types";

export interface WrittenTable {
  readonly relation: RangeVar;
  readonly statement:
    | { readonly kind: "insert"; readonly node: InsertStmt }
    | { readonly kind: "update"; readonly node: UpdateStmt }
    | { readonly kind: "copy"; readonly node: CopyStmt }
    | { readonly kind: "delete" | "merge" };
}

export function writtenTables(node: Node): readonly WrittenTable[] {
  return [...ownTable(node), ...withClauses(node).flatMap(tablesOfWith)];
}

function ownTable(node: Node): readonly WrittenTable[] {
  if ("InsertStmt" in node)
    return written(node.InsertStmt.relation, { kind: "insert", node: node.InsertStmt });
  if ("UpdateStmt" in node)
    return written(node.UpdateStmt.relation, { kind: "update", node: node.UpdateStmt });
  if ("DeleteStmt" in node) return written(node.DeleteStmt.relation, { kind: "delete" });
  if ("MergeStmt" in node) return written(node.MergeStmt.relation, { kind: "merge" });
  if ("CopyStmt" in node)
    return node.CopyStmt.is_from === true
      ? written(node.CopyStmt.relation, { kind: "copy", node: node.CopyStmt })
      : [];
  return [];
}

function written(
  relation: RangeVar | undefined,
  statement: WrittenTable["statement"],
): readonly WrittenTable[] {
  return relation === undefined ? [] : [{ relation, statement }];
}

function withClauses(node: Node): readonly (WithClause | undefined)[] {
  if ("SelectStmt" in node) return [node.SelectStmt.withClause];
  if ("UpdateStmt" in node) return [node.UpdateStmt.withClause];
  if ("DeleteStmt" in node) return [node.DeleteStmt.withClause];
  if ("MergeStmt" in node) return [node.MergeStmt.withClause];
  if (!("InsertStmt" in node)) return [];
  const { withClause, selectStmt } = node.InsertStmt;
  const select = selectStmt !== undefined && "SelectStmt" in selectStmt ? selectStmt : undefined;
  return [withClause, select?.SelectStmt.withClause];
}

function tablesOfWith(clause: WithClause | undefined): readonly WrittenTable[] {
  return (clause?.ctes ?? []).flatMap((cte) =>
    "CommonTableExpr" in cte && cte.CommonTableExpr.ctequery !== undefined
      ? ownTable(cte.CommonTableExpr.ctequery)
      : [],
  );
}
