/**
 * What migrations make in databases: each is written down here before it is made, and forgotten
 * once it is removed. So whatever a crash leaves behind has a row that names it.
 */
import { quoteLiteral } from "../base/sql-quoting.ts";
import type { ControlDatabase } from "./control-database.ts";

export interface MigrationObject {
  readonly migration: string;
  readonly database: string;
  readonly kind: ObjectKind;
  readonly name: string;
  readonly remove: "always" | "on cancel" | "on completion";
}

/** `subscription` and the like are not ours to make. */
export type ObjectKind =
  | "publication"
  | "slot"
  | "origin"
  | "event trigger"
  | "fence"
  | "table"
  | "schema";

export async function intendObject(
  database: ControlDatabase,
  object: MigrationObject,
): Promise<void> {
  const { migration, kind, name, remove } = object;
  const values = [migration, object.database, kind, name, remove].map(quoteLiteral).join(", ");
  await database.query(
    `INSERT INTO colonnade.migration_object (migration, database, kind, name, remove) VALUES (${values}) ON CONFLICT (migration, database, kind, name) DO UPDATE SET remove = excluded.remove`,
  );
}

/** It is removed, or was found not to be there. */
export async function forgetObject(
  database: ControlDatabase,
  { migration, database: where, kind, name }: Omit<MigrationObject, "remove">,
): Promise<void> {
  await database.query(
    `DELETE FROM colonnade.migration_object WHERE migration = ${quoteLiteral(migration)} AND database = ${quoteLiteral(where)} AND kind = ${quoteLiteral(kind)} AND name = ${quoteLiteral(name)}`,
  );
}

/** In the order in which they were intended; to be removed in the reverse one. */
export async function listObjects(database: ControlDatabase): Promise<readonly MigrationObject[]> {
  const rows = await database.query(
    "SELECT migration, database, kind, name, remove FROM colonnade.migration_object ORDER BY intended_at, database, name",
  );
  return rows.map(([migration, where, kind, name, remove]) => ({
    migration: migration ?? "",
    database: where ?? "",
    kind: kind as ObjectKind,
    name: name ?? "",
    remove: remove as MigrationObject["remove"],
  }));
}
