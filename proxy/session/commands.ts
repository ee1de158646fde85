/**
 * Statements about the transaction and the session itself: they have no rows and no route.
 * Each answers with its command tag, as PostgreSQL words it.
 */
import { InvariantViolation, unreachable } from "../../base/invariant.ts";
import { SqlError } from "../../base/sql-error.ts";
import type {
  SessionPlan,
  SettingPlan,
  TransactionModes,
  TransactionPlan,
} from "../../planner/session-plan.ts";
import { UNKNOWN_SETTINGS } from "../backend/backend-connection.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import { plainRequest } from "../execution/fragment-request.ts";
import { runFragment } from "../execution/run-fragment.ts";
import { notInDatabase } from "../execution/session-role.ts";
import { readEnvironment } from "./environment.ts";
import type { Listening } from "./listening.ts";
import type { Cursors } from "./cursors.ts";
import type { Portals } from "./portals.ts";
import type { PreparedStatements } from "./prepared-statements.ts";
import type { Responder } from "./responder.ts";
import { modesToChain, applySetting, NO_MODES } from "./session-transaction.ts";
import { settledSetting } from "./date-style.ts";
import { isOtherRole } from "./settings.ts";
import type { SessionSettings } from "./settings.ts";
import { blockCommand } from "./plan-traits.ts";
import { runPrepare } from "./sql-prepared.ts";
import type { SqlPreparedParts } from "./sql-prepared.ts";
import { truncatedNames } from "./truncated-names.ts";
import type { StatementPlanner } from "./statement-planner.ts";
import type { StatementRunner } from "./statement-runner.ts";

export type CommandPlan = TransactionPlan | SettingPlan | SessionPlan;

export class Commands {
  readonly #runner: StatementRunner;
  readonly #settings: SessionSettings;
  readonly #listening: Listening;
  readonly #portals: Portals;
  readonly #prepared: PreparedStatements;
  readonly #responder: Responder;
  readonly #parts: SqlPreparedParts;

  constructor(parts: {
    readonly runner: StatementRunner;
    readonly settings: SessionSettings;
    readonly listening: Listening;
    readonly portals: Portals;
    readonly cursors: Cursors;
    readonly prepared: PreparedStatements;
    readonly responder: Responder;
    readonly planner: StatementPlanner;
  }) {
    this.#parts = parts;
    this.#runner = parts.runner;
    this.#settings = parts.settings;
    this.#listening = parts.listening;
    this.#portals = parts.portals;
    this.#prepared = parts.prepared;
    this.#responder = parts.responder;
  }

  /** The command tag. */
  async run(plan: CommandPlan, signal: AbortSignal): Promise<string> {
    // A setting's statement is a server's to read, and to remark on.
    if (plan.kind !== "setting") await this.#tellTruncated(plan.sql, signal);
    switch (plan.kind) {
      case "transaction":
        return this.#transaction(plan, signal);
      case "setting":
        this.#runner.transaction.refuseWhenFailed();
        return this.#setting(plan, signal);
      case "session":
        this.#runner.transaction.refuseWhenFailed();
        return this.#session(plan, signal);
      default:
        return unreachable(plan);
    }
  }

