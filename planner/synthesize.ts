/**
 * Writes a changed tree as SQL. The deparser is not trusted: what it wrote is parsed again
 * and must give the very tree that was meant, else the statement is refused.
 */
import type { Node, SelectStmt } from "@pgsql/types";
import { Deparser } from "pgsql-deparser";
import { sameTree } from "./ast.ts";
import { parseSql, type ParsedStatement } from "./parse.ts";
import { refuse } from "./refusal.ts";

export function synthesize(tree: Node): ParsedStatement {
  for (const print of [printPlain, printParenthesized]) {
    const statement = readBack(tree, print);
    if (statement !== undefined) return statement;
  }
  return refuse(
    "synthesized_statement_differs",
    "the statement cannot be rewritten for several placements",
  );
}

type Print = (node: Node) => string;

/** Undefined where the text does not say what the tree does. */
function readBack(tree: Node, print: Print): ParsedStatement | undefined {
  let text: string;
  try {
    text = printStatement(tree, print);
  } catch {
    return undefined;
  }
  const outcome = parseSql(text);
  const [statement, more] = outcome.kind === "statements" ? outcome.statements : [];
  return more === undefined && sameTree(statement?.node, tree) ? statement : undefined;
}

function printPlain(node: Node): string {
  return new Deparser(node, { pretty: false }).deparseQuery();
}

/** The deparser leaves out parentheses that operators of unlike precedence need: here each operation has its own. */
function printParenthesized(node: Node): string {
  return new ParenthesizingDeparser(node, { pretty: false }).deparseQuery();
}

const OPERATIONS: ReadonlySet<string> = new Set([
  "A_Expr",
  "BoolExpr",
  "BooleanTest",
  "JsonIsPredicate",
  "NullTest",
]);

class ParenthesizingDeparser extends Deparser {
  override visit(...[node, context]: Parameters<Deparser["visit"]>): string {
    const text = super.visit(node, context);
    return OPERATIONS.has(this.getNodeType(node)) ? `(${text})` : text;
  }
}

/** The deparser writes every LIMIT as one that drops ties. */
function printStatement(tree: Node, print: Print): string {
  if (!("SelectStmt" in tree) || tree.SelectStmt.limitOption !== "LIMIT_OPTION_WITH_TIES")
    return print(tree);
  const { limitCount, limitOffset, ...rest }: SelectStmt = tree.SelectStmt;
  const select = print({ SelectStmt: { ...rest, limitOption: "LIMIT_OPTION_DEFAULT" } });
  const offset = limitOffset === undefined ? "" : ` OFFSET ${print(limitOffset)}`;
  const count = limitCount === undefined ? "" : print(limitCount);
  return `${select}${offset} FETCH FIRST (${count}) ROWS WITH TIES`;
}
