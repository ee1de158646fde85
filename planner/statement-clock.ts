/**
 * `now()` and its kin, as constants. PostgreSQL's time of a transaction, and of a statement, is
 * one wherever it is asked for; each database has its own. So the texts of a statement that runs
 * in several of them are given the time of one.
 *
 *     WHERE placed_at > now()      WHERE placed_at > CAST('2026-11-22 13:05:00.123456+00' AS timestamptz)
 *     SELECT now() FROM            SELECT CAST('...' AS timestamptz) AS now FROM
 *     SELECT now()::date FROM      SELECT (SELECT CAST('...' AS timestamptz) AS now)::date FROM
 *
 * A column keeps the name that it has from its expression. `clock_timestamp()` is another at each
 * call, in PostgreSQL too, and stays what it is.
 */
import type { FuncCall, Node, SQLValueFunction } from "@pgsql/types";
import { nameParts, unwrap, walkNodes } from "./ast.ts";
import { outputName } from "./analyze/output-names.ts";
import { parseSql, type ParsedStatement } from "./parse.ts";
import { nameExtent } from "./rewrite.ts";
import { clockText, type ClockForm, type ClockValue, type Moment } from "./clock-value.ts";
import {
  composedShifts,
  shiftsOf,
  type RenderedSql,
  type SqlTemplate,
  type TemplateEdit,
} from "./sql-template.ts";
import { editText } from "./text-origin.ts";

const MAY_READ_CLOCK =
  /\b(?:now|transaction_timestamp|statement_timestamp|current_date|current_time|current_timestamp|localtime|localtimestamp)\b/i;

/** Whether the text may read the clock: never false where it does. */
export function mayReadClock(sql: string): boolean {
  return MAY_READ_CLOCK.test(sql);
}

/** An expression's text, where it reads the clock. */
export function clockTemplate(expression: string): SqlTemplate | undefined {
  if (!mayReadClock(expression)) return undefined;
  const before = "SELECT ";
  const [statement] = statementsOf(before + expression);
  const edits = statement === undefined ? [] : clockEdits(statement);
  if (edits.length === 0) return undefined;
  const moved = edits.map(({ start, end, with: value }) => ({
    start: start - before.length,
    end: end - before.length,
    with: { ...value, form: "value" as const },
  }));
  return { sql: expression, edits: moved, arm: undefined };
}

/** The text with the moment in place of each reading of the clock. */
export function atMoment(rendered: RenderedSql, moment: Moment): RenderedSql {
  if (!mayReadClock(rendered.sql)) return rendered;
  const [statement] = statementsOf(rendered.sql);
  const offset = statement?.start ?? 0;
  const edits = statement === undefined ? [] : clockEdits(statement);
  if (edits.length === 0) return rendered;
  const { text, origin } = editText(
    rendered.sql,
    edits.map(({ start, end, with: value }) => ({
      start: start + offset,
      end: end + offset,
      text: clockText(value, moment),
    })),
  );
  return { ...rendered, sql: text, shifts: composedShifts(shiftsOf(origin), rendered.shifts) };
}

function statementsOf(sql: string): readonly ParsedStatement[] {
  const outcome = parseSql(sql);
  return outcome.kind === "statements" ? outcome.statements : [];
}

export interface ClockEdit extends TemplateEdit {
  readonly with: ClockValue & { readonly kind: "clock" };
}

/** Where the statement's text reads the clock, in order. */
export function clockEdits(statement: ParsedStatement): readonly ClockEdit[] {
  if (!mayReadClock(statement.text)) return [];
  const edits = [...clockReads(statement.node)].map(([read, form]): ClockEdit => {
    const name = nameExtent(statement, read.location, read.nameCount);
    const end = read.hasParentheses ? closingParenthesis(statement, name.end) : name.end;
    const { type, of } = read;
    const value = { type, of, name: outputName(read.node) ?? "", form };
    return { start: name.start, end, with: { kind: "clock", ...value } };
  });
  return edits.toSorted((left, right) => left.start - right.start);
}

interface ClockRead {
  readonly node: Node;
  readonly location: number | undefined;
  /** Tokens of its name, and whether parentheses follow. */
  readonly nameCount: number;
  readonly hasParentheses: boolean;
  /** A type of PostgreSQL's, with its modifier. */
  readonly type: string;
  readonly of: keyof Moment;
}

