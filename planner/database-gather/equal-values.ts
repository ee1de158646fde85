/**
 * Conditions on a table's columns that follow from another table's: with
 * `o.user_id = u.id AND u.id IN (7, 9)` no order but those of 7 and 9 takes part, so no
 * other is copied.
 */
import type { Node } from "@pgsql/types";
import type { Catalog } from "../../shardmap/catalog.ts";
import { familyOfType, TYPE_NAMES, typeOfColumn } from "../analyze/column-types.ts";
import { equalColumns } from "../analyze/equal-columns.ts";
import type { Column, Fact } from "../analyze/model.ts";
import type { Unit } from "../analyze/units.ts";
import type { KeyTerm } from "../logical-plan.ts";
import { columnNode } from "../make-nodes.ts";

/** ANDed. `tellsItsOwn`: what the statement says of the table's own columns is tested already. */
export function equalValues(
  { key = [], source }: Unit,
  facts: readonly Fact[],
  tellsItsOwn: boolean,
  catalog: Catalog,
): readonly Node[] {
  const columns = new Set(key);
  for (const fact of facts) {
    if (fact.kind !== "columns") continue;
    for (const column of [fact.left, fact.right]) if (column.source === source) columns.add(column);
  }
  return [...columns].flatMap((column) => {
    const name = column.catalog?.name;
    const stated = statedValues(column, facts);
    if (name === undefined || stated === undefined) return [];
    if (tellsItsOwn && stated.column.source === source) return [];
    return membership(columnNode(name), stated, catalog) ?? [];
  });
}

type Stated = Extract<Fact, { kind: "values" }>;

/** The values of an equal column, the table's own first: it needs no second condition. */
function statedValues(column: Column, facts: readonly Fact[]): Stated | undefined {
  const equal = equalColumns(column, facts);
  const stated = facts.filter(
    (fact): fact is Stated => fact.kind === "values" && equal.has(fact.column),
  );
  return stated.find((fact) => fact.column.source === column.source) ?? stated[0];
}

function membership(column: Node, { column: of, values }: Stated, catalog: Catalog) {
  if (values.kind === "array") {
    const rexpr: Node = { ParamRef: { number: values.parameter } };
    return { A_Expr: { kind: "AEXPR_OP_ANY" as const, name: EQUALS, lexpr: column, rexpr } };
  }
  const type = typeOfColumn(of, catalog);
  const items = values.terms.flatMap((term) => valueNode(term, type) ?? []);
  if (items.length !== values.terms.length) return undefined;
  const rexpr: Node = { List: { items } };
  return { A_Expr: { kind: "AEXPR_IN" as const, name: EQUALS, lexpr: column, rexpr } };
}

const EQUALS: Node[] = [{ String: { sval: "=" } }];

const TYPE_OF: ReadonlyMap<number, string> = new Map(
  [...TYPE_NAMES].map(([name, oid]) => [oid, name]),
);

/** `of` is the column that the client compared the value with: it must be read as that here too. */
function valueNode(term: KeyTerm, of: number): Node | undefined {
  switch (term.kind) {
    case "text": {
      const constant: Node = { A_Const: { sval: { sval: term.text } } };
      // Integers alone have several types that read a text differently, or not at all.
      return familyOfType(of) === "integer" ? castTo(of, constant) : constant;
    }
    case "null":
      return { A_Const: { isnull: true } };
    case "parameter": {
      const parameter: Node = { ParamRef: { number: term.number } };
      return term.isCast ? castTo(term.typeOid, parameter) : parameter;
    }
    case "number":
      return numberNode(term.text);
    case "generated":
      return undefined;
  }
}

function castTo(typeOid: number, arg: Node): Node | undefined {
  const name = TYPE_OF.get(typeOid);
  if (name === undefined) return undefined;
  const names = UNRESERVED.has(name) ? [name] : ["pg_catalog", name];
  const typeName = { names: names.map((part): Node => ({ String: { sval: part } })), typemod: -1 };
  return { TypeCast: { arg, typeName } };
}

/** Types that the grammar has no words for: it leaves them to the search_path, as in the client's own text. */
const UNRESERVED: ReadonlySet<string> = new Set(["text", "uuid", "date"]);

/** As the grammar reads it: an integer of 31 bits has a node of its own, and 0 an empty one. */
function numberNode(text: string): Node {
  const isInteger = /^-?[0-9]{1,10}$/.test(text) && Math.abs(Number(text)) <= 0x7fff_ffff;
  if (!isInteger) return { A_Const: { fval: { fval: text } } };
  return { A_Const: { ival: Number(text) === 0 ? {} : { ival: Number(text) } } };
}
