/**
 * SELECT statements that are about the session, and that its client may mean as commands:
 * `SELECT set_config(...)`, `SELECT nextval('s')`, `SELECT currval('s'), lastval()`. Only where
 * such calls are all there is can it be told what they do and give. pg_dump sets what an older server may
 * not have by `SELECT set_config(name, ...) FROM pg_settings WHERE name = '...'`.
 */
import type { FuncCall, Node, ResTarget, SelectStmt } from "@pgsql/types";
import { nameParts } from "./ast.ts";
import type { QueryPlan } from "./logical-plan.ts";
import { findRelation, isTemporary } from "./names.ts";
import { parseSql, type ParsedStatement } from "./parse.ts";
import type { PlanContext } from "./plan-context.ts";
import { refuse } from "./refusal.ts";
import { templateFor } from "./statement-text.ts";
import { AS_THEY_COME } from "./several.ts";

/** A value known now, or at Bind. */
export type SessionTerm =
  | { readonly kind: "constant"; readonly text: string | null }
  | { readonly kind: "parameter"; readonly number: number };

export interface SetConfigCall {
  readonly name: SessionTerm;
  readonly value: SessionTerm;
  readonly isLocal: SessionTerm;
}

export interface SequenceCall {
  readonly function: "nextval" | "currval" | "lastval" | "pg_backend_pid";
  /** As the client wrote it; empty for what has none, and where a parameter tells it. */
  readonly sequence: string;
  /** Of currval($1), as DBD::Pg and PDO ask for the id that they have just inserted. */
  readonly parameter: number | undefined;
  /** Of currval(pg_get_serial_sequence('users', 'id')), as frameworks ask: the server tells which sequence that is. */
  readonly serial: { readonly table: string; readonly column: string } | undefined;
  readonly location: number | undefined;
  /** What the client calls the column. */
  readonly column: string;
}

export type SessionCalls =
  | {
      readonly kind: "setConfig";
      readonly calls: readonly SetConfigCall[];
      /** Of the second form, no row and nothing set where the server has no such setting. */
      readonly runs: "once" | "where the setting exists";
    }
  | { readonly kind: "sequence"; readonly calls: readonly SequenceCall[] };

/** Undefined for any other statement. */
export function planSessionValues(
  statement: ParsedStatement,
  context: PlanContext,
): QueryPlan | undefined {
  const found = sessionCalls(statement.node);
  if (found === undefined) return undefined;
  if (found.kind === "sequence") found.calls.forEach((call) => refuseMissing(call, context));
  const isDrawing = found.kind === "sequence" && found.calls.some(isNextval);
  const isServers =
    found.kind === "sequence" && !found.calls.some((call) => isGlobal(call, context));
  if (
    !isServers &&
    found.kind === "sequence" &&
    !found.calls.every((call) => isGlobal(call, context))
  )
    return undefined;
  return {
    kind: "query",
    access: isDrawing ? "write" : "read",
    rule: found.kind === "setConfig" ? "setConfig" : "sequenceValue",
    routing: {
      kind: "home",
      database: context.map.catalog,
      because: isServers ? "session" : "session value",
    },
    template: templateFor(statement, context),
    several: AS_THEY_COME,
    returnsRows: true,
  };
}

/** The calls of a plan of this file, which is made of nothing else. */
export function sessionCallsOf({ template }: QueryPlan): SessionCalls | undefined {
  const outcome = parseSql(template.sql);
  const [statement] = outcome.kind === "statements" ? outcome.statements : [];
  return statement === undefined ? undefined : sessionCalls(statement.node);
}

function isNextval(call: SequenceCall): boolean {
  return call.function === "nextval";
}

/** A name that means no sequence, the server refuses; a temporary one is on the session's own backend, which knows. */
function isGlobal(call: SequenceCall, context: PlanContext): boolean {
  if (call.function === "lastval" || call.function === "pg_backend_pid") return true;
  if (call.parameter !== undefined || call.serial !== undefined) return true;
  return sequenceKey(call.sequence, context) !== undefined;
}

/** A backend that others use may know a sequence that the catalog does not know yet, and would tell what they drew. */
function refuseMissing(call: SequenceCall, context: PlanContext): void {
  if (call.function !== "currval" || call.parameter !== undefined || call.serial !== undefined)
    return;
  const [relname = "", schemaname] = splitName(call.sequence).toReversed();
  const name = schemaname === undefined ? { relname } : { relname, schemaname };
  if (findRelation(name, context) !== undefined) return;
  const written = schemaname === undefined ? relname : `${schemaname}.${relname}`;
  refuse("relation_does_not_exist", `relation "${written}" does not exist`, {
    location: call.location,
  });
}

