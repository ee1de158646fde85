/** An explanation as the rows that answer EXPLAIN: a line each as text, one row in all other formats. */
import { unreachable } from "../../../base/invariant.ts";
import type { ExplainFormat, ExplainNode } from "../explain-node.ts";
import { jsonDocument } from "./json.ts";
import { textLines } from "./text.ts";
import { xmlDocument } from "./xml.ts";
import { yamlDocument } from "./yaml.ts";

/** `isVerbose`: of the text format alone; the others always tell all. */
export function explainRows(
  node: ExplainNode,
  format: ExplainFormat,
  isVerbose: boolean,
): readonly string[] {
  switch (format) {
    case "text":
      return textLines(node, isVerbose);
    case "json":
      return [jsonDocument(node)];
    case "yaml":
      return [yamlDocument(node)];
    case "xml":
      return [xmlDocument(node)];
    default:
      return unreachable(format);
  }
}
