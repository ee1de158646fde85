/**
 * Errors about a schema that no client can name: one that placements have of their own. Who may
 * use the canonical schema may have to be let into those as well; the hint says how.
 */
import type { ShardMap } from "../../shardmap/shard-map.ts";
import type { ErrorFields } from "../protocol/backend/error-response.ts";

const INSUFFICIENT_PRIVILEGE = "42501";

/** The fields, with a hint where the error is about such a schema. */
export function withSchemaHint(fields: ErrorFields, map: ShardMap): ErrorFields {
  if (fields.C !== INSUFFICIENT_PRIVILEGE || fields.H !== undefined) return fields;
  const schema = /^permission denied for schema (.+)$/.exec(fields.M ?? "")?.[1];
  const { canonicalSchema } = map;
  if (schema === undefined || schema === canonicalSchema) return fields;
  const placements = [...map.colocations.values()].flatMap((each) => each.placements);
  const databases = new Set(
    placements.filter((each) => each.schema === schema).map(({ database }) => `"${database}"`),
  );
  if (databases.size === 0) return fields;
  const hint = `Placements of tables of schema "${canonicalSchema}" are in schema "${schema}" of database ${[...databases].join(" and ")}. GRANT USAGE ON SCHEMA ${canonicalSchema} to the role through the proxy: it is granted there, too.`;
  return { ...fields, H: hint };
}
