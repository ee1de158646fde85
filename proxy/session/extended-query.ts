/**
 * The extended protocol: Parse, Bind, Describe, Execute, Close, Sync (manual: "Extended
 * Query"). What a statement's parameters and columns are is PostgreSQL's answer, kept; where
 * its rows are is known once it is bound, so backends see it when it is executed.
 */
import { isDeepStrictEqual } from "node:util";
import { SqlError } from "../../base/sql-error.ts";
import type { LogicalPlan } from "../../planner/logical-plan.ts";
import type { ParsedStatement } from "../../planner/parse.ts";
import type { BoundParameter } from "../../planner/physical-plan.ts";
import type { Description } from "../execution/describe.ts";
import type { ResultEvent } from "../execution/result-event.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import { formatAt } from "../protocol/frontend/bind.ts";
import type { Bind } from "../protocol/frontend/bind.ts";
import type { Close } from "../protocol/frontend/close.ts";
import type { Describe } from "../protocol/frontend/describe.ts";
import type { Execute } from "../protocol/frontend/execute.ts";
import type { Parse } from "../protocol/frontend/parse.ts";
import { copy } from "./copy.ts";
import { DelayedAnswers } from "./delayed-answers.ts";
import { Portals } from "./portals.ts";
import type { Portal } from "./portals.ts";
import type { PreparedStatement, PreparedStatements } from "./prepared-statements.ts";
import { countedTag, RowQueue } from "./row-queue.ts";
import type { QueryParts } from "./simple-query.ts";
import type { RowsPlan } from "./statement-runner.ts";

const NOTHING_DESCRIBED = { parameterTypes: [], columns: undefined };

export class ExtendedQuery {
  readonly #parts: QueryParts;
  readonly #prepared: PreparedStatements;
  readonly #portals = new Portals();
  readonly #delayed = new DelayedAnswers();

  constructor(parts: QueryParts, prepared: PreparedStatements) {
    this.#parts = parts;
    this.#prepared = prepared;
  }

  async parse(
    { statement: name, sql, parameterTypeOids }: Parse,
    signal: AbortSignal,
  ): Promise<void> {
    this.say();
    this.#prepared.refuseTaken(name);
    if (name === "") this.#prepared.close("");
    const statement = await this.#prepare(name, sql, parameterTypeOids, signal);
    this.#prepared.add(statement);
    this.#parts.responder.parseComplete();
  }