  async #transaction({ action, sql }: TransactionPlan, signal: AbortSignal): Promise<string> {
    const { transaction } = this.#runner;
    switch (action.kind) {
      case "begin":
        transaction.refuseWhenFailed();
        await this.#begin(action.modes, signal);
        return action.command;
      case "setModes":
        transaction.refuseWhenFailed();
        return this.#setModes(action.modes, signal);
      case "setConstraints":
        transaction.refuseWhenFailed();
        return this.#setConstraints(sql, signal);
      case "commit":
        return this.#end(action.chain, "COMMIT", signal);
      case "rollback":
        return this.#end(action.chain, "ROLLBACK", signal);
      case "savepoint":
        transaction.refuseWhenFailed();
        await transaction.savepoint(action.name);
        return "SAVEPOINT";
      case "release":
        transaction.refuseWhenFailed();
        await transaction.release(action.name);
        return "RELEASE";
      case "rollbackTo":
        await transaction.rollbackTo(action.name);
        return "ROLLBACK";
      default:
        return unreachable(action);
    }
  }

  async #begin(modes: TransactionModes, signal: AbortSignal): Promise<void> {
    const open = this.#runner.transaction.current;
    if (open === undefined) {
      await this.#runner.begin(modes, true, signal);
      return;
    }
    if (open.isExplicit)
      await this.warn("25001", "there is already a transaction in progress", signal);
    open.isExplicit = true;
    await open.transaction.changeModes(modes);
  }

  async #setModes(modes: TransactionModes, signal: AbortSignal): Promise<string> {
    const open = this.#runner.transaction.current;
    if (open === undefined)
      await this.warn("25P01", "SET TRANSACTION can only be used in transaction blocks", signal);
    else await open.transaction.changeModes(modes);
    return "SET";
  }

  async #setConstraints(sql: string, signal: AbortSignal): Promise<string> {
    const open = this.#runner.transaction.current;
    if (open === undefined)
      await this.warn("25P01", "SET CONSTRAINTS can only be used in transaction blocks", signal);
    else await open.transaction.setConstraints(sql);
    return "SET CONSTRAINTS";
  }

  async #end(chain: boolean, command: "COMMIT" | "ROLLBACK", signal: AbortSignal): Promise<string> {
    const open = this.#runner.transaction.current;
    if (open === undefined || !open.isExplicit) {
      if (chain)
        throw new SqlError(
          "no_transaction",
          `${command} AND CHAIN can only be used in transaction blocks`,
        );
      await this.warn("25P01", "there is no transaction in progress", signal);
    }
    const modes = open === undefined ? NO_MODES : modesToChain(open);
    if (command === "ROLLBACK") this.#runner.transaction.fail();
    const outcome = open === undefined ? command : await this.#runner.end(signal);
    if (chain) await this.#runner.begin(modes, true, signal, modes);
    return outcome;
  }

  /**
   * What Sync does not follow is in one transaction with what does; but for the statements that
   * begin and end transactions, and DISCARD ALL, which commits by itself. PostgreSQL says of the
   * first of a pipeline that it is in no transaction block, and yet has it hold in the rest.
   */
  async joinPipeline(plan: CommandPlan, signal: AbortSignal): Promise<void> {
    if (this.#runner.transaction.current !== undefined) return;
    const warned = blockCommand(plan);
    const isOfTransaction = plan.kind === "transaction" && warned === undefined;
    if (isOfTransaction || (plan.kind === "session" && plan.action.kind === "discardAll")) return;
    await this.#runner.begin(NO_MODES, false, signal);
    if (warned !== undefined)
      await this.warn("25P01", `${warned} can only be used in transaction blocks`, signal);
  }

  /** In the proxy's words, where the client wants to hear of it. */
  async warn(sqlstate: string, message: string, signal: AbortSignal): Promise<void> {
    const { hidesWarnings } = await this.#runner.view.environment(signal);
    if (!hidesWarnings) this.#responder.warning(sqlstate, message);
  }

  async #tellTruncated(sql: string, signal: AbortSignal): Promise<void> {
    const truncated = truncatedNames(sql);
    if (truncated.length === 0 || this.#runner.transaction.isFailed) return;
    const { hidesNotices } = await this.#runner.view.environment(signal);
    if (hidesNotices) return;
    for (const { name, kept } of truncated)
      this.#responder.ownNotice("42622", `identifier "${name}" will be truncated to "${kept}"`);
  }

  async #setting(plan: SettingPlan, signal: AbortSignal): Promise<string> {
    const sql = this.#statementFor(plan);
    const open = this.#runner.transaction.current;
    const pending = open?.pendingSettings.map((each) => each.sql) ?? [];
    this.#settings.refuseTooLong(plan.action === "set" ? [...pending, sql] : pending);
    const unname = this.#settings.nameCustom([plan.name]);
    try {
      await this.#setEverywhere(plan, sql, signal);
    } catch (error) {
      unname();
      throw error;
    }
    return plan.command;
  }

  async #setEverywhere(plan: SettingPlan, sql: string, signal: AbortSignal): Promise<void> {
    const open = this.#runner.transaction.current;
    if (open === undefined) {
      await this.#runner.view.withCatalog(signal, (connection) =>
        this.#setAlone(connection, plan, sql),
      );
    } else if (plan.modes !== undefined) {
      await open.transaction.changeModes(plan.modes);
    } else {
      // The first is the one that may refuse it; without any the catalog database is asked.
      if (open.transaction.participants.length === 0)
        await this.#runner.view.withOwnCatalog(signal, async () => undefined);
      for (const { connection } of open.transaction.participants)
        await this.#applyAsTransaction(connection, plan, sql);
      const [first] = open.transaction.participants;
      const settled = settledSetting({ ...plan, sql }, first?.connection.parameters);
      this.#runner.transaction.addSetting(settled, settled.sql);
      // Read now, and not once it is needed: what the proxy cannot work under is refused here.
      await this.#runner.view.environment(signal);
    }
  }

  #statementFor({ action, name, sql, scope }: SettingPlan): string {
    if (action === "set") return sql;
    return name === undefined
      ? this.#settings.resetAllStatement()
      : this.#settings.resetStatement(name, scope);
  }

  async #setAlone(connection: BackendConnection, plan: SettingPlan, sql: string): Promise<void> {
    connection.sessionTag = UNKNOWN_SETTINGS;
    connection.noteCustomSettings(this.#settings.script.customNames);
    await this.#apply(connection, sql);
    const environment = await readEnvironment(connection);
    applySetting(this.#settings, settledSetting(plan, connection.parameters));
    const { tag } = this.#settings.script;
    connection.sessionTag = tag;
    this.#runner.view.rememberEnvironment(tag, environment);
    this.#runner.transaction.mayHaveChangedSettings = true;
  }

  async #applyAsTransaction(
    connection: BackendConnection,
    { name }: SettingPlan,
    sql: string,
  ): Promise<void> {
    connection.noteCustomSettings(this.#settings.script.customNames);
    try {
      await this.#apply(connection, sql);
    } catch (error) {
      const isElsewhere = connection.database !== this.#runner.map.catalog;
      throw isElsewhere && isOtherRole([name]) ? notInDatabase(connection.database, error) : error;
    }
  }

  async #apply(connection: BackendConnection, sql: string): Promise<void> {
    for await (const event of runFragment(connection, plainRequest(sql))) {
      if (event.kind === "notice") await this.#responder.event(event);
    }
  }

  async #session({ action }: SessionPlan, signal: AbortSignal): Promise<string> {
    switch (action.kind) {
      case "prepare":
        await runPrepare(action, this.#parts, signal);
        return "PREPARE";
      case "execute":
        throw new InvariantViolation("EXECUTE gives rows, and is run as what does");
      case "deallocate":
        if (action.name === undefined) this.#prepared.clear();
        else this.#prepared.deallocate(action.name);
        return action.name === undefined ? "DEALLOCATE ALL" : "DEALLOCATE";
      case "listen":
      case "unlisten":
        await this.#runner.openTransaction(signal);
        this.#runner.transaction.addListenAction(action);
        return action.kind.toUpperCase();
      case "discardAll":
        if (this.#runner.transaction.current !== undefined) {
          throw new SqlError(
            "not_in_transaction_block",
            "DISCARD ALL cannot run inside a transaction block",
          );
        }
        this.#portals.clearAll();
        this.#prepared.clear();
        this.#settings.discardAll();
        this.#runner.sequenceValues.clear();
        await this.#runner.pins.end();
        this.#listening.unlistenAll();
        this.#runner.transaction.mayHaveChangedSettings = true;
        return "DISCARD ALL";
      case "discardTemporary":
        await this.#discardTemporary(signal);
        return "DISCARD TEMP";
      case "discardSequences":
        this.#runner.sequenceValues.clear();
        return "DISCARD SEQUENCES";
      case "discardPlans":
        return "DISCARD PLANS";
      default:
        return unreachable(action);
    }
  }

  /** As DROP of each of them does, in the open transaction, if any. */
  async #discardTemporary(signal: AbortSignal): Promise<void> {
    const { pins } = this.#runner;
    if (!pins.hasTemporaryObjects) return;
    await pins.pin("temporary object", signal);
    await this.#runner.view.withCatalog(signal, (connection) =>
      this.#apply(connection, "DISCARD TEMP"),
    );
  }
}
