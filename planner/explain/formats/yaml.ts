/** The YAML format, in PostgreSQL's subset: scalars are numbers, or texts quoted as in JSON (explain.c, escape_yaml). */
import type { ExplainNode } from "../explain-node.ts";
import { indented } from "./indented.ts";

export function yamlDocument(node: ExplainNode): string {
  const type = `Node Type: ${JSON.stringify(node.title)}`;
  return `- Plan: \n${indented([type, ...entries(node)].join("\n"), 4)}`;
}

function entries({ properties, document, groups }: ExplainNode): readonly string[] {
  const own = properties.map(({ name, value }) => `${name}: ${JSON.stringify(value)}`);
  // The answer is a list of one entry, whose first line has the dash.
  const answered = document === undefined ? [] : [document.replaceAll(/^.{2}/gm, "")];
  const lists = groups.map(({ name, nodes }) => {
    const items = nodes.map((child) => `- ${indented(entries(child).join("\n"), 2).trimStart()}`);
    return `${name}: \n${indented(items.join("\n"), 2)}`;
  });
  return [...own, ...answered, ...lists];
}
