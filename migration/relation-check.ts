/** Compares what the stream says a table is with what the move was set up for: rows are never read as what they are not. */
import { SqlError } from "../base/sql-error.ts";
import type { Relation } from "../proxy/protocol/replication/relation.ts";
import { tableName, type MovedTable } from "./move.ts";

/** Throws `migration_schema_changed`. */
export function checkRelation(table: MovedTable, relation: Relation): void {
  const { columns, identity, oldRows } = table;
  const refuse = (what: string): never => {
    throw new SqlError(
      "migration_schema_changed",
      `table "${tableName(table)}" has changed since the migration was set up: ${what}`,
    );
  };
  for (const [index, column] of columns.entries()) {
    const streamed = relation.columns[index];
    if (streamed === undefined) return refuse(`column "${column.name}" is gone`);
    if (streamed.name !== column.name)
      return refuse(`column "${streamed.name}" stands where "${column.name}" was`);
    if (streamed.typeOid !== column.typeOid || streamed.typmod !== column.typmod)
      return refuse(`column "${column.name}" has another type than ${column.type}`);
  }
  const added = relation.columns[columns.length];
  if (added !== undefined) return refuse(`column "${added.name}" was added`);
  if ((relation.replicaIdentity === "f") !== (oldRows === "full"))
    return refuse("its replica identity is another");
  if (oldRows === "full") return undefined;
  const lost = identity.find((index) => relation.columns[index]?.isIdentity !== true);
  if (lost !== undefined)
    return refuse(`column "${columns[lost]?.name ?? ""}" is no longer of its replica identity`);
  return undefined;
}
