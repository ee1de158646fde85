/**
 * Runs one planned statement in the session's transaction. Both protocols end here: what
 * differs between them is how parameters, formats and the end of an implicit transaction
 * come about, and that is theirs.
 */
import { PORTAL_ROWS_AT_ONCE } from "../../base/limits.ts";
import { invariant, unreachable } from "../../base/invariant.ts";
import type { DdlPlan, LogicalPlan, QueryPlan } from "../../planner/logical-plan.ts";
import type { InsertPlan } from "../../planner/insert/insert-plan.ts";
import type { TransactionModes } from "../../planner/session-plan.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import type { ExecutionRequest } from "../execution/execution-request.ts";
import { Executor } from "../execution/executor.ts";
import type { FragmentProtocol, PortalFetch } from "../execution/fragment-request.ts";
import { untilPortalsRest } from "../execution/run-portal.ts";
import type { ResultStream } from "../execution/result-event.ts";
import { SessionBackends } from "../execution/session-backends.ts";
import { Transaction } from "../execution/transaction.ts";
import { isOfOneSnapshot } from "../execution/transaction-modes.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import { DdlCommit } from "./ddl-commit.ts";
import { checkBlock, runDdl, runMaintenance } from "./ddl-run.ts";
import type { Environment } from "./environment.ts";
import { runExplain } from "./explain-run.ts";
import type { ExplainingSession } from "./explain-run.ts";
import { runInsertQuery } from "./inserted-rows.ts";
import type { InsertingSession } from "./inserted-rows.ts";
import type { Listening } from "./listening.ts";
import {
  isSessionValue,
  mayDraw,
  pinReasonOf,
  readsViews,
  routeOf,
  setsSequence,
  writesIn,
} from "./plan-traits.ts";
import { StatementBinding } from "./statement-binding.ts";
import type { SequenceValues } from "./sequence-values.ts";
import { SessionPins } from "./session-pins.ts";
import { runSessionValue } from "./session-value-run.ts";
import type { SessionServices } from "./session-services.ts";
import { NO_MODES, SessionTransaction } from "./session-transaction.ts";
import { SessionView } from "./session-view.ts";
import type { SessionSettings } from "./settings.ts";
import { StatementDescriptions } from "./statement-descriptions.ts";

export interface StatementRequest {
  readonly plan: RowsPlan;
  readonly protocol: FragmentProtocol;
  /** The client's columns in its formats. Asked for only where several placements answer, or formats may be binary. */
  readonly output: (signal: AbortSignal) => Promise<readonly ColumnDescription[] | undefined>;
  /** The client reads column descriptions with the rows. */
  readonly describe: boolean;
  /** Nothing follows before the transaction's end: it needs no transaction block of its own. */
  readonly isAlone: boolean;
}

export class StatementRunner {
  readonly transaction: SessionTransaction;
  readonly view: SessionView;
  readonly descriptions: StatementDescriptions;
  readonly pins: SessionPins;
  readonly sequenceValues: SequenceValues;
  readonly binding: StatementBinding;
  readonly #services: SessionServices;
  readonly #settings: SessionSettings;
  readonly #backends: SessionBackends;
  readonly #ddl: DdlCommit;
  #portalCount = 0;

  constructor(
    services: SessionServices,
    settings: SessionSettings,
    listening: Listening,
    sequenceValues: SequenceValues,
  ) {
    this.sequenceValues = sequenceValues;
    this.#services = services;
    this.#settings = settings;
    this.#ddl = new DdlCommit(services);
    this.#backends = new SessionBackends(
      services.backends,
      services.inDoubt,
      () => settings.script,
      services.holders,
      services.pauses,
    );
    this.transaction = new SessionTransaction(
      (modes) =>
        new Transaction(this.#backends, services.twoPhase, modes, services.topology().map.catalog),
      settings,
      listening,
    );
    this.view = new SessionView({
      services,
      settings,
      backends: this.#backends,
      transaction: this.transaction,
      withTemporary: (catalog, signal) => this.pins.catalogOver(catalog, signal),
    });
    this.binding = new StatementBinding({
      services,
      transaction: this.transaction,
      view: this.view,
      sequenceValues: this.sequenceValues,
    });
    this.descriptions = new StatementDescriptions({
      services,
      settings,
      seesOwnCatalog: () => this.view.hasOwnCatalog || this.pins.hasTemporaryObjects,
      withCatalog: (signal, use) => this.view.withCatalog(signal, use),
    });
    this.pins = new SessionPins({
      services,
      backends: this.#backends,
      transaction: this.transaction,
      withCatalog: (signal, use) => this.view.withCatalog(signal, use),
    });
  }

  get backends(): SessionBackends {
    return this.#backends;
  }

  async begin(
    modes: TransactionModes,
    isExplicit: boolean,
    signal: AbortSignal,
    chained: TransactionModes = NO_MODES,
  ): Promise<Transaction> {
    return this.beginIn(await this.view.environment(signal), modes, isExplicit, chained);
  }

