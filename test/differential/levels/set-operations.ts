/** UNION, INTERSECT and EXCEPT, with ALL and without, nested, sorted and limited. */
import { value } from "../expressions.ts";
import { below, condition, direction, isGroupable, limitOf, tableRelation } from "./composing.ts";
import type { Composing, Level, Output, VisibleColumn } from "./composing.ts";

const OPERATORS = ["UNION", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL"];

export function setOperation(composing: Composing): Level {
  const { random } = composing.writing;
  const first = tableRelation(composing, random.pick(composing.tables));
  const shown = random.shuffle(first.columns.filter(isGroupable)).slice(0, random.integer(1, 3));
  if (shown.length === 0) return composing.level(composing, { kind: "any" });
  const sql = combined(composing, shown, random.integer(2, 3));
  const names = shown.map((_, index) => `c${index}`);
  const isSorted = random.chance(60);
  const keys = isSorted && random.chance(50) ? names : names.map((_, index) => String(index + 1));
  const limit = random.chance(50) ? limitOf(composing) : "";
  const sort = isSorted
    ? ` ORDER BY ${keys.map((key) => key + direction(composing)).join(", ")}${limit}`
    : "";
  return {
    sql: `${sql}${sort}`,
    outputs: shown.map(({ type, collation }, index): Output => ({
      name: `c${index}`,
      type,
      collation,
    })),
    order: isSorted ? "total" : "any",
  };
}

/** `count` arms; some in parentheses, which may be operations, or limited, of their own. */
function combined(composing: Composing, shown: readonly VisibleColumn[], count: number): string {
  const { random } = composing.writing;
  let sql = arm(composing, shown, true);
  for (let index = 1; index < count; index++) {
    const next =
      composing.depth > 0 && random.chance(30)
        ? `(${combined(below(composing, []), shown, 2)})`
        : arm(composing, shown, false);
    sql += ` ${random.pick(OPERATORS)} ${next}`;
  }
  return sql;
}

function arm(composing: Composing, shown: readonly VisibleColumn[], isFirst: boolean): string {
  const { writing } = composing;
  const { random } = writing;
  const relation = tableRelation(composing, random.pick(composing.tables));
  const taken = shown.map((wanted, index) => {
    const column = random.pickIfAny(
      relation.columns.filter(
        ({ type, collation }) => type === wanted.type && collation === wanted.collation,
      ),
    );
    const text = column?.sql ?? `CAST(NULL AS ${wanted.type})`;
    return isFirst ? `${text} AS c${index}` : text;
  });
  const conjuncts: string[] = [];
  if (relation.key.length > 0 && random.chance(25))
    conjuncts.push(...relation.key.map(({ sql, type }) => `${sql} = ${value(writing, type)}`));
  if (random.chance(35)) conjuncts.push(condition(composing, relation.columns));
  const where = conjuncts.length > 0 ? ` WHERE ${conjuncts.join(" AND ")}` : "";
  const sql = `SELECT ${taken.join(", ")} FROM ${relation.reference}${where}`;
  if (!random.chance(12) || relation.order.length === 0) return sql;
  const order = relation.order.map((column) => column.sql).join(", ");
  return `(${sql} ORDER BY ${order} LIMIT ${random.integer(1, 6)})`;
}