/** Schema and name of the sequence that a text means as a regclass; undefined for none, and for a temporary one. */
export function sequenceKey(
  text: string,
  context: PlanContext,
): { readonly schema: string; readonly sequence: string } | undefined {
  const parts = splitName(text);
  const [relname, schemaname] = parts.toReversed();
  if (relname === undefined || parts.length > 2) return undefined;
  const name = schemaname === undefined ? { relname } : { relname, schemaname };
  const relation = findRelation(name, context);
  if (relation === undefined || relation.kind !== "sequence" || isTemporary(relation))
    return undefined;
  return { schema: relation.schema, sequence: relation.name };
}

const NAME = /\s*(?:"((?:[^"]|"")+)"|([\p{L}_][\p{L}\p{N}_$]*))\s*(?:\.|$)/uy;

/** The names of a text as a regclass reads it, the schema first; empty for what is no name. */
export function splitName(text: string): readonly string[] {
  const parts: string[] = [];
  let end = 0;
  while (end < text.length) {
    NAME.lastIndex = end;
    const match = NAME.exec(text);
    if (match === null) return [];
    const [all, quoted, plain] = match;
    parts.push(quoted === undefined ? (plain ?? "").toLowerCase() : quoted.replaceAll('""', '"'));
    end += all.length;
  }
  return text.trimEnd().endsWith(".") ? [] : parts;
}

function sessionCalls(node: Node): SessionCalls | undefined {
  if (!("SelectStmt" in node)) return undefined;
  const targets = plainTargets(node.SelectStmt);
  if (targets === undefined) return setConfigWhereKnown(node.SelectStmt);
  const setConfigs = targets
    .map((target) => setConfigCall(target))
    .filter((call) => call !== undefined);
  if (setConfigs.length > 0)
    return targets.every((target) => setConfigCall(target) !== undefined || isReading(target))
      ? { kind: "setConfig", calls: setConfigs, runs: "once" }
      : undefined;
  const sequences = targets.map(sequenceCall);
  if (!sequences.every((call) => call !== undefined)) return undefined;
  // What is drawn is read off the answer, which so has to be one value.
  if (sequences.length > 1 && sequences.some(isNextval)) return undefined;
  return { kind: "sequence", calls: sequences };
}

/** Of a SELECT that has nothing but a target list. */
function plainTargets(select: SelectStmt): readonly ResTarget[] | undefined {
  const { targetList = [], limitOption, op, ...others } = select;
  const hasMore = Object.entries(others).some(
    ([key, value]) => value !== undefined && value !== false && key !== "groupDistinct",
  );
  if (hasMore || targetList.length === 0) return undefined;
  if (limitOption !== undefined && limitOption !== "LIMIT_OPTION_DEFAULT") return undefined;
  if (op !== undefined && op !== "SETOP_NONE") return undefined;
  const targets = targetList.map((target) =>
    "ResTarget" in target ? target.ResTarget : undefined,
  );
  return targets.every((target) => target !== undefined) ? targets : undefined;
}

function plainCall({ val }: ResTarget): { name: string; args: readonly Node[] } | undefined {
  if (val === undefined || !("FuncCall" in val)) return undefined;
  const { funcname, args = [], funcformat, ...others }: FuncCall = val.FuncCall;
  const isPlain = Object.entries(others).every(
    ([key, value]) => key === "location" || value === undefined || value === false,
  );
  if (!isPlain || (funcformat !== undefined && funcformat !== "COERCE_EXPLICIT_CALL"))
    return undefined;
  const [name = "", schema = "pg_catalog", ...more] = nameParts(funcname).toReversed();
  return more.length > 0 || schema !== "pg_catalog" ? undefined : { name, args };
}

/** Of `FROM pg_settings WHERE name = 'a constant'`, whose column `name` the calls may mean by it. */
function setConfigWhereKnown(select: SelectStmt): SessionCalls | undefined {
  const { fromClause = [], whereClause, ...rest } = select;
  const targets = plainTargets(rest);
  const known = fromClause.length === 1 ? knownSetting(fromClause[0], whereClause) : undefined;
  if (targets === undefined || known === undefined) return undefined;
  const calls = targets.map((target) => setConfigCall(target, known));
  return calls.every((call) => call !== undefined)
    ? { kind: "setConfig", calls, runs: "where the setting exists" }
    : undefined;
}

