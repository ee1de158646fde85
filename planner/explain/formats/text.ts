/**
 * The text format: lines, of which a client gets one a row. A node stands below another
 * behind an arrow, and what is of it six columns further right, as in PostgreSQL's own
 * plans (explain.c, ExplainIndentText), so that those fit below ours.
 */
import type { ExplainNode } from "../explain-node.ts";

export function textLines(node: ExplainNode, isVerbose: boolean): readonly string[] {
  const shown = node.properties.filter(({ isLong }) => isVerbose || !isLong);
  const own = shown.flatMap(({ name, value }) => `${name}: ${value}`.split("\n"));
  const children = node.groups.flatMap(({ nodes }) =>
    nodes.map((child) => textLines(child, isVerbose)),
  );
  const plans = node.document === undefined ? children : [node.document.split("\n"), ...children];
  return [node.title, ...own.map((line) => `  ${line}`), ...plans.flatMap(below)];
}

function below(lines: readonly string[]): readonly string[] {
  return lines.map((line, index) => (index === 0 ? `  ->  ${line}` : `      ${line}`));
}