function clockReads(root: Node): ReadonlyMap<ClockRead, ClockForm> {
  const reads = new Map<ClockRead, ClockForm>();
  const walk = (value: unknown, form: ClockForm): void =>
    walkNodes(value, ({ kind, body }) => {
      if (kind === "ResTarget" && body["name"] === undefined) {
        walk(body["val"], formIn(body["val"] as Node | undefined));
        return false;
      }
      if (kind === "RangeFunction") {
        walk(argumentsOf(body["functions"]), "value");
        return false;
      }
      const read = clockRead(kind, body);
      if (read !== undefined) reads.set(read, form);
      return read === undefined;
    });
  walk(root, "value");
  return reads;
}

/** In a column without a name. */
function formIn(value: Node | undefined): ClockForm {
  if (value === undefined) return "value";
  if (isClockRead(value)) return "column";
  return isNamedByClock(value) ? "within" : "value";
}

/** As FigureColnameInternal() goes down (parse_target.c). */
function isNamedByClock(value: Node | undefined): boolean {
  if (value === undefined) return false;
  if ("TypeCast" in value) return isNamedByClock(value.TypeCast.arg);
  if ("CollateClause" in value) return isNamedByClock(value.CollateClause.arg);
  if ("CaseExpr" in value) return isNamedByClock(value.CaseExpr.defresult);
  return isClockRead(value);
}

function isClockRead(value: Node): boolean {
  const node = unwrap(value);
  return node !== undefined && clockRead(node.kind, node.body) !== undefined;
}

/** A function in FROM names a table and its column: it is left as it is, and what it is given is not. */
function argumentsOf(functions: unknown): readonly unknown[] {
  const given: unknown[] = [];
  walkNodes(functions, ({ kind, body }) => {
    if (kind !== "FuncCall") return true;
    given.push(body["args"]);
    return false;
  });
  return given;
}

function clockRead(kind: string, body: Readonly<Record<string, unknown>>): ClockRead | undefined {
  if (kind === "SQLValueFunction") return keywordRead(body);
  if (kind === "FuncCall") return functionRead(body);
  return undefined;
}

const KEYWORD_TYPES: Readonly<Record<string, string>> = {
  SVFOP_CURRENT_DATE: "date",
  SVFOP_CURRENT_TIME: "timetz",
  SVFOP_CURRENT_TIMESTAMP: "timestamptz",
  SVFOP_LOCALTIME: "time",
  SVFOP_LOCALTIMESTAMP: "timestamp",
};

function keywordRead(body: SQLValueFunction): ClockRead | undefined {
  const { op = "", typmod, location } = body;
  const hasParentheses = op.endsWith("_N");
  const type = KEYWORD_TYPES[op.replace(/_N$/, "")];
  if (type === undefined) return undefined;
  return {
    node: { SQLValueFunction: body },
    location,
    nameCount: 1,
    hasParentheses,
    type: hasParentheses ? `${type}(${typmod ?? 0})` : type,
    of: "transaction",
  };
}

const FUNCTIONS: ReadonlyMap<string, keyof Moment> = new Map([
  ["now", "transaction"],
  ["transaction_timestamp", "transaction"],
  ["statement_timestamp", "statement"],
]);

function functionRead(body: FuncCall): ClockRead | undefined {
  const names = nameParts(body.funcname);
  const of = FUNCTIONS.get(names.at(-1) ?? "");
  const isBuiltIn = names.length === 1 || (names.length === 2 && names[0] === "pg_catalog");
  if (of === undefined || !isBuiltIn || body.args !== undefined) return undefined;
  return {
    node: { FuncCall: body },
    location: body.location,
    nameCount: names.length,
    hasParentheses: true,
    type: "timestamptz",
    of,
  };
}

/** The first after an offset: between it and the opening one stands a number at most. */
function closingParenthesis(statement: ParsedStatement, offset: number): number {
  const { text, tokens } = statement;
  let index = statement.tokenIndexAt(offset);
  for (let token = tokens[index]; token !== undefined; token = tokens[++index])
    if (text.slice(token.start, token.end) === ")") return token.end;
  return offset;
}
