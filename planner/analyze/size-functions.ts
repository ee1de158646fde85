/**
 * Functions of the size of a relation that a constant names: of a table whose rows are in
 * several databases, the catalog database knows its own part alone, and would answer with it.
 *
 * What names the relation otherwise is not looked at: an OID of pg_class, of which psql asks
 * for every table, means the catalog's own, as pg_class does.
 */
import type { FuncCall, Node } from "@pgsql/types";
import { nameParts, withoutCasts } from "../ast.ts";
import type { FunctionUse } from "../functions.ts";
import { findRelation } from "../names.ts";
import type { PlanContext } from "../plan-context.ts";
import { refuse } from "../refusal.ts";
import { splitName } from "../session-values.ts";

const SIZE_FUNCTIONS: ReadonlySet<string> = new Set([
  "pg_relation_size",
  "pg_table_size",
  "pg_indexes_size",
  "pg_total_relation_size",
]);

export function refuseSizeOfPart(
  { name, location }: FunctionUse,
  { args }: FuncCall,
  context: PlanContext,
): void {
  if (!SIZE_FUNCTIONS.has(name)) return;
  const table = tableElsewhere(constantText(args?.[0]) ?? "", context);
  if (table === undefined) return;
  refuse(
    "server_state_scattered",
    `function ${name} tells of one database, and not of the whole of table "${table}"`,
    {
      location,
      detail: "Rows of the table are in other databases.",
      hint: "Ask the databases that hold its rows, past the proxy.",
    },
  );
}

/** `'orders'`, under casts and to_regclass() or not. */
function constantText(argument: Node | undefined): string | undefined {
  const value = withoutCasts(argument);
  if (value === undefined) return undefined;
  if ("A_Const" in value) return value.A_Const.sval?.sval;
  if (!("FuncCall" in value)) return undefined;
  const { funcname, args } = value.FuncCall;
  return nameParts(funcname).at(-1) === "to_regclass" ? constantText(args?.[0]) : undefined;
}

/** The mapped table that a text means, unless the catalog database holds all of it. */
function tableElsewhere(text: string, context: PlanContext): string | undefined {
  const [relname, schemaname] = splitName(text).toReversed();
  if (relname === undefined) return undefined;
  const { map } = context;
  const named = findRelation(
    schemaname === undefined ? { relname } : { relname, schemaname },
    context,
  );
  if (named?.schema !== map.canonicalSchema) return undefined;
  const table = map.tables.get(named.name);
  const isWhole =
    table === undefined ||
    table.kind === "reference" ||
    (table.kind === "group" &&
      table.group.database === map.catalog &&
      table.group.schema === map.canonicalSchema);
  return isWhole ? undefined : named.name;
}
