/**
 * The part of a level's conditions that one table's rows can be tested by where they are
 * stored, written for the bare table. The statement tests its conditions again over the
 * copied rows, so a condition left out costs copies and never an answer.
 *
 * Only whole conjuncts count, which name columns of that one source, and which can neither
 * fail with an error nor come out differently there: comparisons, tests for NULL and lists
 * over columns, constants and parameters of PostgreSQL's own types. `1 / y > 2` stays out:
 * the statement may be written so that no row with y = 0 ever meets it.
 */
import type { A_Expr, BoolExpr, Node } from "@pgsql/types";
import type { Catalog } from "../../shardmap/catalog.ts";
import { collationOfColumn, typeOfColumn } from "../analyze/column-types.ts";
import type { Condition, Level, Source } from "../analyze/model.ts";
import { checkDepth, nameParts } from "../ast.ts";
import { columnNode } from "../make-nodes.ts";
import { isConstantCast, isMoment } from "./constant-values.ts";

/** ANDed; empty where nothing of the level's conditions may be tested by itself. */
export function pushedConditions(source: Source, level: Level, catalog: Catalog): readonly Node[] {
  const pushed: Node[] = [];
  for (const condition of level.conditions) {
    if (!condition.sources.includes(source)) continue;
    const pusher = new Pusher(source, condition, catalog);
    for (const conjunct of conjunctsOf(condition.expression)) {
      const written = pusher.test(conjunct, 0);
      if (written !== undefined) pushed.push(written);
    }
  }
  return pushed;
}

function conjunctsOf(expression: Node): readonly Node[] {
  const isAnd = "BoolExpr" in expression && expression.BoolExpr.boolop === "AND_EXPR";
  return isAnd ? (expression.BoolExpr.args ?? []).flatMap(conjunctsOf) : [expression];
}

class Pusher {
  readonly #source: Source;
  readonly #condition: Condition;
  readonly #catalog: Catalog;

  constructor(source: Source, condition: Condition, catalog: Catalog) {
    this.#source = source;
    this.#condition = condition;
    this.#catalog = catalog;
  }

  /** A condition that cannot fail, of this source alone; undefined for any other. */
  test(expression: Node, depth: number): Node | undefined {
    checkDepth(depth);
    if ("BoolExpr" in expression) return this.#connected(expression.BoolExpr, depth + 1);
    if ("A_Expr" in expression) return this.#comparison(expression.A_Expr);
    if ("A_Const" in expression)
      return expression.A_Const.boolval === undefined ? undefined : expression;
    if ("NullTest" in expression) {
      const arg = this.#column(expression.NullTest.arg, () => true);
      return arg && { NullTest: { ...expression.NullTest, arg } };
    }
    if ("BooleanTest" in expression) {
      const { arg } = expression.BooleanTest;
      const tested = arg === undefined ? undefined : this.test(arg, depth + 1);
      return tested && { BooleanTest: { ...expression.BooleanTest, arg: tested } };
    }
    return this.#column(expression, (type) => type === BOOL);
  }