function knownSetting(from: Node | undefined, where: Node | undefined): SessionTerm | undefined {
  if (from === undefined || !("RangeVar" in from)) return undefined;
  const { relname, schemaname = "pg_catalog", catalogname, alias } = from.RangeVar;
  const isView = relname === "pg_settings" && schemaname === "pg_catalog";
  if (!isView || catalogname !== undefined || alias !== undefined) return undefined;
  if (where === undefined || !("A_Expr" in where)) return undefined;
  const { kind, name, lexpr, rexpr } = where.A_Expr;
  if (kind !== "AEXPR_OP" || nameParts(name).join(".") !== "=") return undefined;
  if (!isNameColumn(lexpr) || rexpr === undefined) return undefined;
  const term = termOf(rexpr);
  return term?.kind === "constant" && term.text !== null ? term : undefined;
}

function isNameColumn(node: Node | undefined): boolean {
  if (node === undefined || !("ColumnRef" in node)) return false;
  const { fields = [] } = node.ColumnRef;
  const [field] = fields;
  return fields.length === 1 && field !== undefined && nameParts([field]).join(".") === "name";
}

/** `column`: what the name `name` stands for, where the call reads it of a row. */
function setConfigCall(target: ResTarget, column?: SessionTerm): SetConfigCall | undefined {
  const call = plainCall(target);
  if (call?.name !== "set_config" || call.args.length !== 3) return undefined;
  const [name, value, isLocal] = call.args.map((argument) =>
    column !== undefined && isNameColumn(argument) ? column : termOf(argument),
  );
  if (name === undefined || value === undefined || isLocal === undefined) return undefined;
  return { name, value, isLocal };
}

/** What a setting was, asked for beside the call that changes it: asyncpg turns JIT off and on again so. */
function isReading(target: ResTarget): boolean {
  const call = plainCall(target);
  return call?.name === "current_setting" && call.args.every((arg) => termOf(arg) !== undefined);
}

function sequenceCall(target: ResTarget): SequenceCall | undefined {
  const call = plainCall(target);
  if (call === undefined) return undefined;
  const { name, args } = call;
  const column = target.name ?? name;
  const unnamed = { sequence: "", parameter: undefined, serial: undefined, location: undefined };
  if ((name === "lastval" || name === "pg_backend_pid") && args.length === 0)
    return { ...unnamed, function: name, column };
  if ((name !== "nextval" && name !== "currval") || args.length !== 1) return undefined;
  const [argument] = args;
  const serial = name === "currval" && argument !== undefined ? serialOf(argument) : undefined;
  if (serial !== undefined) return { ...unnamed, function: name, serial, column };
  const term = argument === undefined ? undefined : termOf(argument);
  const location = locationOf(argument);
  if (term?.kind === "parameter" && name === "currval")
    return { ...unnamed, function: name, parameter: term.number, location, column };
  if (term?.kind !== "constant" || term.text === null) return undefined;
  return { ...unnamed, function: name, sequence: term.text, location, column };
}

/** Of a call with two constants, under a cast to regclass or not. */
function serialOf(argument: Node): SequenceCall["serial"] {
  if ("TypeCast" in argument) {
    const { arg, typeName } = argument.TypeCast;
    const type = nameParts(typeName?.names).at(-1) ?? "";
    return arg !== undefined && KEEPING.has(type) && type !== "bool" ? serialOf(arg) : undefined;
  }
  const call = plainCall({ val: argument });
  if (call?.name !== "pg_get_serial_sequence" || call.args.length !== 2) return undefined;
  const [table, column] = call.args.map(termOf);
  if (table?.kind !== "constant" || column?.kind !== "constant") return undefined;
  if (table.text === null || column.text === null) return undefined;
  return { table: table.text, column: column.text };
}

function locationOf(node: Node | undefined): number | undefined {
  if (node === undefined) return undefined;
  if ("TypeCast" in node) return locationOf(node.TypeCast.arg);
  return "A_Const" in node ? (node.A_Const.location ?? 0) : undefined;
}

/** A constant or parameter, under a cast or not: of what set_config and nextval take, none changes its text. */
function termOf(node: Node): SessionTerm | undefined {
  if ("TypeCast" in node) {
    const { arg, typeName } = node.TypeCast;
    const type = nameParts(typeName?.names).at(-1) ?? "";
    return arg !== undefined && KEEPING.has(type) ? termOf(arg) : undefined;
  }
  if ("ParamRef" in node) return { kind: "parameter", number: node.ParamRef.number ?? 0 };
  if (!("A_Const" in node)) return undefined;
  const { isnull, sval, boolval } = node.A_Const;
  if (isnull === true) return { kind: "constant", text: null };
  if (sval !== undefined) return { kind: "constant", text: sval.sval ?? "" };
  if (boolval !== undefined)
    return { kind: "constant", text: boolval.boolval === true ? "true" : "false" };
  return undefined;
}

const KEEPING: ReadonlySet<string> = new Set(["text", "bool", "regclass", "varchar"]);
