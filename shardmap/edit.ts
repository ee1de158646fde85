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

/** The same map with databases that are on servers of these URLs, by name, whatever was said of their servers. */
export function withServerUrls(text: string, urls: ReadonlyMap<string, string>): string {
  const edits = [...urls].map(([name, url]) => {
    const range = rangeOfValue(text, ["databases", name]);
    invariant(range !== undefined, "the map lists the databases");
    // A value of several lines has the end of its last one.
    const { length } = text.slice(range.start, range.end).trimEnd();
    const value = `{ primary: ${JSON.stringify(url)} }`;
    return { start: range.start, end: range.start + length, value };
  });
  // From the last one on, so that what is before each stays where it is.
  return edits
    .toSorted((left, right) => right.start - left.start)
    .reduce(
      (edited, { start, end, value }) => edited.slice(0, start) + value + edited.slice(end),
      text,
    );
}
