/**
 * Refuses what would tell the block in which rows are gathered from the client's own transaction:
 * its isolation level, whether it may write, and the schema of its temporary tables.
 */
import type { FuncCall, Node } from "@pgsql/types";
import { nameParts, walkNodes, withoutCasts } from "../ast.ts";
import { refuse } from "../refusal.ts";

/** Settings that PostgreSQL keeps for each transaction. */
const TRANSACTION_SETTINGS: ReadonlySet<string> = new Set([
  "transaction_isolation",
  "transaction_read_only",
  "transaction_deferrable",
]);

export function refuseTellingBlock(statement: Node): void {
  walkNodes(statement, ({ kind, body }) => {
    if (kind !== "FuncCall") return true;
    const call = body as FuncCall;
    const name = tellingName(call);
    if (name === undefined) return true;
    return refuse(
      "transaction_function_gathered",
      `function ${name} cannot be used in a statement whose rows are gathered from several databases`,
      { location: call.location },
    );
  });
}

function tellingName({ funcname, args = [] }: FuncCall): string | undefined {
  const [name, schema = "pg_catalog"] = nameParts(funcname).toReversed();
  if (schema !== "pg_catalog") return undefined;
  const [argument] = args;
  if (name === "current_schemas" && !isFalse(argument)) return name;
  if (name !== "current_setting") return undefined;
  const setting = constantText(argument)?.toLowerCase();
  // A name that is only known when it runs may be any.
  return setting === undefined || TRANSACTION_SETTINGS.has(setting) ? name : undefined;
}

function isFalse(node: Node | undefined): boolean {
  if (node === undefined || !("A_Const" in node)) return false;
  const { boolval } = node.A_Const;
  return boolval !== undefined && boolval.boolval !== true;
}

function constantText(node: Node | undefined): string | undefined {
  const constant = withoutCasts(node);
  return constant !== undefined && "A_Const" in constant ? constant.A_Const.sval?.sval : undefined;
}
