/**
 * Names that are longer than PostgreSQL keeps, in a statement that no server sees: the grammar has cut
 * them as PostgreSQL does, and says nothing of it (scansup.c, truncate_identifier).
 */
import { tokenize } from "../../planner/lexer.ts";

/** NAMEDATALEN - 1 */
const NAME_BYTES_MAX = 63;

export interface TruncatedName {
  readonly name: string;
  readonly kept: string;
}

/** In order. */
export function truncatedNames(sql: string): readonly TruncatedName[] {
  if (Buffer.byteLength(sql) <= NAME_BYTES_MAX) return [];
  return tokenize(sql).flatMap(({ kind, start, end }) => {
    if (kind !== "word" && kind !== "quoted") return [];
    const name = nameOf(sql.slice(start, end));
    return Buffer.byteLength(name) <= NAME_BYTES_MAX ? [] : [{ name, kept: keptOf(name) }];
  });
}

/** Without quotes, letters of ASCII are folded to lower case, and no others. */
function nameOf(token: string): string {
  if (!token.startsWith('"')) return token.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
  return token.slice(1, -1).replaceAll('""', '"');
}

/** No character is cut in two. */
function keptOf(name: string): string {
  let kept = "";
  let bytes = 0;
  for (const character of name) {
    bytes += Buffer.byteLength(character);
    if (bytes > NAME_BYTES_MAX) break;
    kept += character;
  }
  return kept;
}
