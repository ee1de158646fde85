/** Names of migrations and of their moves: letters that slots may have, the same each time. */
import { createHash } from "node:crypto";
import type { DatabaseName } from "../../base/ids.ts";
import { IDENTIFIER_BYTES_MAX, MIGRATION_NAME_LENGTH_MAX } from "../../base/limits.ts";
import type { PlannedMove, PlannedTable } from "../move.ts";

/** `move_users_db1_public`. What is too long, or is spelled otherwise, ends with a hash of itself. */
export function migrationName(...parts: readonly string[]): string {
  return plainName(MIGRATION_NAME_LENGTH_MAX, parts);
}

/** What the table is called once its rows have left: tables of several schemas come together. */
export function retiredName(
  migration: string,
  { schema, name }: { readonly schema: string; readonly name: string },
): string {
  return plainName(IDENTIFIER_BYTES_MAX, [migration, schema, name]);
}

function plainName(lengthMax: number, parts: readonly string[]): string {
  const whole = parts.join("_");
  const plain = whole.toLowerCase().replaceAll(/[^a-z0-9_]/g, "_");
  if (plain === whole && plain.length <= lengthMax) return plain;
  const hash = createHash("sha256").update(parts.join("\0")).digest("hex").slice(0, 8);
  return `${plain.slice(0, lengthMax - hash.length - 1)}_${hash}`;
}

/** One for each source; several are numbered. */
export function movesOf(
  migration: string,
  tables: readonly (PlannedTable & { readonly source: DatabaseName })[],
): readonly PlannedMove[] {
  const bySource = [...Map.groupBy(tables, ({ source }) => source)];
  return bySource.map(([source, own], index) => ({
    name: bySource.length === 1 ? migration : `${migration}_${index + 1}`,
    source,
    tables: own.map(({ source: _source, ...table }) => table),
  }));
}
