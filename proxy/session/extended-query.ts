/**
 * The extended protocol: Parse, Bind, Describe, Execute, Close, Sync (manual: "Extended
 * Query"). What a statement's parameters and columns are is PostgreSQL's answer, kept; where
 * its rows are is known once it is bound, so backends see it when it is executed.
 */
import { SqlError } from "../../base/sql-error.ts";
import type { CursorPlan } from "../../planner/cursor-plan.ts";
import type { LogicalPlan } from "../../planner/logical-plan.ts";
import type { FragmentProtocol } from "../execution/fragment-request.ts";
import type { ResultEvent } from "../execution/result-event.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import type { Bind } from "../protocol/frontend/bind.ts";
import type { Close } from "../protocol/frontend/close.ts";
import type { Describe } from "../protocol/frontend/describe.ts";
import type { Execute } from "../protocol/frontend/execute.ts";
import type { Parse } from "../protocol/frontend/parse.ts";
import { boundPortal, checkBound, othersOf, refuseParameterCount } from "./bound-portal.ts";
import type { PortalColumns } from "./bound-portal.ts";
import { copy } from "./copy.ts";
import { rejected } from "./current-plan.ts";
import { DelayedAnswers } from "./delayed-answers.ts";
import type { Portal, Portals } from "./portals.ts";
import type { PreparedStatement, PreparedStatements } from "./prepared-statements.ts";
import { readsViews } from "./plan-traits.ts";
import { inClientPortal } from "./portal-errors.ts";
import { prepareExecution } from "./sql-prepared.ts";
import type { Execute as ExecuteNamed } from "./sql-prepared.ts";
import { renewed, runFresh } from "./stale-plans.ts";
import { columnsOfNamed, planPrepared, prepareStatement } from "./statement-preparation.ts";
import { collected, countedTag } from "./row-queue.ts";
import type { RowSource } from "./row-queue.ts";
import { RowStream } from "./row-stream.ts";
import { NO_MODES } from "./session-transaction.ts";
import type { QueryParts } from "./simple-query.ts";
import type { RowsPlan } from "./statement-runner.ts";

export class ExtendedQuery {
  readonly #parts: QueryParts;
  readonly #prepared: PreparedStatements;
  readonly #portals: Portals;
  readonly #delayed = new DelayedAnswers();
  /** A backend has taken the running portal's values. */
  #isBound = false;

  constructor(parts: QueryParts, prepared: PreparedStatements) {
    this.#parts = parts;
    this.#portals = parts.portals;
    this.#prepared = prepared;
  }

  async parse(
    { statement: name, sql, parameterTypeOids }: Parse,
    signal: AbortSignal,
  ): Promise<void> {
    await this.settle(signal);
    if (name === "") this.#prepared.close("");
    const statement = await prepareStatement(this.#parts, name, sql, parameterTypeOids, signal);
    // Last, as in PostgreSQL: what is wrong with the text is told first.
    this.#prepared.refuseTaken(name);
    this.#prepared.add(statement);
    this.#parts.responder.parseComplete();
  }

  async bind(message: Bind, signal: AbortSignal): Promise<void> {
    await this.settle(signal);
    const statement = this.#prepared.get(message.statement);
    refuseParameterCount(message, statement);
    const { transaction } = this.#parts.runner;
    if (!statement.endsTransaction) transaction.refuseWhenFailed();
    const columns = await this.#columnsOf(statement);
    const portal = boundPortal(message, statement, columns, transaction);
    if (message.portal === "") await this.#end("", signal);
    this.#portals.add(portal);
    this.#delayed.add(message.portal, () => this.#parts.responder.bindComplete());
  }

  async #columnsOf({ answersAs, description }: PreparedStatement): Promise<PortalColumns> {
    return answersAs === undefined ? description.columns : columnsOfNamed(answersAs, this.#parts);
  }

  async describe({ target, name }: Describe, signal: AbortSignal): Promise<void> {
    if (target === "portal" && this.#delayed.isLast(name)) {
      this.#refuseColumnsWhenFailed(await this.#portalColumns(name));
      // Told later: by then the portal may have been bound anew.
      this.#delayed.add(name, () => this.#boundColumns(name));
      return;
    }
    await this.settle(signal);
    if (target === "statement") {
      const statement = this.#prepared.get(name);
      const { description } = statement;
      this.#refuseColumnsWhenFailed(description.columns);
      statement.isTold = true;
      this.#parts.responder.parameterTypes(description.parameterTypes);
      this.#columns(description.columns);
    } else {
      const columns = await this.#portalColumns(name);
      this.#refuseColumnsWhenFailed(columns);
      this.#columns(columns);
    }
  }

  #boundColumns(name: string): void {
    const portal = this.#portals.find(name);
    if (portal?.kind !== "bound") return;
    portal.statement.isTold = true;
    this.#columns(portal.columns);
  }

