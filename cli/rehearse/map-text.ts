/** A map's text for servers of a rehearsal: its databases' URLs are theirs, its version is the rehearsal's. */
import { isMap, parseDocument } from "yaml";
import { invariant } from "../../base/invariant.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";

/** `text` is that of a map that was read without problems. Comments and order stay. */
export function rehearsedMap(
  { text, databases }: Pick<ShardMap, "text" | "databases">,
  version: number,
  urlOf: (database: string) => string,
): string {
  const document = parseDocument(text);
  invariant(isMap(document.contents), "a map's text is a mapping");
  document.set("version", version);
  for (const name of databases.keys())
    document.setIn(["databases", name], { primary: urlOf(name) });
  return document.toString();
}
