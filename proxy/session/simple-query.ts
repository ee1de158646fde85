/**
 * The simple protocol: a query string of one statement or several, which are one implicit
 * transaction, as in PostgreSQL (manual: "Multiple Statements in a Simple Query").
 */
import { invariant } from "../../base/invariant.ts";
import type { ParsedStatement, ParseOutcome } from "../../planner/parse.ts";
import type { LogicalPlan } from "../../planner/logical-plan.ts";
import type { CopyInPlan, CopyOutPlan } from "../../planner/copy/copy-plan.ts";
import type { Commands } from "./commands.ts";
import { copy } from "./copy.ts";
import { planNow, rejected } from "./current-plan.ts";
import type { CopyParts } from "./copy.ts";
import type { Cursors } from "./cursors.ts";
import type { Portals } from "./portals.ts";
import { prepareExecution } from "./sql-prepared.ts";
import type { Execute, SqlPreparedParts } from "./sql-prepared.ts";
import type { ResultEvent, ResultStream } from "../execution/result-event.ts";
import { onMapNow, runFresh } from "./stale-plans.ts";
import type { RowsPlan, StatementRunner } from "./statement-runner.ts";
import { NO_MODES } from "./session-transaction.ts";

export interface QueryParts extends CopyParts, SqlPreparedParts {
  readonly commands: Commands;
  readonly portals: Portals;
  readonly cursors: Cursors;
}

interface Position {
  /** The string is this statement. */
  readonly isAlone: boolean;
  /** An implicit transaction ends with it. */
  readonly isLast: boolean;
}

/** An error of one statement of a string: its position counts from the string's start. */
export class StatementFailure extends Error {
  readonly charactersBefore: number;

  constructor(charactersBefore: number, cause: unknown) {
    super("a statement of the query string failed", { cause });
    this.charactersBefore = charactersBefore;
  }
}

/** Answers all but ReadyForQuery. Throws what failed; the transaction is the caller's to fail. */
export async function runSimpleQuery(
  text: string,
  parts: QueryParts,
  signal: AbortSignal,
): Promise<void> {
  const { runner, planner, responder } = parts;
  runner.backends.claimant.statement = { sql: text };
  // A pipeline's implicit transaction goes on until its Sync.
  const isPipelined = runner.transaction.current?.isExplicit === false;
  // The end of a transaction waits for no catalog: who changes it may wait for that end.
  const mayBeEnd = runner.view.isCatalogDoubted && runner.transaction.current !== undefined;
  if (!runner.transaction.isFailed && !mayBeEnd) {
    const known = planner.known(text, await runner.view.planContext([], signal));
    if (known !== undefined)
      return runOne(known, text, parts, { isAlone: true, isLast: !isPipelined }, signal);
  }
  const outcome = planner.parse(text);
  switch (outcome.kind) {
    case "empty":
      return responder.event({ kind: "empty" });
    case "rejected":
      return rejected(text, parts, signal);
    case "statements":
      return runAll(text, outcome.statements, parts, isPipelined, signal);
  }
}

async function runAll(
  text: string,
  statements: readonly ParsedStatement[],
  parts: QueryParts,
  isPipelined: boolean,
  signal: AbortSignal,
): Promise<void> {
  const { runner } = parts;
  const isAlone = statements.length === 1;
  for (const [index, statement] of statements.entries()) {
    try {
      if (!("TransactionStmt" in statement.node)) runner.transaction.refuseWhenFailed();
      const isLast = index === statements.length - 1 && !(isAlone && isPipelined);
      if (!isAlone && runner.transaction.current === undefined)
        await runner.begin(NO_MODES, false, signal);
      const whole = isAlone ? { text } : {};
      const plan = await planNow(statement, { ...whole, parameterTypes: [] }, parts, signal);
      await runOne(plan, statement.text, parts, { isAlone, isLast }, signal);
    } catch (error) {
      throw new StatementFailure(statement.charactersBefore, error);
    }
  }
}

async function runOne(
  plan: LogicalPlan,
  sql: string,
  parts: QueryParts,
  position: Position,
  signal: AbortSignal,
): Promise<void> {
  const { runner } = parts;
  const run = (now: LogicalPlan): Promise<void> => runPlanned(now, sql, parts, position, signal);
  await onMapNow({ runner, plan: () => planAgain(sql, parts, signal), run }, plan);
}

async function planAgain(
  sql: string,
  parts: QueryParts,
  signal: AbortSignal,
): Promise<LogicalPlan> {
  const [statement] = parsedStatements(parts.planner.parse(sql));
  invariant(statement !== undefined, "what was planned once can be parsed again");
  return planNow(statement, { parameterTypes: [] }, parts, signal);
}

