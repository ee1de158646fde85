/**
 * Edits of a map's text by tools: what is not changed keeps its bytes, comments, order and all.
 * The text is that of a map that was read without problems.
 */
import { invariant } from "../base/invariant.ts";
import { rangeOfValue } from "../base/document/yaml.ts";

/** The same map under another version. */
export function withVersion(text: string, version: number): string {
  const range = rangeOfValue(text, ["version"]);
  invariant(range !== undefined, "a map has a version");
  return `${text.slice(0, range.start)}${version}${text.slice(range.end)}`;
}