  #connected(expression: BoolExpr, depth: number): Node | undefined {
    const args: Node[] = [];
    for (const argument of expression.args ?? []) {
      const written = this.test(argument, depth);
      if (written === undefined) return undefined;
      args.push(written);
    }
    return { BoolExpr: { ...expression, args } };
  }

  #comparison(expression: A_Expr): Node | undefined {
    const { kind, lexpr, rexpr } = expression;
    const [operator = "", ...qualified] = nameParts(expression.name);
    if (lexpr === undefined || rexpr === undefined || qualified.length > 0) return undefined;
    if (kind === "AEXPR_LIKE" || kind === "AEXPR_ILIKE") return this.#like(expression);
    if (kind === undefined || COMPARING[kind]?.has(operator) !== true) return undefined;
    const left = this.#value(lexpr);
    const right = this.#operand(rexpr);
    return left && right && { A_Expr: { ...expression, lexpr: left, rexpr: right } };
  }

  /** A pattern of letters and wildcards alone: one that ends in its escape fails, but only for texts that get so far. */
  #like(expression: A_Expr): Node | undefined {
    const { lexpr, rexpr } = expression;
    const pattern =
      rexpr !== undefined && "A_Const" in rexpr ? rexpr.A_Const.sval?.sval : undefined;
    if (pattern === undefined || pattern.includes("\\")) return undefined;
    const column =
      lexpr !== undefined && "ColumnRef" in lexpr ? this.#condition.columnOf(lexpr) : undefined;
    // Before PostgreSQL 18 LIKE fails under a nondeterministic collation.
    if (column === undefined || collationOfColumn(column, this.#catalog)?.isDeterministic !== true)
      return undefined;
    const left = this.#column(lexpr, (type) => type === TEXT || type === VARCHAR);
    return left && { A_Expr: { ...expression, lexpr: left } };
  }

  #operand(expression: Node): Node | undefined {
    if ("List" in expression) {
      const items = this.#values(expression.List.items ?? []);
      return items && { List: { ...expression.List, items } };
    }
    if ("A_ArrayExpr" in expression) {
      const elements = this.#values(expression.A_ArrayExpr.elements ?? []);
      return elements && { A_ArrayExpr: { ...expression.A_ArrayExpr, elements } };
    }
    return this.#value(expression);
  }

  #values(expressions: readonly Node[]): Node[] | undefined {
    const values = expressions.flatMap((expression) => this.#value(expression) ?? []);
    return values.length === expressions.length ? values : undefined;
  }

  #value(expression: Node): Node | undefined {
    if ("A_Const" in expression || "ParamRef" in expression) return expression;
    if ("TypeCast" in expression)
      return isConstantCast(expression.TypeCast) ? expression : undefined;
    if (isMoment(expression)) return expression;
    return this.#column(expression, (type) => this.#isComparable(type));
  }

  /** By the bare table's name for it, which an alias may have changed. */
  #column(expression: Node | undefined, isWanted: (typeOid: number) => boolean): Node | undefined {
    const column =
      expression !== undefined && "ColumnRef" in expression
        ? this.#condition.columnOf(expression)
        : undefined;
    if (column?.catalog === undefined || column.source !== this.#source) return undefined;
    return isWanted(typeOfColumn(column, this.#catalog))
      ? columnNode(column.catalog.name)
      : undefined;
  }

  #isComparable(typeOid: number): boolean {
    return COMPARABLE.has(typeOid) || this.#catalog.types.get(typeOid)?.kind === "enum";
  }
}

const BOOL = 16;
const TEXT = 25;
const VARCHAR = 1043;

const EQUALITY = new Set(["=", "<>"]);
const ORDER = new Set([...EQUALITY, "<", "<=", ">", ">="]);

const COMPARING: Readonly<Record<string, ReadonlySet<string>>> = {
  AEXPR_OP: ORDER,
  AEXPR_OP_ANY: ORDER,
  AEXPR_OP_ALL: ORDER,
  AEXPR_DISTINCT: EQUALITY,
  AEXPR_NOT_DISTINCT: EQUALITY,
  AEXPR_IN: EQUALITY,
  AEXPR_BETWEEN: new Set(["BETWEEN"]),
  AEXPR_NOT_BETWEEN: new Set(["NOT BETWEEN"]),
  AEXPR_BETWEEN_SYM: new Set(["BETWEEN SYMMETRIC"]),
  AEXPR_NOT_BETWEEN_SYM: new Set(["NOT BETWEEN SYMMETRIC"]),
};

/**
 * bool, bytea, "char", name, bigint, smallint, integer, text, oid, real, double precision, money,
 * bpchar, varchar, date, time, timestamp, timestamptz, interval, timetz, numeric, uuid, inet,
 * cidr, macaddr, jsonb: comparing their values has no way to fail.
 */
const COMPARABLE: ReadonlySet<number> = new Set([
  BOOL,
  17,
  18,
  19,
  20,
  21,
  23,
  TEXT,
  26,
  700,
  701,
  790,
  1042,
  VARCHAR,
  1082,
  1083,
  1114,
  1184,
  1186,
  1266,
  1700,
  2950,
  869,
  650,
  829,
  3802,
]);
