/**
 * `colonnade explain`: how a statement would be run, without running it. Tables come from
 * a file of CREATE TABLE statements, or from the map's catalog database.
 */
import { randomUUID } from "node:crypto";
import { SqlError } from "../base/sql-error.ts";
import { explainJson, explainLogical, explainPhysical } from "../planner/explain.ts";
import type { LogicalPlan } from "../planner/logical-plan.ts";
import type { InsertPlan } from "../planner/insert/insert-plan.ts";
import { loadParser, type ParsedStatement, type ParseOutcome, parseSql } from "../planner/parse.ts";
import { bindPlan, type BoundParameter, type PhysicalPlan } from "../planner/physical-plan.ts";
import type { PlanContext } from "../planner/plan-context.ts";
import { planStatement } from "../planner/plan.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";
import { type ServerRefusal, unknownTable, unreadableKey } from "./explain-refusals.ts";
import { CommandFailure } from "./failure.ts";
import { requireMap } from "./input-files.ts";
import { readLiveCatalog } from "./live-databases.ts";
import { catalogOfFile } from "./schema-file.ts";

export interface ExplainFlags {
  readonly map: string;
  readonly schema?: string;
  readonly param: readonly string[];
  readonly json?: true;
}

interface Explanation {
  readonly logical: LogicalPlan;
  /** Absent where values are missing, and for statements that are not bound to keys. */
  readonly physical?: PhysicalPlan;
  /** What the plan above leaves open. */
  readonly note?: string;
}

/** Exit code 1 where the statement is refused. */
export async function explain(sql: string, flags: ExplainFlags): Promise<void> {
  const map = requireMap(flags.map);
  await loadParser();
  const statement = onlyStatement(sql);
  const context = await planContext(map, flags);
  const explanation = explainOrRefuse(statement, context, flags);
  if ("refused" in explanation) {
    const { refused } = explanation;
    if (flags.json === true) process.stdout.write(`${JSON.stringify(json(refused), null, 2)}\n`);
    throw new CommandFailure(printedRefusal(statement.text, refused), 1);
  }
  process.stdout.write(flags.json === true ? printedJson(explanation) : printed(explanation));
}

/** By the proxy, which has an id for it, or by a server when it ran. */
type Refused = SqlError | ServerRefusal;

function explainOrRefuse(
  statement: ParsedStatement,
  context: PlanContext,
  flags: ExplainFlags,
): Explanation | { readonly refused: Refused } {
  try {
    return explainStatement(statement, context, flags);
  } catch (error) {
    if (error instanceof SqlError) return { refused: error };
    throw error;
  }
}

async function planContext(map: ShardMap, { schema }: ExplainFlags): Promise<PlanContext> {
  const catalog = schema === undefined ? await readLiveCatalog(map) : catalogOfFile(schema, map);
  const searchPath = ["$user", map.canonicalSchema];
  return { map, catalog, searchPath, parameterTypes: [], user: "postgres" };
}

function onlyStatement(sql: string): ParsedStatement {
  const outcome = parsed(sql);
  if (outcome.kind === "rejected") {
    throw new CommandFailure(`${outcome.message} (at character ${outcome.position ?? 1})`, 1);
  }
  const [statement, ...others] = outcome.kind === "statements" ? outcome.statements : [];
  if (statement === undefined || others.length > 0) {
    const count = statement === undefined ? "none" : String(others.length + 1);
    throw new CommandFailure(`explain takes one statement, and was given ${count}`);
  }
  return statement;
}

/** A text that is too long or too deep to be parsed is refused as the proxy would. */
function parsed(sql: string): ParseOutcome {
  try {
    return parseSql(sql);
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    throw new CommandFailure(printedRefusal(sql, error), 1, { cause: error });
  }
}

function explainStatement(
  statement: ParsedStatement,
  context: PlanContext,
  { param, schema }: ExplainFlags,
): Explanation | { readonly refused: ServerRefusal } {
  const plan = planStatement(statement, context);
  const source = schema === undefined ? `database "${context.map.catalog}"` : "the schema";
  const unknown = unknownTable(statement, plan, context, source);
  if (unknown !== undefined) return { refused: unknown };
  if (plan.kind !== "query" && plan.kind !== "insert") return { logical: plan };
  const needed = parameterCount(statement);
  if (param.length < needed) {
    const note =
      "Parameters have no values here: give --param once for each to see where the statement goes.";
    return { logical: plan, note };
  }
  const parameters = param.map(textParameter);
  const unreadable = unreadableKey(plan, parameters);
  if (unreadable !== undefined) return { refused: unreadable };
  const draws = plan.kind === "insert" ? exampleDraws(plan) : [];
  const physical = bindPlan(plan, parameters, context.map, draws);
  if (!drawsValues(plan)) return { logical: plan, physical };
  const note = "Drawn values are examples; real ones are drawn when it runs.";
  return { logical: plan, physical, note };
}

function textParameter(value: string): BoundParameter {
  return { typeOid: 0, format: "text", value: Buffer.from(value) };
}

function drawsValues(plan: LogicalPlan): boolean {
  return plan.kind === "insert" && plan.generated.length > 0;
}

/** Nothing is drawn from a real sequence: explaining a statement must not leave gaps in it. */
function exampleDraws({ rows, generated }: InsertPlan): readonly (readonly string[])[] {
  return rows.map((_, row) =>
    generated.map(({ source }) => (source.kind === "sequence" ? String(row + 1) : randomUUID())),
  );
}

function parameterCount(statement: ParsedStatement): number {
  const numbers = statement.tokens
    .filter(({ kind }) => kind === "parameter")
    .map(({ start, end }) => Number(statement.text.slice(start + 1, end)));
  return Math.max(0, ...numbers);
}

function printed({ logical, physical, note }: Explanation): string {
  const parts = [explainLogical(logical)];
  if (physical !== undefined) parts.push(explainPhysical(physical));
  if (note !== undefined) parts.push(note);
  return `${parts.join("\n\n")}\n`;
}

function printedJson({ logical, physical, note }: Explanation): string {
  const data = {
    logical: explainJson(logical),
    ...(physical && { physical: explainJson(physical) }),
    ...(note !== undefined && { note }),
  };
  return `${JSON.stringify(data, null, 2)}\n`;
}

function json(refused: Refused): object {
  const { sqlstate, message, detail, position } = refused;
  const { id, hint } = refused instanceof SqlError ? refused : {};
  return { error: { id, sqlstate, message, detail, hint, position } };
}

/** As psql prints an error, with a caret under the place. */
function printedRefusal(sql: string, error: Refused): string {
  const by =
    error instanceof SqlError
      ? `refused with ${error.sqlstate} (${error.id})`
      : `PostgreSQL would refuse it${error.sqlstate === undefined ? "" : ` with ${error.sqlstate}`}`;
  const hint = error instanceof SqlError ? error.hint : undefined;
  const lines = [`${by}: ${error.message}`];
  if (error.position !== undefined) lines.push(...caret(sql, error.position));
  if (error.detail !== undefined) lines.push(`DETAIL:  ${error.detail}`);
  if (hint !== undefined) lines.push(`HINT:  ${hint}`);
  return lines.join("\n");
}

function caret(sql: string, position: number): readonly string[] {
  const characters = Array.from(sql);
  const before = characters.slice(0, position - 1).join("");
  const number = before.split("\n").length;
  const line = sql.split("\n")[number - 1] ?? "";
  const label = `LINE ${number}: `;
  const column = Array.from(before.slice(before.lastIndexOf("\n") + 1)).length;
  return [`${label}${line}`, `${" ".repeat(label.length + column)}^`];
}