  async #prepare(
    name: string,
    sql: string,
    declaredTypes: readonly number[],
    signal: AbortSignal,
  ): Promise<PreparedStatement> {
    const { runner, planner } = this.#parts;
    const before = runner.descriptions.known(sql, declaredTypes);
    if (before !== undefined && !runner.transaction.isFailed) {
      const context = await runner.planContext(before.parameterTypes, signal);
      if (planner.known(sql, context) !== undefined)
        return {
          name,
          sql,
          isEmpty: false,
          endsTransaction: false,
          description: before,
          catalogEpoch: context.catalog.epoch,
        };
    }
    const outcome = planner.parse(sql);
    if (outcome.kind === "empty") {
      const description = NOTHING_DESCRIBED;
      return { name, sql, isEmpty: true, endsTransaction: false, description, catalogEpoch: 0 };
    }
    if (outcome.kind === "rejected")
      return runner.rejected(sql, (notice) => this.#parts.responder.notice(notice), signal);
    const [statement, second] = outcome.statements;
    if (statement === undefined || second !== undefined) {
      throw new SqlError(
        "several_statements_prepared",
        "cannot insert multiple commands into a prepared statement",
      );
    }
    const endsTransaction = isTransactionEnd(statement);
    if (!endsTransaction) runner.transaction.refuseWhenFailed();
    const description = hasDescription(statement)
      ? await runner.descriptions.statement(sql, declaredTypes, signal)
      : NOTHING_DESCRIBED;
    const context = await runner.planContext(description.parameterTypes, signal);
    planner.plan(statement, context, sql);
    const catalogEpoch = context.catalog.epoch;
    return { name, sql, isEmpty: false, endsTransaction, description, catalogEpoch };
  }

  bind(message: Bind): void {
    this.say();
    const statement = this.#prepared.get(message.statement);
    const { parameterTypes, columns } = statement.description;
    if (message.parameters.length !== parameterTypes.length) {
      throw new SqlError(
        "bind_mismatch",
        `bind message supplies ${message.parameters.length} parameters, but prepared statement "${statement.name}" requires ${parameterTypes.length}`,
      );
    }
    if (!statement.endsTransaction) this.#parts.runner.transaction.refuseWhenFailed();
    const formats = message.resultFormats;
    if (formats.length > 1 && formats.length !== (columns?.length ?? 0)) {
      throw new SqlError(
        "bind_mismatch",
        `bind message has ${formats.length} result formats but query has ${columns?.length ?? 0} columns`,
      );
    }
    if (message.portal === "") this.#portals.close("");
    this.#portals.add({
      name: message.portal,
      statement,
      parameters: message.parameters.map((value, index): BoundParameter => {
        return {
          typeOid: parameterTypes[index] ?? 0,
          format: formatAt(message.parameterFormats, index),
          value,
        };
      }),
      resultFormats: formats,
      columns: columns?.map((column, index): ColumnDescription => ({
        ...column,
        format: formatAt(formats, index),
      })),
      scope: this.#parts.runner.transaction.scope,
      progress: { kind: "new" },
    });
    this.#delayed.add(message.portal, () => this.#parts.responder.bindComplete());
  }

  describe({ target, name }: Describe): void {
    if (target === "portal" && this.#delayed.isLast(name)) {
      const { columns } = this.#portals.get(name);
      this.#refuseColumnsWhenFailed(columns);
      this.#delayed.add(name, () => this.#columns(columns));
      return;
    }
    this.say();
    if (target === "statement") {
      const { description } = this.#prepared.get(name);
      this.#refuseColumnsWhenFailed(description.columns);
      this.#parts.responder.parameterTypes(description.parameterTypes);
      this.#columns(description.columns);
    } else {
      const { columns } = this.#portals.get(name);
      this.#refuseColumnsWhenFailed(columns);
      this.#columns(columns);
    }
  }

  /** PostgreSQL looks up nothing in a failed transaction, and what returns rows may need that. */
  #refuseColumnsWhenFailed(columns: readonly ColumnDescription[] | undefined): void {
    if (columns !== undefined) this.#parts.runner.transaction.refuseWhenFailed();
  }

  #columns(columns: readonly ColumnDescription[] | undefined): void {
    if (columns === undefined) this.#parts.responder.noData();
    else this.#parts.responder.columns(columns);
  }

  /** `isAlone`: Sync follows and no transaction is open, so the statement is its own transaction. */
  async execute(
    { portal: name, rowLimit }: Execute,
    isAlone: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const { responder, runner } = this.#parts;
    if (!this.#delayed.isFor(name)) this.say();
    const portal = this.#portals.get(name);
    if (portal.statement.isEmpty) {
      this.say();
      return responder.event({ kind: "empty" });
    }
    if (!portal.statement.endsTransaction) runner.transaction.refuseWhenFailed();
    switch (portal.progress.kind) {
      case "suspended":
        return this.#resume(portal, portal.progress.rows, rowLimit);
      case "done":
        return this.#again(portal, portal.progress.tag);
      case "new":
        break;
    }
    portal.progress = { kind: "done", tag: "SELECT 0" };
    return this.#run(portal, await this.#plan(portal.statement, signal), rowLimit, isAlone, signal);
  }

  /** Planned again where map, catalog or settings have changed since Parse; else it is known. */
  async #plan(
    { sql, description, catalogEpoch }: PreparedStatement,
    signal: AbortSignal,
  ): Promise<LogicalPlan> {
    const { runner, planner } = this.#parts;
    const context = await runner.planContext(description.parameterTypes, signal);
    if (context.catalog.epoch !== catalogEpoch) await this.#refuseChanged(sql, description, signal);
    const known = planner.known(sql, context);
    if (known !== undefined) return known;
    const outcome = planner.parse(sql);
    const statement = outcome.kind === "statements" ? outcome.statements[0] : undefined;
    if (statement === undefined)
      return runner.rejected(sql, (notice) => this.#parts.responder.notice(notice), signal);
    return planner.plan(statement, context, sql);
  }

  /** What the client was told of the statement must still hold, as PostgreSQL's plan cache demands. */
  async #refuseChanged(sql: string, told: Description, signal: AbortSignal): Promise<void> {
    if (told.parameterTypes.length === 0 && told.columns === undefined) return;
    const now = await this.#parts.runner.descriptions.statement(sql, told.parameterTypes, signal);
    if (isDeepStrictEqual(told.columns?.map(resultType), now.columns?.map(resultType))) return;
    throw new SqlError("cached_plan_changed", "cached plan must not change result type");
  }

  async #run(
    portal: Portal,
    plan: LogicalPlan,
    rowLimit: number,
    isAlone: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const { runner, commands, responder } = this.#parts;
    switch (plan.kind) {
      case "query":
      case "insert":
      case "insertQuery":
      case "explain":
      case "ddl":
        return this.#runRows(portal, plan, rowLimit, isAlone, signal);
      case "copyIn":
      case "copyOut":
        this.say();
        return responder.complete(await copy(plan, this.#parts, isAlone, signal));
      case "transaction":
      case "setting":
      case "session":
        this.say();
        return responder.complete(await commands.run(plan, signal));
      case "rejected":
        return runner.rejected(plan.sql, (notice) => responder.notice(notice), signal);
      case "empty":
        return responder.event({ kind: "empty" });
    }
  }

  async #runRows(
    portal: Portal,
    plan: RowsPlan,
    rowLimit: number,
    isAlone: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const { runner, responder } = this.#parts;
    const stream = runner.run(
      {
        plan,
        protocol: {
          kind: "extended",
          parameters: portal.parameters,
          resultFormats: portal.resultFormats,
          keepPrepared: portal.statement.name !== "",
          onBound: () => this.say(),
        },
        output: async () => portal.columns,
        describe: false,
        isAlone,
      },
      signal,
    );
    if (rowLimit <= 0 || portal.columns === undefined) {
      for await (const event of stream) {
        // A gather that wants no row (LIMIT 0) completes before any backend has answered Bind.
        // A notice may come before that answer: planning at Bind runs functions, too.
        if (event.kind !== "notice") this.say();
        if (event.kind === "complete") portal.progress = { kind: "done", tag: event.tag };
        await responder.event(event);
      }
      return;
    }
    const rows = await this.#collect(stream);
    this.say();
    await this.#resume(portal, rows, rowLimit);
  }

  /** A limited Execute: the statement runs to its end, and what the client did not ask for waits. */
  async #collect(stream: AsyncIterable<ResultEvent>): Promise<RowQueue> {
    const rows = new RowQueue();
    for await (const event of stream) {
      if (event.kind === "rows") rows.add(event.rows);
      else if (event.kind === "complete") rows.tag = event.tag;
      else await this.#parts.responder.event(event);
    }
    return rows;
  }

  /** PostgreSQL finds out that a portal is at its end only by asking for one row more than there is. */
  async #resume(portal: Portal, rows: RowQueue, rowLimit: number): Promise<void> {
    const { responder } = this.#parts;
    let wanted = rowLimit <= 0 ? Number.MAX_SAFE_INTEGER : rowLimit;
    let given = 0;
    while (wanted > 0) {
      const run = rows.take(wanted);
      if (run === undefined) break;
      wanted -= run.count;
      given += run.count;
      await responder.event({ kind: "rows", rows: run });
    }
    if (wanted === 0) {
      portal.progress = { kind: "suspended", rows };
      return responder.event({ kind: "suspended" });
    }
    portal.progress = { kind: "done", tag: rows.tag };
    responder.complete(rows.tagFor(given));
  }

  /** What returns rows and is at its end gives no more of them; anything else cannot be run twice. */
  #again(portal: Portal, tag: string): void {
    if (portal.columns === undefined)
      throw new SqlError("portal_not_runnable", `portal "${portal.name}" cannot be run`);
    this.#parts.responder.complete(countedTag(tag, 0));
  }

  close({ target, name }: Close): void {
    this.say();
    if (target === "statement") this.#prepared.close(name);
    else this.#portals.close(name);
    this.#parts.responder.closeComplete();
  }

  /** Ends the implicit transaction of the pipeline, and with any transaction its portals. */
  async sync(signal: AbortSignal): Promise<void> {
    this.say();
    const { runner } = this.#parts;
    if (runner.transaction.isExplicit) return;
    this.#portals.clear();
    if (runner.transaction.current !== undefined) await runner.end(signal);
  }

  /**
   * Answers that waited. PostgreSQL reads a portal's values, and plans with them, at Bind;
   * here the backend does so when the portal is executed, and BindComplete waits for it.
   */
  say(): void {
    this.#delayed.say();
  }

  /** An error takes their place. */
  dropDelayed(): void {
    this.#delayed.drop();
  }

  /** A query string uses the unnamed statement and portal up. */
  forgetUnnamed(): void {
    this.#prepared.close("");
    this.#portals.close("");
  }

  /** The transaction has ended. */
  forgetPortals(): void {
    this.#portals.clear();
  }
}

function isTransactionEnd({ node }: ParsedStatement): boolean {
  if (!("TransactionStmt" in node)) return false;
  return TRANSACTION_ENDS.has(node.TransactionStmt.kind ?? "");
}

/** IsTransactionExitStmt of postgres.c, but for PREPARE TRANSACTION. */
const TRANSACTION_ENDS: ReadonlySet<string> = new Set([
  "TRANS_STMT_COMMIT",
  "TRANS_STMT_ROLLBACK",
  "TRANS_STMT_ROLLBACK_TO",
]);

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
]);
