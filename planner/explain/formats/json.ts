/**
 * The JSON format: one array of one object, as PostgreSQL gives it. The databases' own
 * objects are put in as they are written, so that no number in them is read and rounded.
 */
import { invariant } from "../../../base/invariant.ts";
import type { ExplainNode } from "../explain-node.ts";
import { indented } from "./indented.ts";

export function jsonDocument(node: ExplainNode): string {
  const plan = object([`"Node Type": ${JSON.stringify(node.title)}`, ...members(node)]);
  return `[\n${indented(object([`"Plan": ${plan}`]), 2)}\n]`;
}

function members({ properties, document, groups }: ExplainNode): readonly string[] {
  const own = properties.map(
    ({ name, value }) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`,
  );
  const answered = document === undefined ? [] : [membersOfAnswer(document)];
  const lists = groups.map(({ name, nodes }) => {
    const items = nodes.map((child) => indented(object(members(child)), 2)).join(",\n");
    return `${JSON.stringify(name)}: [\n${items}\n]`;
  });
  return [...own, ...answered, ...lists];
}

function object(all: readonly string[]): string {
  return `{\n${indented(all.join(",\n"), 2)}\n}`;
}

/** `"Plan": {...}, "Planning Time": ...` out of PostgreSQL's `[ { ... } ]`. */
function membersOfAnswer(document: string): string {
  const inside = /^\s*\[\s*\{\s*([\s\S]*?)\s*\}\s*\]\s*$/.exec(document)?.[1];
  invariant(inside !== undefined, "EXPLAIN (FORMAT JSON) answers with an array of one object");
  return inside.replaceAll(/^ {4}/gm, "");
}
