/** Nodes for statements of the planner's own making, as the grammar would give them. */
import type { Node, SelectStmt } from "@pgsql/types";

export function columnNode(...names: readonly string[]): Node {
  return { ColumnRef: { fields: names.map(nameNode) } };
}

export function targetNode(value: Node, name?: string): Node {
  return { ResTarget: { val: value, ...(name === undefined ? {} : { name }) } };
}

export function tableNode(schemaname: string, relname: string): Node {
  return { RangeVar: { schemaname, relname, inh: true, relpersistence: "p" } };
}

/** What the grammar reads as an `int` has a node of its own; 0 is an empty one. */
export function integerNode(value: bigint | number): Node {
  const number = BigInt(value);
  if (number > 0x7fff_ffffn) return { A_Const: { fval: { fval: String(number) } } };
  return { A_Const: { ival: number === 0n ? {} : { ival: Number(number) } } };
}

/** A cast to a type of pg_catalog. */
export function castNode(arg: Node, type: string): Node {
  const names = [nameNode("pg_catalog"), nameNode(type)];
  return { TypeCast: { arg, typeName: { names, typemod: -1 } } };
}

/** A call of a function of pg_catalog. */
export function callNode(name: string, args: Node[]): Node {
  const funcname = [nameNode("pg_catalog"), nameNode(name)];
  return { FuncCall: { funcname, args, funcformat: "COERCE_EXPLICIT_CALL" } };
}

/** GREATEST and LEAST, which pass over NULLs. */
export function extremeNode(kind: "greatest" | "least", args: Node[]): Node {
  return { MinMaxExpr: { op: kind === "greatest" ? "IS_GREATEST" : "IS_LEAST", args } };
}

export function operatorNode(operator: string, left: Node, right: Node): Node {
  const name = [nameNode(operator)];
  return { A_Expr: { kind: "AEXPR_OP", name, lexpr: left, rexpr: right } };
}

/** A SELECT without what it does not need, but for the fields that every one has. */
export function selectNode(fields: SelectStmt): Node {
  const isCut = fields.limitCount !== undefined || fields.limitOffset !== undefined;
  const limitOption = isCut ? (fields.limitOption ?? "LIMIT_OPTION_COUNT") : "LIMIT_OPTION_DEFAULT";
  return { SelectStmt: { op: "SETOP_NONE", ...fields, limitOption } };
}

function nameNode(name: string): Node {
  return { String: { sval: name } };
}
