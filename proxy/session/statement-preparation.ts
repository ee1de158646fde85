/**
 * Prepared statements of a client, made by Parse or by PREPARE: what PostgreSQL says their
 * parameters and columns are, and their plan, made anew where what it rests on has changed.
 */
import { isDeepStrictEqual } from "node:util";
import { SqlError } from "../../base/sql-error.ts";
import type { LogicalPlan } from "../../planner/logical-plan.ts";
import type { ParsedStatement, ParseOutcome } from "../../planner/parse.ts";
import type { Description } from "../execution/describe.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import { isTransactionEnd, planNow, rejected } from "./current-plan.ts";
import type { Cursors } from "./cursors.ts";
import type { NamedRows, PreparedStatement, PreparedStatements } from "./prepared-statements.ts";
import type { Responder } from "./responder.ts";
import type { StatementPlanner } from "./statement-planner.ts";
import type { StatementRunner } from "./statement-runner.ts";

export interface PreparingParts {
  readonly runner: StatementRunner;
  readonly planner: StatementPlanner;
  readonly cursors: Cursors;
  readonly prepared: PreparedStatements;
  readonly responder: Responder;
}

const NOTHING_DESCRIBED = { parameterTypes: [], columns: undefined };

/** Throws what PostgreSQL would say of the text, and the planner's refusals. */
export async function prepareStatement(
  parts: PreparingParts,
  name: string,
  sql: string,
  declaredTypes: readonly number[],
  signal: AbortSignal,
): Promise<PreparedStatement> {
  const { runner, planner } = parts;
  if (runner.view.isCatalogDoubted && isEnd(planner.parse(sql)))
    return preparedEnd(name, sql, parts);
  await runner.view.confirmCatalog();
  const before = runner.descriptions.known(sql, declaredTypes);
  if (before !== undefined && !runner.transaction.isFailed) {
    const context = await runner.view.planContext(before.parameterTypes, signal);
    if (planner.known(sql, context) !== undefined)
      return {
        name,
        sql,
        isEmpty: false,
        endsTransaction: false,
        answersAs: undefined,
        description: before,
        catalogEpoch: context.catalog.epoch,
        isTold: false,
      };
  }
  const outcome = planner.parse(sql);
  if (outcome.kind === "empty") {
    const description = NOTHING_DESCRIBED;
    const isNothing = { isEmpty: true, endsTransaction: false, answersAs: undefined };
    return { name, sql, ...isNothing, description, catalogEpoch: 0, isTold: false };
  }
  if (outcome.kind === "rejected") return rejected(sql, parts, signal);
  const [statement, second] = outcome.statements;
  if (statement === undefined || second !== undefined) {
    throw new SqlError(
      "several_statements_prepared",
      "cannot insert multiple commands into a prepared statement",
    );
  }
  const endsTransaction = isTransactionEnd(statement);
  if (!endsTransaction) runner.transaction.refuseWhenFailed();
  const answersAs = namedRows(statement);
  const description =
    answersAs !== undefined
      ? { parameterTypes: [], columns: await columnsOfNamed(answersAs, parts) }
      : hasDescription(statement)
        ? await runner.descriptions.statement(sql, declaredTypes, signal)
        : NOTHING_DESCRIBED;
  const { parameterTypes } = description;
  await planNow(statement, { text: sql, parameterTypes }, parts, signal);
  const context = await runner.view.planContext(parameterTypes, signal);
  const catalogEpoch = context.catalog.epoch;
  const plain = { isEmpty: false, endsTransaction, isTold: false };
  return { name, sql, ...plain, answersAs, description, catalogEpoch };
}

function isEnd(outcome: ParseOutcome): boolean {
  const [statement, second] = outcome.kind === "statements" ? outcome.statements : [];
  return statement !== undefined && second === undefined && isTransactionEnd(statement);
}

/** Nothing is asked for it: it can always be prepared. */
function preparedEnd(name: string, sql: string, { runner }: PreparingParts): PreparedStatement {
  const { catalogEpoch } = runner.view;
  const plain = { isEmpty: false, endsTransaction: true, answersAs: undefined, isTold: false };
  return { name, sql, ...plain, description: NOTHING_DESCRIBED, catalogEpoch };
}

/** Planned again where map, catalog or settings have changed since Parse; else it is known. */
export async function planPrepared(
  parts: PreparingParts,
  statement: PreparedStatement,
  signal: AbortSignal,
): Promise<LogicalPlan> {
  const { runner, planner } = parts;
  const { sql, description, answersAs, endsTransaction } = statement;
  const context = await runner.view.planContext(
    description.parameterTypes,
    signal,
    endsTransaction,
  );
  if (context.catalog.epoch !== statement.catalogEpoch && answersAs === undefined) {
    await refuseChanged(parts, sql, description, signal);
    statement.catalogEpoch = context.catalog.epoch;
  }
  const known = planner.known(sql, context);
  if (known !== undefined) return known;
  const outcome = planner.parse(sql);
  const parsed = outcome.kind === "statements" ? outcome.statements[0] : undefined;
  if (parsed === undefined) return rejected(sql, parts, signal);
  return planNow(parsed, { text: sql, parameterTypes: description.parameterTypes }, parts, signal);
}

/** What the client was told of the statement must still hold, as PostgreSQL's plan cache demands. */
async function refuseChanged(
  parts: PreparingParts,
  sql: string,
  told: Description,
  signal: AbortSignal,
): Promise<void> {
  if (told.parameterTypes.length === 0 && told.columns === undefined) return;
  const now = await parts.runner.descriptions.statement(sql, told.parameterTypes, signal);
  if (isDeepStrictEqual(told.columns?.map(resultType), now.columns?.map(resultType))) return;
  throw new SqlError("cached_plan_changed", "cached plan must not change result type");
}

/** A MOVE gives no rows. */
function namedRows({ node }: ParsedStatement): NamedRows | undefined {
  if ("ExecuteStmt" in node) return { kind: "statement", name: node.ExecuteStmt.name ?? "" };
  if (!("FetchStmt" in node) || node.FetchStmt.ismove === true) return undefined;
  return { kind: "cursor", name: node.FetchStmt.portalname ?? "" };
}

/** Undefined for none, and where there is nothing of the name. */
export async function columnsOfNamed(
  { kind, name }: NamedRows,
  { cursors, prepared }: Pick<PreparingParts, "cursors" | "prepared">,
): Promise<Description["columns"]> {
  return kind === "cursor" ? cursors.columns(name) : prepared.find(name)?.description.columns;
}

function resultType({ name, typeOid, typmod }: ColumnDescription): readonly unknown[] {
  return [name, typeOid, typmod];
}

/** Statements PostgreSQL analyzes when they are parsed; all others have no parameters and, but for SHOW and EXPLAIN, no columns. */
function hasDescription({ node }: ParsedStatement): boolean {
  const [kind] = Object.keys(node);
  return kind !== undefined && DESCRIBED.has(kind);
}

const DESCRIBED = new Set([
  "SelectStmt",
  "InsertStmt",
  "UpdateStmt",
  "DeleteStmt",
  "MergeStmt",
  "ExplainStmt",
  "VariableShowStmt",
  "DeclareCursorStmt",
]);
