/**
 * `pg_listening_channels()` in a SELECT: the backend that runs it listens to nothing, so the
 * channels of the session are spliced in as an array, under the function's name. A call that is
 * written in another way than by its name and parentheses stays, and is refused by
 * function-rules.ts, as in statements that are no SELECT.
 */
import type { FuncCall, Node } from "@pgsql/types";
import { quoteLiteral } from "../base/sql-quoting.ts";
import { nameParts, walkNodes } from "./ast.ts";
import { parseSql, type ParsedStatement } from "./parse.ts";
import { nameExtent } from "./rewrite.ts";
import { composedOrigin, editText, type TextEdit } from "./text-origin.ts";

const NAME = "pg_listening_channels";

/** Whether its plan holds for one session at one time only. */
export function mayListChannels(text: string): boolean {
  return text.toLowerCase().includes(NAME);
}

/** The statement itself where there is nothing to splice. */
export function listChannels(
  statement: ParsedStatement,
  listening: readonly string[] | undefined,
): ParsedStatement {
  const { node, text } = statement;
  if (listening === undefined || !("SelectStmt" in node) || !mayListChannels(text))
    return statement;
  const channels = `pg_catalog.unnest(ARRAY[${listening.map(quoteLiteral).join(", ")}]::pg_catalog.text[])`;
  const edits = callsOf(node).flatMap(({ call, isNamed }): readonly TextEdit[] => {
    const extent = callExtent(statement, call);
    return extent === undefined
      ? []
      : [{ ...extent, text: isNamed ? channels : `${channels} AS ${NAME}` }];
  });
  const made = editText(text, edits);
  const outcome = parseSql(made.text);
  const [spliced] = outcome.kind === "statements" ? outcome.statements : [];
  return spliced?.madeOf(composedOrigin(made.origin, statement.origin)) ?? statement;
}

interface Call {
  readonly call: FuncCall;
  /** What it gives has a name that is not the function's, or needs none. */
  readonly isNamed: boolean;
}

function callsOf(node: Node): readonly Call[] {
  const calls: Call[] = [];
  const unnamed = new Set<FuncCall>();
  walkNodes(node, ({ kind, body }) => {
    const wrapped = { [kind]: body } as unknown as Node;
    if ("ResTarget" in wrapped) {
      const { name, val } = wrapped.ResTarget;
      if (name === undefined && val !== undefined && "FuncCall" in val) unnamed.add(val.FuncCall);
    } else if ("RangeFunction" in wrapped) {
      const { alias, ordinality, coldeflist, functions = [] } = wrapped.RangeFunction;
      const [first] = functions;
      const [call] = first !== undefined && "List" in first ? (first.List.items ?? []) : [];
      if (call === undefined || !("FuncCall" in call) || alias !== undefined) return true;
      // The name would have to follow what stands behind the call.
      if (ordinality === true || coldeflist !== undefined || functions.length > 1) return false;
      unnamed.add(call.FuncCall);
    } else if ("FuncCall" in wrapped && isListing(wrapped.FuncCall)) {
      calls.push({ call: wrapped.FuncCall, isNamed: !unnamed.has(wrapped.FuncCall) });
    }
    return true;
  });
  return calls;
}

function isListing({ funcname, args = [] }: FuncCall): boolean {
  const [name, schema = "pg_catalog"] = nameParts(funcname).toReversed();
  return name === NAME && schema === "pg_catalog" && args.length === 0;
}

/** From the name to the parenthesis that closes it; undefined where something else stands between. */
function callExtent(
  statement: ParsedStatement,
  { funcname, location }: FuncCall,
): { readonly start: number; readonly end: number } | undefined {
  const name = nameExtent(statement, location, nameParts(funcname).length);
  const rest = /^\s*\(\s*\)(?!\s*(?:OVER|FILTER|WITHIN)\b)/i.exec(statement.text.slice(name.end));
  return rest === null ? undefined : { start: name.start, end: name.end + rest[0].length };
}