  /** Where the session's environment is at hand. */
  beginIn(
    environment: Environment,
    modes: TransactionModes,
    isExplicit: boolean,
    chained: TransactionModes = NO_MODES,
  ): Transaction {
    const { defaultIsolation, isReadOnlyByDefault } = environment;
    return this.transaction.begin(
      {
        ...modes,
        // Read committed is what a transaction has anyway: naming it would only lengthen each BEGIN.
        isolation:
          modes.isolation ?? (isOfOneSnapshot(defaultIsolation) ? defaultIsolation : undefined),
        readOnly: modes.readOnly ?? (isReadOnlyByDefault ? true : undefined),
      },
      isExplicit,
      environment,
      chained,
    );
  }

  /** Query, insert or DDL, in the open transaction or, where it is alone and may, in none. */
  async *run(request: StatementRequest, signal: AbortSignal): ResultStream {
    this.transaction.refuseWhenFailed();
    const { plan } = request;
    switch (plan.kind) {
      case "query":
        yield* isSessionValue(plan)
          ? this.#runSessionValue(request, plan, signal)
          : this.#runRows(request, plan, signal);
        break;
      case "insert":
        yield* this.#runRows(request, plan, signal);
        break;
      case "insertQuery":
        yield* runInsertQuery({ ...request, plan }, this.#insertingSession(), signal);
        break;
      case "explain":
        try {
          yield* runExplain({ ...request, plan }, this.#explainingSession(request, signal), signal);
        } finally {
          if (plan.executes && mayDraw(plan.plan)) this.sequenceValues.forget();
        }
        break;
      case "ddl":
        checkBlock(plan, this.transaction.current);
        await this.binding.enterDdl(plan, signal);
        if (plan.isTemporary) await this.pins.pin("temporary object", signal);
        else if (plan.changesCatalog) this.pins.schemaChanged();
        yield* plan.block === "refused"
          ? this.#runMaintenance(plan, signal)
          : this.#runDdl(request, plan, signal);
        break;
      default:
        unreachable(plan);
    }
  }

  #insertingSession(): InsertingSession {
    return {
      statement: (sql, types, signal) => this.descriptions.statement(sql, types, signal),
      isReadOnly: () => this.transaction.current?.transaction.modes.readOnly === true,
      environment: (signal) => this.view.environment(signal),
      planContext: (types, signal) => this.binding.planContext(types, signal),
      run: (request, signal) => this.run(request, signal),
    };
  }

  #explainingSession(request: StatementRequest, signal: AbortSignal): ExplainingSession {
    return {
      map: this.#services.topology().map,
      bind: async (plan, protocol) => {
        const physical = await this.binding.bind(plan, protocol, signal);
        this.transaction.mayHaveNotified ||= writesIn(physical, this.map.catalog);
        return physical;
      },
      blockFor: (needsBlock) => this.#blockFor(request, needsBlock, signal),
      executor: () => this.#executor(signal),
    };
  }

