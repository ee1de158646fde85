/**
 * Function calls written as a value whose result the proxy draws itself: `nextval` of a
 * sequence all placements share, and random uuids, which may be a row's shard key.
 */
import type { FuncCall, Node } from "@pgsql/types";
import { nameParts } from "../ast.ts";
import type { GeneratedColumn } from "../generated-column.ts";
import { searchedSchemas } from "../names.ts";
import type { PlanContext } from "../plan-context.ts";

const RANDOM_UUID = new Set(["gen_random_uuid", "uuidv4", "uuid_generate_v4"]);

export function drawnByCall(
  value: Node,
  context: PlanContext,
): GeneratedColumn["source"] | undefined {
  if (!("FuncCall" in value)) return undefined;
  const call = value.FuncCall;
  const names = nameParts(call.funcname);
  const name = names.at(-1) ?? "";
  const isPlain = names.length === 1 || names[0] === "pg_catalog" || name === "uuid_generate_v4";
  if (!isPlain || call.agg_filter !== undefined || call.over !== undefined) return undefined;
  if (RANDOM_UUID.has(name)) return call.args === undefined ? { kind: "randomUuid" } : undefined;
  return name === "nextval" ? sequenceOf(call, context) : undefined;
}

function sequenceOf(
  { args }: FuncCall,
  context: PlanContext,
): GeneratedColumn["source"] | undefined {
  const [argument] = args ?? [];
  const literal =
    argument !== undefined && "TypeCast" in argument ? argument.TypeCast.arg : argument;
  if (args?.length !== 1 || literal === undefined || !("A_Const" in literal)) return undefined;
  const parts = identifierParts(literal.A_Const.sval?.sval ?? "");
  if (parts === undefined) return undefined;
  const [schema, name] = parts.length === 2 ? parts : [undefined, parts[0]];
  if (name === undefined) return undefined;
  for (const searched of schema === undefined ? searchedSchemas(context) : [schema]) {
    const relation = context.catalog.relations.get(searched)?.get(name);
    if (relation !== undefined)
      return relation.kind === "sequence"
        ? { kind: "sequence", schema: searched, sequence: name, isIdentity: false }
        : undefined;
  }
  return undefined;
}

/** A name as regclass reads it: one or two identifiers, folded to lower case unless quoted. */
function identifierParts(text: string): readonly string[] | undefined {
  const match =
    /^\s*(?:("(?:[^"]|"")+"|[a-z_\u0080-\uffff][\w$\u0080-\uffff]*)\s*\.\s*)?("(?:[^"]|"")+"|[a-z_\u0080-\uffff][\w$\u0080-\uffff]*)\s*$/i.exec(
      text,
    );
  if (match === null) return undefined;
  return [match[1], match[2]].flatMap((part) => (part === undefined ? [] : [identifier(part)]));
}

function identifier(part: string): string {
  return part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : asciiLower(part);
}

/** downcase_identifier in UTF-8 databases folds ASCII letters alone. */
function asciiLower(text: string): string {
  return text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}