async function runPlanned(
  plan: LogicalPlan,
  sql: string,
  parts: QueryParts,
  { isAlone, isLast }: Position,
  signal: AbortSignal,
): Promise<void> {
  const { runner, commands, responder } = parts;
  switch (plan.kind) {
    case "query":
    case "insert":
    case "insertQuery":
    case "explain":
    case "ddl":
      return runRows(plan, sql, parts, { isAlone, isLast }, signal);
    case "cursor": {
      const request = {
        plan,
        protocol: { kind: "simple" },
        output: undefined,
        describe: true,
      } as const;
      return relayRows(parts.cursors.run(request, signal), parts, isLast, signal);
    }
    case "copyIn":
    case "copyOut":
      return runCopy(plan, parts, { isAlone, isLast }, signal);
    case "transaction":
    case "setting":
    case "session": {
      if (plan.kind === "session" && plan.action.kind === "execute")
        return runExecute(plan.action, parts, { isAlone, isLast }, signal);
      const tag = await commands.run(plan, signal);
      if (isLast) await endImplicit(runner, signal);
      return responder.complete(tag);
    }
    case "rejected":
      return rejected(plan.sql, parts, signal);
    case "empty":
      return responder.event({ kind: "empty" });
  }
}

/** The last statement's CommandComplete says that the implicit transaction has committed, so it waits for it. */
async function runRows(
  plan: RowsPlan,
  sql: string,
  parts: QueryParts,
  { isAlone, isLast }: Position,
  signal: AbortSignal,
): Promise<void> {
  const { runner, responder } = parts;
  const { descriptions } = runner;
  // Planned columns take the parameters' values, which EXPLAIN (GENERIC_PLAN) of a statement with some has not.
  const output =
    plan.kind === "explain"
      ? async () => (await descriptions.statement(sql, [], signal)).columns
      : () => descriptions.plannedColumns(sql, signal);
  let untold: ResultEvent | undefined;
  const giveUp = (): void => {
    if (untold?.kind === "columns") responder.columns(untold.columns);
    untold = undefined;
  };
  const run = async (now: LogicalPlan): Promise<void> => {
    untold = undefined;
    if (!isRowsPlan(now)) return runPlanned(now, sql, parts, { isAlone, isLast }, signal);
    const request = { plan: now, protocol: { kind: "simple" }, output, describe: true } as const;
    let tag: string | undefined;
    for await (const event of runner.run({ ...request, isAlone }, signal)) {
      if (event.kind === "columns" && isAlone) {
        untold = event;
        continue;
      }
      giveUp();
      if (event.kind === "complete") tag = event.tag;
      else await responder.event(event);
    }
    await endRows(tag, parts, isLast, signal);
  };
  if (!isAlone || plan.kind === "ddl") return run(plan);
  const again = (): Promise<LogicalPlan> => planAgain(sql, parts, signal);
  await runFresh({ runner, responder, sql, plan: again, run, signal, isTold: false, giveUp }, plan);
}

function parsedStatements(outcome: ParseOutcome): readonly ParsedStatement[] {
  return outcome.kind === "statements" ? outcome.statements : [];
}

const ROWS_KINDS: ReadonlySet<LogicalPlan["kind"]> = new Set<RowsPlan["kind"]>([
  "query",
  "insert",
  "insertQuery",
  "explain",
  "ddl",
]);

function isRowsPlan(plan: LogicalPlan): plan is RowsPlan {
  return ROWS_KINDS.has(plan.kind);
}

async function relayRows(
  stream: ResultStream,
  { runner, responder }: QueryParts,
  isLast: boolean,
  signal: AbortSignal,
): Promise<void> {
  let tag: string | undefined;
  for await (const event of stream) {
    if (event.kind === "complete") tag = event.tag;
    else await responder.event(event);
  }
  await endRows(tag, { runner, responder }, isLast, signal);
}

async function endRows(
  tag: string | undefined,
  { runner, responder }: Pick<QueryParts, "runner" | "responder">,
  isLast: boolean,
  signal: AbortSignal,
): Promise<void> {
  if (isLast) await endImplicit(runner, signal);
  if (tag !== undefined) responder.complete(tag);
}

async function runExecute(
  execute: Execute,
  parts: QueryParts,
  { isAlone, isLast }: Position,
  signal: AbortSignal,
): Promise<void> {
  parts.runner.transaction.refuseWhenFailed();
  const { stream } = await prepareExecution(execute, parts, signal);
  await relayRows(stream(isAlone, signal), parts, isLast, signal);
}

async function runCopy(
  plan: CopyInPlan | CopyOutPlan,
  parts: QueryParts,
  { isAlone, isLast }: Position,
  signal: AbortSignal,
): Promise<void> {
  const tag = await copy(plan, parts, isAlone, signal);
  if (isLast) await endImplicit(parts.runner, signal);
  parts.responder.complete(tag);
}

async function endImplicit(runner: StatementRunner, signal: AbortSignal): Promise<void> {
  if (runner.transaction.current !== undefined && !runner.transaction.isExplicit)
    await runner.end(signal);
}
