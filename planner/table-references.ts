/**
 * Finds the tables a statement names, wherever it names them: FROM items, targets, the
 * inside of sub-selects and of WITH. Names that mean a WITH query are left out by
 * PostgreSQL's own scoping (parse_relation.c, scanNameSpaceForCTE).
 *
 * It walks with a stack of its own, so that no statement the parser accepts is too deep.
 * It knows no map and no catalog: what a name resolves to is decided by its caller.
 */
import type { ColumnRef, Node, RangeVar, WithClause } from "@pgsql/types";

export interface TableReferences {
  /** In no particular order. A sub-select shared by the columns of a SET list gives its tables once a column. */
  readonly tables: readonly RangeVar[];
  /** Column references of three names or more: `schema.table.column`, `schema.table.*`. */
  readonly schemaQualifiedColumns: readonly ColumnRef[];
}

export function tableReferences(node: Node): TableReferences {
  const tables: RangeVar[] = [];
  const schemaQualifiedColumns: ColumnRef[] = [];
  const pending: Pending[] = [{ value: node, scope: undefined }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { value, scope } = next;
    const inner = isTree(value["withClause"])
      ? enterWith(value["withClause"], scope, pending)
      : scope;
    if (Array.isArray(value)) {
      for (const item of value) if (isTree(item)) pending.push({ value: item, scope: inner });
      continue;
    }
    for (const key in value) {
      const child = value[key];
      if (!isTree(child) || WITHOUT_TABLES.has(key)) continue;
      if (key === "RangeVar") {
        const table = child as RangeVar;
        if (!isWithQuery(table, inner)) tables.push(table);
      } else if (key === "ColumnRef") {
        if (((child as ColumnRef).fields?.length ?? 0) > 2) schemaQualifiedColumns.push(child);
      } else {
        // The target of a writing statement is a table even where a WITH query has its name.
        const { relation } = child as { readonly relation?: RangeVar };
        // COPY of a query has none.
        if (relation !== undefined && WRITING_STATEMENTS.has(key)) tables.push(relation);
        pending.push({ value: child, scope: inner });
      }
    }
  }
  return { tables, schemaQualifiedColumns };
}

/** Fields below which no table is named that is looked for here: WITH has its scope, and FOR UPDATE names aliases. */
const WITHOUT_TABLES = new Set(["withClause", "lockingClause", "A_Const", "String"]);

const WRITING_STATEMENTS = new Set([
  "InsertStmt",
  "UpdateStmt",
  "DeleteStmt",
  "MergeStmt",
  "CopyStmt",
]);

/** A node, the body of one, or a list: the names of their fields are enumerable, and nothing else is. */
type Tree = { readonly [key: string]: unknown };

interface Pending {
  readonly value: Tree;
  readonly scope: WithScope | undefined;
}

interface WithScope {
  readonly name: string;
  readonly outer: WithScope | undefined;
}

function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null;
}

function isWithQuery(table: RangeVar, scope: WithScope | undefined): boolean {
  if (table.schemaname !== undefined) return false;
  for (let at = scope; at !== undefined; at = at.outer) if (at.name === table.relname) return true;
  return false;
}

/** The scope of the statement's body. A WITH query sees those before it, and with RECURSIVE all of them. */
function enterWith(
  clause: Tree,
  outer: WithScope | undefined,
  pending: Pending[],
): WithScope | undefined {
  const { ctes = [], recursive = false } = clause as WithClause;
  const queries = ctes.flatMap((cte) => ("CommonTableExpr" in cte ? [cte.CommonTableExpr] : []));
  let whole = outer;
  for (const { ctename } of queries) whole = { name: ctename ?? "", outer: whole };
  let before = outer;
  for (const query of queries) {
    pending.push({ value: query as Tree, scope: recursive ? whole : before });
    before = { name: query.ctename ?? "", outer: before };
  }
  return whole;
}
