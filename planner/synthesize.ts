/**
 * Writes a changed tree as SQL. The deparser is not trusted: what it wrote is parsed again
 * and must give the very tree that was meant, else the statement is refused.
 */
import type { Node, SelectStmt } from "@pgsql/types";
import { deparseSync } from "pgsql-deparser";
import { sameTree } from "./ast.ts";
import { parseSql, type ParsedStatement } from "./parse.ts";
import { refuse } from "./refusal.ts";

export function synthesize(tree: Node): ParsedStatement {
  const outcome = parseSql(print(tree));
  const [statement, more] = outcome.kind === "statements" ? outcome.statements : [];
  if (statement === undefined || more !== undefined || !sameTree(statement.node, tree)) {
    return refuse(
      "synthesized_statement_differs",
      "the statement cannot be rewritten for several placements",
    );
  }
  return statement;
}

function print(tree: Node): string {
  try {
    const isTied = "SelectStmt" in tree && tree.SelectStmt.limitOption === "LIMIT_OPTION_WITH_TIES";
    return isTied ? printWithTies(tree.SelectStmt) : deparseSync(tree, { pretty: false });
  } catch {
    return refuse(
      "synthesized_statement_differs",
      "the statement cannot be rewritten for several placements",
    );
  }
}

/** The deparser writes every LIMIT as one that drops ties. */
function printWithTies({ limitCount, limitOffset, ...rest }: SelectStmt): string {
  const text = (node: Node | undefined) => deparseSync(node ?? {}, { pretty: false });
  const select = text({ SelectStmt: { ...rest, limitOption: "LIMIT_OPTION_DEFAULT" } });
  const offset = limitOffset === undefined ? "" : ` OFFSET ${text(limitOffset)}`;
  return `${select}${offset} FETCH FIRST (${text(limitCount)}) ROWS WITH TIES`;
}
