/** The XML format: names with hyphens for blanks, and PostgreSQL's namespace (explain.c, ExplainXMLTag). */
import { invariant } from "../../../base/invariant.ts";
import type { ExplainNode } from "../explain-node.ts";
import { indented } from "./indented.ts";

export function xmlDocument(node: ExplainNode): string {
  const plan = element("Plan", [textElement("Node Type", node.title), ...elements(node)]);
  const query = indented(element("Query", [plan]), 2);
  return `<explain xmlns="http://www.postgresql.org/2009/explain">\n${query}\n</explain>`;
}

function elements({ properties, document, groups }: ExplainNode): readonly string[] {
  const own = properties.map(({ name, value }) => textElement(name, String(value)));
  const answered = document === undefined ? [] : [insideOfAnswer(document)];
  const lists = groups.map(({ name, itemName, nodes }) =>
    element(
      name,
      nodes.map((child) => element(itemName, elements(child))),
    ),
  );
  return [...own, ...answered, ...lists];
}

function element(name: string, content: readonly string[]): string {
  const tag = tagOf(name);
  return `<${tag}>\n${indented(content.join("\n"), 2)}\n</${tag}>`;
}

function textElement(name: string, text: string): string {
  const tag = tagOf(name);
  return `<${tag}>${escaped(text)}</${tag}>`;
}

function tagOf(name: string): string {
  return name.replaceAll(" ", "-");
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "\r": "&#x0d;",
};

function escaped(text: string): string {
  return text.replaceAll(/[&<>\r]/g, (character) => ENTITIES[character] ?? character);
}

function insideOfAnswer(document: string): string {
  const inside = /<Query>\n([\s\S]*)\n\s*<\/Query>/.exec(document)?.[1];
  invariant(inside !== undefined, "EXPLAIN (FORMAT XML) answers with one Query element");
  return inside.replaceAll(/^ {4}/gm, "");
}
