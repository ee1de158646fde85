/** The planner's view of what the proxy compares, beside the proxy's own. */
import { expect, test } from "vitest";
import { BUILT_IN_TYPES } from "../../planner/built-in-types.ts";
import { catalogFromSql } from "../../planner/catalog-from-sql.ts";
import { valueOrder } from "../../planner/value-order.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { SortCollation } from "../../planner/logical-plan.ts";
import { loadParser } from "../../planner/parse.ts";
import { valueTypeOf } from "../../proxy/execution/gather/values/type-lookup.ts";
import { TYPE_OID } from "../../proxy/execution/gather/values/type-oids.ts";

await loadParser();

const catalog = catalogFromSql(
  `CREATE TYPE mood AS ENUM ('sad', 'ok');
   CREATE DOMAIN pin AS text; CREATE DOMAIN age AS int; CREATE DOMAIN data AS jsonb;
   CREATE TYPE pair AS (a int, b int);
   CREATE TABLE t (mood mood, pin pin, age age, data data, moods mood[])`,
  { schema: "public" },
);

function errorOf(typeOid: number, collation: SortCollation): string | undefined {
  const column = { name: "x", tableOid: 0, columnNumber: 0, typeOid, typeSize: -1, typmod: -1 };
  try {
    valueTypeOf({ ...column, format: "text" }, collation, {
      byOid: catalog.types,
      extraFloatDigits: 1,
    });
  } catch (error) {
    if (error instanceof SqlError) return error.id;
    throw error;
  }
  return undefined;
}

/** What valueTypeOf says of the type, in the planner's words. */
function orderOfProxy(typeOid: number): string {
  if (errorOf(typeOid, "unknown") === undefined) return "ordered";
  return errorOf(typeOid, "byte order") === undefined ? "collated" : "foreign";
}

test("every type is ordered by the proxy exactly where the planner says so", () => {
  const oids = new Set([...catalog.types.keys(), ...Object.values(TYPE_OID), 424_242]);
  expect(oids.size).toBeGreaterThan(2 * BUILT_IN_TYPES.size);
  const planned = [...oids].map((oid) => [oid, valueOrder(oid, catalog)]);
  expect(planned).toEqual([...oids].map((oid) => [oid, orderOfProxy(oid)]));
  const kinds = new Set(planned.map(([, order]) => String(order)));
  expect([...kinds].toSorted()).toEqual(["collated", "foreign", "ordered"]);
});

test("a type that is not known is no type that cannot be ordered", () => {
  expect(valueOrder(0, catalog)).toBe("unknown");
});
