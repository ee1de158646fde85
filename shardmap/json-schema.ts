/**
 * The JSON Schema of a shard map file, for editors: completion, field descriptions, and the
 * structure checked while typing. Made from the validator itself (docs/shard-map.schema.json
 * is this, and a test keeps it so); what fields mean together only `colonnade check` tells.
 */
import { z } from "zod";
import { mapFile } from "./map-file/format.ts";

/** Draft 7: what the YAML language servers of editors read. */
export function printShardMapJsonSchema(): string {
  const { $schema, ...schema } = z.toJSONSchema(mapFile, { io: "input", target: "draft-7" });
  const document = { $schema, title: "Colonnade shard map", ...schema };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}
