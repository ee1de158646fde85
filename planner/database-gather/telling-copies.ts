/**
 * Refuses what would tell a copy of a table from the table itself: its row type, which is
 * another than the table's, the objects and children it has not, and identifiers that each
 * database gives by itself.
 */
import type { Node, RangeVar, TypeName } from "@pgsql/types";
import type { ErrorId } from "../../base/sql-error.ts";
import type { Catalog, CatalogRelation } from "../../shardmap/catalog.ts";
import type { Analysis } from "../analyze/model.ts";
import { nameParts } from "../ast.ts";
import { PlanRefused, refuse } from "../refusal.ts";

/** Holds for placements that each evaluate a part, and not for one database that has the whole. */
const FIT_FOR_COPIES: ReadonlySet<ErrorId> = new Set([
  "expression_not_supported",
  "outer_aggregate_scattered",
]);

/** `copied`: the names of the tables whose rows are copied. */
export function refuseTellingCopies(
  statement: Node,
  { scatterRefusals, wholeRows }: Analysis,
  copied: ReadonlySet<string>,
): void {
  const barred = scatterRefusals.find(({ id }) => !FIT_FOR_COPIES.has(id));
  if (barred !== undefined) throw new PlanRefused(barred);
  for (const { source, location } of wholeRows) {
    const { content } = source;
    if (content.kind === "table" && copied.has(content.table.name))
      refuseRowType(content.table.name, location);
  }
  const pending: object[] = [statement];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const [key, child] of Object.entries(next)) {
      if (typeof child !== "object" || child === null) continue;
      if (key === "typeName") refuseTypeOf(child as TypeName, copied);
      if (key === "RangeVar") refuseOnly(child as RangeVar, copied);
      pending.push(child as object);
    }
  }
}

/** A table makes a type of its name and one of its arrays; those of temporary tables are found first. */
function refuseTypeOf({ names, location }: TypeName, copied: ReadonlySet<string>): void {
  const name = nameParts(names).at(-1) ?? "";
  const table = copied.has(name) ? name : name.replace(/^_/, "");
  if (copied.has(table)) refuseRowType(table, location);
}

function refuseRowType(table: string, location: number | undefined): never {
  return refuse(
    "whole_row_scattered",
    `row type of sharded table "${table}" is not supported over several placements`,
    { location },
  );
}

function refuseOnly({ relname = "", inh, location }: RangeVar, copied: ReadonlySet<string>): void {
  if (inh === true || !copied.has(relname)) return;
  refuse("only_scattered", `ONLY of sharded table "${relname}" is not supported here`, {
    location,
  });
}

/** regproc, regprocedure, regoper, regoperator, regclass, regtype, regconfig, regdictionary, regnamespace, regrole, regcollation */
const IDENTIFIERS: ReadonlySet<number> = new Set([
  24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191,
]);

/** What such a column holds are numbers of objects of the database it stands in. */
export function refuseIdentifiers(
  relation: CatalogRelation,
  columns: readonly string[],
  catalog: Catalog,
): void {
  for (const { name, typeOid } of relation.columns) {
    if (!columns.includes(name) || !holdsIdentifiers(typeOid, catalog)) continue;
    refuse(
      "object_identifier_scattered",
      `column "${name}" of table "${relation.name}" stands for another object in each database`,
    );
  }
}

function holdsIdentifiers(typeOid: number, catalog: Catalog): boolean {
  const seen = new Set<number>();
  for (let oid = typeOid; !seen.has(oid);) {
    if (IDENTIFIERS.has(oid)) return true;
    seen.add(oid);
    const type = catalog.types.get(oid);
    oid = type?.baseOid || type?.elementOid || oid;
  }
  return false;
}
