/**
 * Whether a statement's text may stand beside its like of other placements in one UNION ALL,
 * and how. UNION matches columns by position and takes their names from its first arm alone,
 * so a placement whose columns have drifted apart must be kept from answering under them.
 *
 * It knows nothing of placements, and reads the tree of one text.
 */
import type { Node, RangeVar, SelectStmt } from "@pgsql/types";
import { outputName } from "./analyze/output-names.ts";
import { nameParts, walkNodes } from "./ast.ts";

export type UnionArm =
  /** The text names each of its columns: a placement without one of them fails. */
  | { readonly kind: "asWritten" }
  /** `*` stands for columns: they are read by name from the text, in this order. */
  | { readonly kind: "byName"; readonly columns: readonly string[] };

/** The columns of a table that a FROM names, in order; undefined where they are not known. */
export type ColumnsOf = (table: RangeVar) => readonly string[] | undefined;

/** Undefined for a text that must run by itself. */
export function unionArm(node: Node, columnsOf: ColumnsOf): UnionArm | undefined {
  if (!("SelectStmt" in node)) return undefined;
  const select = node.SelectStmt;
  if (select.intoClause !== undefined || mayGiveRows(select)) return undefined;
  const targets = leavesOf(select).flatMap(({ targetList }) => targetList ?? []);
  if (targets.some(isRowStar)) return undefined;
  if (!targets.some((target) => starOf(target).length > 0)) return { kind: "asWritten" };
  const columns = isSetOperation(select) ? undefined : columnNames(select, columnsOf);
  if (columns === undefined || new Set(columns).size < columns.length) return undefined;
  return { kind: "byName", columns };
}

/**
 * A column that is a table's row has a type of its own in each schema, which no UNION
 * matches. What is named like a table may be its row; a column of that name is taken for one
 * too, which costs a statement more and no more.
 */
function mayGiveRows(select: SelectStmt): boolean {
  const tables = new Set<string | undefined>();
  const named: (string | undefined)[] = [];
  walkNodes(select, ({ kind, body }) => {
    if (kind === "RangeVar") tables.add(body["relname"] as string | undefined);
    if (kind === "CommonTableExpr") tables.add(body["ctename"] as string | undefined);
    const alias = body["alias"] as { readonly aliasname?: string } | undefined;
    tables.add(alias?.aliasname);
    if (kind === "ColumnRef") named.push(nameParts(body["fields"] as readonly Node[]).at(-1));
    return true;
  });
  // The names in a `t.*` are a table's by right: of those only the ones within a call are rows.
  const stars = leavesOf(select).flatMap(({ targetList }) => (targetList ?? []).flatMap(starOf));
  for (const { qualifier } of stars) {
    const at = qualifier === undefined ? -1 : named.indexOf(qualifier);
    if (at >= 0) named.splice(at, 1);
  }
  tables.delete(undefined);
  return named.some((name) => tables.has(name));
}

interface Star {
  /** `t` of `t.*`. */
  readonly qualifier: string | undefined;
}

/** None or one, of an entry of a select list. */
function starOf(target: Node): readonly Star[] {
  const value = "ResTarget" in target ? target.ResTarget.val : undefined;
  if (value === undefined || !("ColumnRef" in value)) return [];
  const fields = value.ColumnRef.fields ?? [];
  const last = fields.at(-1);
  if (last === undefined || !("A_Star" in last)) return [];
  return [{ qualifier: nameParts(fields).at(-1) }];
}

function isSetOperation({ op }: SelectStmt): boolean {
  return op !== undefined && op !== "SETOP_NONE";
}

/** The selects that a set operation is made of; the statement itself where it is none. */
function leavesOf(select: SelectStmt): readonly SelectStmt[] {
  const leaves: SelectStmt[] = [];
  const open = [select];
  for (let one = open.pop(); one !== undefined; one = open.pop()) {
    if (!isSetOperation(one)) leaves.push(one);
    else for (const side of [one.larg, one.rarg]) if (side !== undefined) open.push(side);
  }
  return leaves;
}

/** `(row).*`, whose columns only the server knows. */
function isRowStar(target: Node): boolean {
  const value = "ResTarget" in target ? target.ResTarget.val : undefined;
  if (value === undefined || !("A_Indirection" in value)) return false;
  return (value.A_Indirection.indirection ?? []).some((step) => "A_Star" in step);
}

/** Of a select without set operation; undefined where a name is not known. */
function columnNames(select: SelectStmt, columnsOf: ColumnsOf): readonly string[] | undefined {
  const tables = tablesOf(select);
  if (tables === undefined) return undefined;
  const names: string[] = [];
  for (const target of select.targetList ?? []) {
    const found = targetNames(target, tables, columnsOf);
    if (found === undefined) return undefined;
    names.push(...found);
  }
  return names;
}

/** What `*` stands for, in order: tables alone, joined so that no two columns become one. */
function tablesOf({ fromClause, withClause }: SelectStmt): readonly RangeVar[] | undefined {
  if (withClause !== undefined) return undefined;
  const tables: RangeVar[] = [];
  const open = (fromClause ?? []).toReversed();
  for (let item = open.pop(); item !== undefined; item = open.pop()) {
    if ("RangeVar" in item && item.RangeVar.alias?.colnames === undefined) {
      tables.push(item.RangeVar);
    } else if ("JoinExpr" in item) {
      const { isNatural, usingClause, alias, larg, rarg } = item.JoinExpr;
      if (isNatural === true || usingClause !== undefined || alias !== undefined) return undefined;
      for (const side of [rarg, larg]) if (side !== undefined) open.push(side);
    } else return undefined;
  }
  return tables;
}

function targetNames(
  target: Node,
  tables: readonly RangeVar[],
  columnsOf: ColumnsOf,
): readonly string[] | undefined {
  const [star] = starOf(target);
  if (star === undefined) {
    const { name, val } = "ResTarget" in target ? target.ResTarget : {};
    const found = name ?? (val === undefined ? undefined : outputName(val));
    return found === undefined ? undefined : [found];
  }
  const meant = tables.filter(
    ({ relname, alias }) =>
      star.qualifier === undefined || star.qualifier === (alias?.aliasname ?? relname),
  );
  const names = meant.map(columnsOf);
  return names.length > 0 && names.every((columns) => columns !== undefined)
    ? names.flat()
    : undefined;
}