  async #portalColumns(name: string): Promise<PortalColumns> {
    const portal = this.#portals.get(name);
    if (portal.kind === "bound") {
      portal.statement.isTold ||= !this.#delayed.isFor(name);
      return portal.columns;
    }
    this.#parts.runner.transaction.refuseWhenFailed();
    return portal.columns();
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
    if (!this.#delayed.isFor(name)) await this.settle(signal);
    const portal = this.#portals.get(name);
    if (portal.kind !== "cursor") runner.backends.claimant.statement = portal.statement;
    if (portal.kind === "cursor") {
      for await (const event of this.#parts.cursors.execute(portal, rowLimit, signal))
        await responder.event(event);
      return;
    }
    if (portal.statement.isEmpty) {
      this.say();
      return responder.event({ kind: "empty" });
    }
    if (!portal.mayEndFailed) runner.transaction.refuseWhenFailed();
    switch (portal.progress.kind) {
      case "suspended":
        return this.#resume(portal, portal.progress.rows, rowLimit);
      case "done":
        return this.#again(portal, portal.progress.tag);
      case "new":
        break;
    }
    this.#isBound = false;
    let fresh = portal;
    let isAgain = false;
    portal.statement.isTold ||= !this.#delayed.isFor(name);
    try {
      await runFresh({
        runner,
        responder,
        sql: portal.statement.sql,
        plan: async () => {
          fresh = await this.#fresh(fresh, isAgain, signal);
          isAgain = true;
          fresh.progress = { kind: "done", tag: "SELECT 0" };
          return planPrepared(this.#parts, fresh.statement, signal);
        },
        run: (plan) => this.#run(fresh, plan, rowLimit, isAlone, signal),
        signal,
        isTold: portal.statement.isTold,
        giveUp: () => {
          if (this.#isBound) this.say();
        },
      });
    } catch (error) {
      throw inClientPortal(error, name);
    }
  }

  /** Where tables have changed since Bind, or a run of it has failed by a plan that is too old: as it would be bound now. */
  async #fresh(portal: Portal, isAgain: boolean, signal: AbortSignal): Promise<Portal> {
    const { statement } = portal;
    const fresh = await renewed(portal, isAgain, this.#parts, signal);
    if (fresh === portal) return portal;
    if (this.#prepared.find(statement.name) === statement) this.#prepared.add(fresh.statement);
    this.#portals.replace(fresh);
    return fresh;
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
      case "cursor":
        return this.#runRows(portal, plan, rowLimit, isAlone, signal);
      case "ddl":
        this.say();
        await this.#runRows(portal, plan, rowLimit, isAlone, signal);
        this.#forgetCommitted(plan);
        // In the transaction that it has left behind, as PostgreSQL's do, is what follows.
        if (plan.block === "refused" && !isAlone) await runner.begin(NO_MODES, false, signal);
        return;
      case "copyIn":
      case "copyOut":
        this.say();
        return responder.complete(await copy(plan, this.#parts, isAlone, signal));
      case "transaction":
      case "setting":
      case "session":
        this.say();
        if (plan.kind === "session" && plan.action.kind === "execute")
          return this.#runRows(portal, plan.action, rowLimit, isAlone, signal);
        if (!isAlone) await commands.joinPipeline(plan, signal);
        responder.complete(await commands.run(plan, signal));
        return this.#forgetCommitted(plan);
      case "rejected":
        return rejected(plan.sql, { runner, responder }, signal);
      case "empty":
        return responder.event({ kind: "empty" });
    }
  }

  /** What ends a transaction takes the portals with it, also where none was open but the statement's own. */
  #forgetCommitted(plan: LogicalPlan): void {
    const isEnd = plan.kind === "transaction" || (plan.kind === "ddl" && plan.block === "refused");
    if (isEnd && this.#parts.runner.transaction.current === undefined) this.#portals.clear();
  }

  async #runRows(
    portal: Portal,
    plan: RowsPlan | CursorPlan | ExecuteNamed,
    rowLimit: number,
    isAlone: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const { runner, cursors, responder } = this.#parts;
    const isLimited = rowLimit > 0 && portal.columns !== undefined;
    const isHeldOpen = isLimited && !isAlone && plan.kind === "query" && plan.access === "read";
    const protocol: FragmentProtocol = {
      kind: "extended",
      parameters: portal.parameters,
      resultFormats: portal.resultFormats,
      keepPrepared: portal.statement.name !== "",
      fetch: isHeldOpen ? runner.newFetch(rowLimit) : undefined,
      // Told with what follows: until then, a plan that is too old may be replaced.
      onBound: () => {
        this.#isBound = true;
      },
      onOtherColumns:
        portal.statement.isTold || (plan.kind === "query" && readsViews(plan))
          ? undefined
          : othersOf(portal),
    };
    const output = portal.columns;
    // Its own portal may be among what it closes, and nothing of it is left to be found out.
    if (plan.kind === "cursor" && plan.action.kind === "close") this.say();
    const stream =
      plan.kind === "cursor"
        ? cursors.run({ plan, protocol, output, describe: false }, signal)
        : plan.kind === "execute"
          ? (await prepareExecution(plan, this.#parts, signal, { ...portal, ...protocol })).stream(
              isAlone,
              signal,
            )
          : runner.run(
              { plan, protocol, output: async () => output, describe: false, isAlone },
              signal,
            );
    if (!isLimited) {
      for await (const event of stream) {
        // A gather that wants no row (LIMIT 0) completes before any backend has answered Bind.
        // A notice may come before that answer: planning at Bind runs functions, too.
        if (event.kind !== "notice" || this.#isBound) this.say();
        if (event.kind === "complete") portal.progress = { kind: "done", tag: event.tag };
        await responder.event(event);
      }
      return;
    }
    const onEvent = async (event: ResultEvent): Promise<void> => {
      if (this.#isBound) this.say();
      await responder.event(event);
    };
    const rows = isHeldOpen
      ? new RowStream(stream, onEvent, () => runner.portalsRest())
      : await collected(stream, onEvent);
    if (rows instanceof RowStream) await rows.open();
    this.say();
    await this.#resume(portal, rows, rowLimit);
  }

  /** PostgreSQL finds out that a portal is at its end only by asking for one row more than there is. */
  async #resume(portal: Portal, rows: RowSource, rowLimit: number): Promise<void> {
    const { responder } = this.#parts;
    let wanted = rowLimit <= 0 ? Number.MAX_SAFE_INTEGER : rowLimit;
    let given = 0;
    while (wanted > 0) {
      const run = await rows.take(wanted);
      if (run === undefined) break;
      wanted -= run.count;
      given += run.count;
      await responder.event({ kind: "rows", rows: run });
    }
    await rows.pause();
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

  async close({ target, name }: Close, signal: AbortSignal): Promise<void> {
    await this.settle(signal);
    if (target === "statement") this.#prepared.close(name);
    else await this.#end(name, signal);
    this.#parts.responder.closeComplete();
  }

  /** Ends the implicit transaction of the pipeline, and with any transaction its portals. */
  async sync(signal: AbortSignal): Promise<void> {
    await this.settle(signal);
    const { runner } = this.#parts;
    this.#prepared.endBatch();
    if (runner.transaction.isExplicit) return;
    // Its end may have to read what cursors hold on to.
    if (runner.transaction.current !== undefined) await runner.end(signal);
    this.#portals.clear();
  }

  /** Inside its transaction: what a portal still reads is ended. */
  async #end(name: string, signal: AbortSignal): Promise<void> {
    const portal = this.#portals.find(name);
    if (portal === undefined) this.#portals.close(name);
    else await this.#parts.cursors.closePortal(portal, signal);
  }

  /**
   * Before anything that does not execute the portal whose answers wait: a server that may run
   * none of it is asked whether it can be bound. Throws what Bind failed with.
   */
  async settle(signal: AbortSignal): Promise<void> {
    const { portal: name } = this.#delayed;
    if (name === undefined) return;
    const portal = this.#portals.find(name);
    if (portal?.kind === "bound") await checkBound(portal, this.#parts.runner.view, signal);
    this.say();
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
