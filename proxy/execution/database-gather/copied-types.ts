/** Which columns' values mean the same in every database, so that their binary form may be copied from one to another. */
import { SqlError } from "../../../base/sql-error.ts";
import type { ColumnDescription } from "../../protocol/backend/row-description.ts";
import type { GatherTypes } from "../gather/gather.ts";

/** regproc, regprocedure, regoper, regoperator, regclass, regtype, regconfig, regdictionary, regnamespace, regrole, regcollation (pg_type.dat). */
const OBJECT_IDENTIFIER_TYPES: ReadonlySet<number> = new Set([
  24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191,
]);

/** Their binary form is an OID, which each database draws for itself; their text is a name. */
export function refuseObjectIdentifiers(
  columns: readonly ColumnDescription[],
  { byOid }: GatherTypes,
): void {
  for (const { name, typeOid } of columns) {
    const elementOid = byOid.get(typeOid)?.elementOid ?? 0;
    if (!OBJECT_IDENTIFIER_TYPES.has(typeOid) && !OBJECT_IDENTIFIER_TYPES.has(elementOid)) continue;
    throw new SqlError(
      "type_not_translatable",
      `values of column "${name}" cannot be carried between databases: type ${byOid.get(typeOid)?.name ?? typeOid} names an object of one`,
      { hint: "Cast the column to text." },
    );
  }
}