  async *#runRows(
    request: StatementRequest,
    plan: QueryPlan | InsertPlan,
    signal: AbortSignal,
  ): ResultStream {
    const startedMs = performance.now();
    const pinReason = pinReasonOf(plan);
    if (pinReason !== undefined) await this.pins.pin(pinReason, signal);
    const physical = await this.binding.bind(plan, request.protocol, signal);
    const route = routeOf(physical);
    const isSpread = physical.fragments.length > 1 || physical.pulls.length > 0;
    const needsBlock = isSpread && physical.access === "write";
    const transaction = await this.#blockFor(request, needsBlock, signal);
    const isDescribed =
      route !== "single" || request.protocol.kind === "extended" || readsViews(plan);
    const output = physical.returnsRows && isDescribed ? await request.output(signal) : undefined;
    const executor = await this.#executor(signal);
    const { metrics } = this.#services;
    const kind = plan.kind === "insert" ? "insert" : physical.access;
    metrics.increment("colonnade_statements_total", { kind, route });
    this.transaction.mayHaveNotified ||= writesIn(physical, this.map.catalog);
    try {
      yield* executor.execute(
        { plan: physical, protocol: request.protocol, output, describe: request.describe },
        transaction,
        signal,
      );
    } finally {
      const seconds = (performance.now() - startedMs) / 1000;
      metrics.observe("colonnade_statement_seconds", { route }, seconds);
      // PostgreSQL's own sessions, too, drop what they drew ahead when setval() is called.
      if (setsSequence(plan)) await this.#services.sequences.forget();
      if (mayDraw(plan)) this.sequenceValues.forget();
      if (pinReason === "temporary object") this.pins.schemaChanged();
    }
  }

  #runSessionValue(request: StatementRequest, plan: QueryPlan, signal: AbortSignal): ResultStream {
    return runSessionValue({ ...request, plan }, signal, {
      settings: this.#settings,
      sequenceValues: this.sequenceValues,
      transaction: this.transaction,
      open: () => this.openTransaction(signal),
      environment: () => this.view.environment(signal),
      planContext: () => this.binding.planContext([], signal),
      run: (as) => this.#runRows({ ...request, ...as }, as.plan, signal),
    });
  }

  async #executor(signal: AbortSignal): Promise<Executor> {
    const { translations, catalog, map } = this.#services.topology();
    const { extraFloatDigits } = await this.view.environment(signal);
    return new Executor(this.#backends, {
      translation: (database) => translations.of(database),
      types: { byOid: catalog.types, extraFloatDigits },
      catalogEpoch: catalog.epoch,
      catalog: map.catalog,
      databaseGatherBytesMax: this.#services.databaseGatherBytesMax,
      metrics: this.#services.metrics,
      use: this.binding.use,
    });
  }

  /** The open transaction, or an implicit one. */
  async openTransaction(signal: AbortSignal): Promise<Transaction> {
    this.transaction.refuseWhenFailed();
    return this.transaction.current?.transaction ?? (await this.begin(NO_MODES, false, signal));
  }

  /** For a statement of the open transaction whose rows are asked for as they are wanted. */
  newFetch(rowLimit: number): PortalFetch {
    this.#portalCount += 1;
    const portal = `colonnade_portal_${this.#portalCount}`;
    return { kind: "portal", portal, rows: Math.min(rowLimit, PORTAL_ROWS_AT_ONCE) };
  }

  /** For the servers' parts of a cursor over several: unique in the session. */
  newCursor(): string {
    this.#portalCount += 1;
    return `colonnade_cursor_${this.#portalCount}`;
  }

  /** What is bound already, in the open transaction or an implicit one. */
  async *runBound(request: ExecutionRequest, signal: AbortSignal): ResultStream {
    yield* (await this.boundRuns(signal))(request);
  }

  /** For several at once, each on other databases: what servers must be asked is asked while none of them is in use. */
  async boundRuns(signal: AbortSignal): Promise<(request: ExecutionRequest) => ResultStream> {
    const transaction = await this.openTransaction(signal);
    const executor = await this.#executor(signal);
    const { sequenceValues } = this;
    return async function* (request) {
      yield* executor.execute(request, transaction, signal);
      // What it calls may have drawn from sequences.
      if (request.plan.access === "write") sequenceValues.forget();
    };
  }

  /** Once no portal's rows are on their way; false where a database has failed the transaction. */
  async portalsRest(): Promise<boolean> {
    const participants = this.transaction.current?.transaction.participants ?? [];
    await Promise.all(participants.map(({ connection }) => untilPortalsRest(connection)));
    return participants.every(({ connection }) => connection.transactionStatus !== "failed");
  }

  get map(): ShardMap {
    return this.#services.topology().map;
  }

  async #blockFor(
    request: StatementRequest,
    needsBlock: boolean,
    signal: AbortSignal,
  ): Promise<Transaction | undefined> {
    const open = this.transaction.current;
    if (open !== undefined) return open.transaction;
    return needsBlock || !request.isAlone ? this.begin(NO_MODES, false, signal) : undefined;
  }

  async *#runDdl(request: StatementRequest, plan: DdlPlan, signal: AbortSignal): ResultStream {
    const transaction =
      this.transaction.current?.transaction ?? (await this.begin(NO_MODES, false, signal));
    const open = this.transaction.current;
    invariant(open !== undefined, "DDL runs in a transaction");
    if (plan.changesCatalog) {
      open.changesCatalog = true;
      if (!plan.isTemporary) open.ddlMap ??= this.map;
      open.catalog = undefined;
    }
    for await (const event of runDdl(
      plan,
      transaction,
      { catalog: this.map.catalog, use: this.binding.use },
      signal,
    ))
      if (request.describe || event.kind !== "columns") yield event;
  }

  async *#runMaintenance(plan: DdlPlan, signal: AbortSignal): ResultStream {
    try {
      yield* runMaintenance(plan, { backends: this.#backends, use: this.binding.use }, signal);
    } finally {
      // Where a later step fails, the earlier ones have committed.
      if (plan.changesCatalog) await this.#ddl.committedAlone();
    }
  }

  /** What was made past this proxy is seen afterwards. */
  async lookAgain(): Promise<void> {
    await this.#services.refreshCatalog();
    const open = this.transaction.current;
    if (open !== undefined) open.catalog = undefined;
  }

  /** Ends an implicit transaction, or an explicit one at its COMMIT; loads the catalog where it changed. */
  async end(signal: AbortSignal): Promise<"COMMIT" | "ROLLBACK"> {
    this.#ddl.forget();
    const ended = await this.transaction.end(signal, (...ddl) => this.#ddl.prepare(...ddl));
    this.#services.metrics.increment("colonnade_transactions_total", {
      commit: ended.outcome === "ROLLBACK" ? "rollback" : ended.commitKind,
    });
    if (ended.changedCatalog) await this.#ddl.committed();
    return ended.outcome;
  }
}

export type RowsPlan = Extract<
  LogicalPlan,
  { kind: "query" | "insert" | "insertQuery" | "explain" | "ddl" }
>;
