/**
 * One connection to the console, in both query protocols, as a server would hold it: drivers
 * do not know that there is no database behind. What statements mean is not known here.
 *
 * Commands are no part of a transaction: BEGIN is answered, since some drivers put it before
 * everything, and an error fails the block, but what was done is not undone.
 */
import { invariant } from "../../base/invariant.ts";
import type { Log } from "../../base/log.ts";
import { ProtocolViolation, SqlError } from "../../base/sql-error.ts";
import { encodeDataRow } from "../protocol/backend/data-row.ts";
import type { TransactionStatus } from "../protocol/backend/ready-for-query.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import type { Frame } from "../protocol/frame-reader.ts";
import { FrameWriter } from "../protocol/frame-writer.ts";
import { decodeBind, formatAt } from "../protocol/frontend/bind.ts";
import { decodeClose } from "../protocol/frontend/close.ts";
import { decodeDescribe } from "../protocol/frontend/describe.ts";
import { decodeExecute } from "../protocol/frontend/execute.ts";
import { decodeParse } from "../protocol/frontend/parse.ts";
import { decodeQuery } from "../protocol/frontend/query.ts";
import { FRONTEND_TYPE } from "../protocol/message-type.ts";
import type { Client } from "../session/client.ts";
import { errorFields } from "../session/error-fields.ts";
import { Responder } from "../session/responder.ts";
import type { ConsoleAnswers, ConsoleRows } from "./console-answers.ts";
import { ConsolePortals } from "./console-portals.ts";
import type { ConsolePortal, PreparedCommand } from "./console-portals.ts";
import type { ConsoleSettings } from "./console-settings.ts";
import { readConsoleStatements } from "./console-statement.ts";
import type { ConsoleStatement } from "./console-statement.ts";
import { describedColumn, encodeValue } from "./console-value.ts";

export interface ConsoleSessionParts {
  readonly client: Client;
  readonly settings: ConsoleSettings;
  readonly answers: ConsoleAnswers;
  readonly log: Log;
}

/** Rows are encoded and written by so many, and the client's pace is waited for in between. */
const ROWS_AT_ONCE = 100;

export class ConsoleSession {
  readonly #parts: ConsoleSessionParts;
  readonly #responder: Responder;
  readonly #portals = new ConsolePortals();
  readonly #writer = new FrameWriter();
  #status: TransactionStatus = "idle";
  #isSkipping = false;
  /** Aborts the command that runs; undefined while none does. */
  #command: AbortController | undefined;
  #leaving: SqlError | undefined;
  #statementCount = 0;

  constructor(parts: ConsoleSessionParts) {
    this.#parts = parts;
    this.#responder = new Responder(parts.client);
  }

  get state(): "active" | "idle" | "idle in transaction" | "idle in transaction (aborted)" {
    if (this.#command !== undefined) return "active";
    if (this.#status === "idle") return "idle";
    return this.#status === "failed" ? "idle in transaction (aborted)" : "idle in transaction";
  }

  /** Query and Execute messages so far. */
  get statementCount(): number {
    return this.#statementCount;
  }

  get preparedCount(): number {
    return this.#portals.statementCount;
  }

  /** Runs to the client's end. Never rejects. */
  async run(): Promise<void> {
    const { client, settings } = this.#parts;
    const onGone = (): void => this.cancel();
    client.gone.addEventListener("abort", onGone, { once: true });
    try {
      this.#responder.parameterStatuses(settings.reported);
      this.#responder.backendKeyData();
      this.#responder.readyForQuery(this.#status);
      await this.#serve();
    } catch (error) {
      this.#report(error, "FATAL");
    } finally {
      client.gone.removeEventListener("abort", onGone);
      client.end();
    }
  }

  cancel(): void {
    this.#command?.abort(new SqlError("query_canceled", "canceling statement due to user request"));
  }

  /** At once where no command runs, and else after it, which is cancelled. */
  leave(error: SqlError): void {
    this.#leaving = error;
    if (this.#command === undefined) this.#sayLeaving(error);
    else this.cancel();
  }

  #sayLeaving(error: SqlError): void {
    this.#responder.error(errorFields(error, "FATAL"));
    this.#parts.client.end();
  }

  async #serve(): Promise<void> {
    for (;;) {
      const frame = await this.#parts.client.receive();
      if (frame === undefined || frame.type === FRONTEND_TYPE.terminate) return;
      if (this.#isSkipping && frame.type !== FRONTEND_TYPE.sync) continue;
      const { signal } = (this.#command = new AbortController());
      try {
        await this.#answer(frame, signal);
      } catch (error) {
        this.#fail(frame, error);
      } finally {
        this.#command = undefined;
      }
      if (this.#leaving !== undefined) return this.#sayLeaving(this.#leaving);
    }
  }

  /** A broken message fails as any other error, as in PostgreSQL: the next one begins where it should. */
  #fail({ type }: Frame, error: unknown): void {
    this.#report(error, "ERROR");
    if (this.#status === "inTransaction") this.#status = "failed";
    if (type === FRONTEND_TYPE.query || type === FRONTEND_TYPE.sync) this.#ready();
    else this.#isSkipping = true;
  }

  #report(error: unknown, severity: "ERROR" | "FATAL"): void {
    const fields = errorFields(error, severity);
    if (fields.C === "XX000") this.#parts.log.error({ err: error }, "internal error");
    // A message that breaks the protocol inside ends its statement, not the connection.
    this.#responder.error({ ...fields, S: severity, V: severity });
  }

  #ready(): void {
    if (this.#status === "idle") this.#portals.endTransaction();
    this.#responder.parameterStatuses(this.#parts.settings.reported);
    this.#responder.readyForQuery(this.#status);
  }

  async #answer({ type, body }: Frame, signal: AbortSignal): Promise<void> {
    switch (type) {
      case FRONTEND_TYPE.query:
        this.#statementCount += 1;
        this.#portals.forgetUnnamed();
        await this.#query(decodeQuery(body).sql, signal);
        return this.#ready();
      case FRONTEND_TYPE.parse:
        return this.#parse(body);
      case FRONTEND_TYPE.bind:
        return this.#bind(body);
      case FRONTEND_TYPE.describe:
        return this.#describe(body);
      case FRONTEND_TYPE.execute:
        this.#statementCount += 1;
        return this.#execute(body, signal);
      case FRONTEND_TYPE.close: {
        const { target, name } = decodeClose(body);
        this.#portals.close(target, name);
        return this.#responder.closeComplete();
      }
      case FRONTEND_TYPE.sync:
        this.#isSkipping = false;
        return this.#ready();
      case FRONTEND_TYPE.flush:
      case FRONTEND_TYPE.copyData:
      case FRONTEND_TYPE.copyDone:
      case FRONTEND_TYPE.copyFail:
        return;
      case FRONTEND_TYPE.functionCall:
        throw new SqlError("console_not_supported", "the admin console has no functions to call");
      default:
        throw new ProtocolViolation(`invalid frontend message type ${type}`);
    }
  }

  async #query(sql: string, signal: AbortSignal): Promise<void> {
    for (const statement of readConsoleStatements(sql)) {
      signal.throwIfAborted();
      this.#refuseWhenFailed(statement);
      const columns = this.#parts.answers.columns(statement)?.map(describedColumn);
      if (statement.kind === "empty") {
        await this.#responder.event({ kind: "empty" });
        continue;
      }
      const { rows, tag } = await this.#run(statement, signal);
      if (columns !== undefined) {
        this.#responder.columns(columns);
        await this.#rows(columns, rows);
      }
      this.#responder.complete(tag);
    }
  }

  #parse(body: Buffer): void {
    const { statement: name, sql, parameterTypeOids } = decodeParse(body);
    const [statement, ...others] = readConsoleStatements(sql);
    invariant(statement !== undefined, "a query string has a statement, be it empty");
    if (others.length > 0) {
      throw new SqlError(
        "several_statements_prepared",
        "cannot insert multiple commands into a prepared statement",
      );
    }
    if (parameterTypeOids.length > 0) {
      throw new SqlError("console_not_supported", "the admin console takes no parameters");
    }
    this.#refuseWhenFailed(statement);
    const columns = this.#parts.answers.columns(statement)?.map(describedColumn);
    this.#portals.addStatement(name, { statement, columns });
    this.#responder.parseComplete();
  }

  #bind(body: Buffer): void {
    const message = decodeBind(body);
    const prepared = this.#portals.statement(message.statement);
    this.#refuseWhenFailed(prepared.statement);
    if (message.parameters.length > 0) {
      throw new SqlError(
        "bind_mismatch",
        `bind message supplies ${message.parameters.length} parameters, but prepared statement "${message.statement}" requires 0`,
      );
    }
    const { columns } = prepared;
    const formats = message.resultFormats;
    if (formats.length > 1 && formats.length !== (columns?.length ?? 0)) {
      throw new SqlError(
        "bind_mismatch",
        `bind message has ${formats.length} result formats but query has ${columns?.length ?? 0} columns`,
      );
    }
    this.#portals.addPortal(message.portal, {
      statement: prepared.statement,
      columns: columns?.map((column, index) => ({ ...column, format: formatAt(formats, index) })),
      progress: { kind: "new" },
    });
    this.#responder.bindComplete();
  }

  #describe(body: Buffer): void {
    const { target, name } = decodeDescribe(body);
    const described: PreparedCommand =
      target === "statement" ? this.#portals.statement(name) : this.#portals.portal(name);
    if (target === "statement") this.#responder.parameterTypes([]);
    if (described.columns === undefined) this.#responder.noData();
    else this.#responder.columns(described.columns);
  }

  async #execute(body: Buffer, signal: AbortSignal): Promise<void> {
    const { portal: name, rowLimit } = decodeExecute(body);
    const portal = this.#portals.portal(name);
    if (portal.statement.kind === "empty") return this.#responder.event({ kind: "empty" });
    this.#refuseWhenFailed(portal.statement);
    const { progress } = portal;
    switch (progress.kind) {
      case "new": {
        const { rows, tag } = await this.#run(portal.statement, signal);
        return this.#give(portal, rows, tag, rowLimit);
      }
      case "suspended":
        return this.#give(portal, progress.rows, progress.tag, rowLimit);
      case "done":
        if (portal.columns !== undefined) return this.#responder.complete(progress.tag);
        throw new SqlError("portal_not_runnable", `portal "${name}" cannot be run`);
    }
  }

  async #give(
    portal: ConsolePortal,
    rows: ConsoleRows,
    tag: string,
    rowLimit: number,
  ): Promise<void> {
    const isPart = rowLimit > 0 && rows.length >= rowLimit && portal.columns !== undefined;
    const given = isPart ? rows.slice(0, rowLimit) : rows;
    await this.#rows(portal.columns ?? [], given);
    if (isPart) {
      portal.progress = { kind: "suspended", rows: rows.slice(rowLimit), tag };
      return this.#responder.event({ kind: "suspended" });
    }
    portal.progress = { kind: "done", tag };
    this.#responder.complete(tag);
  }

  async #run(
    statement: ConsoleStatement,
    signal: AbortSignal,
  ): Promise<{ readonly rows: ConsoleRows; readonly tag: string }> {
    switch (statement.kind) {
      case "begin":
        if (this.#status === "idle") this.#status = "inTransaction";
        else this.#responder.warning("25001", "there is already a transaction in progress");
        return { rows: [], tag: "BEGIN" };
      case "commit":
        return { rows: [], tag: this.#end("COMMIT") };
      case "rollback":
        return { rows: [], tag: this.#end("ROLLBACK") };
      case "clean":
        if (statement.forgetsStatements) this.#portals.forgetStatements();
        return this.#parts.answers.answer(statement, signal);
      default:
        return this.#parts.answers.answer(statement, signal);
    }
  }

  #end(wanted: "COMMIT" | "ROLLBACK"): string {
    const status = this.#status;
    if (status === "idle") this.#responder.warning("25P01", "there is no transaction in progress");
    this.#status = "idle";
    return status === "failed" ? "ROLLBACK" : wanted;
  }

  #refuseWhenFailed({ kind }: ConsoleStatement): void {
    if (this.#status !== "failed" || kind === "commit" || kind === "rollback") return;
    throw new SqlError(
      "transaction_failed",
      "current transaction is aborted, commands ignored until end of transaction block",
    );
  }

  async #rows(columns: readonly ColumnDescription[], rows: ConsoleRows): Promise<void> {
    for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) {
      for (const row of rows.slice(at, at + ROWS_AT_ONCE)) {
        const values = row.map((value, index) => {
          const { typeOid = 0, format = "text" } = columns[index] ?? {};
          return encodeValue(value, typeOid, format);
        });
        encodeDataRow({ kind: "dataRow", values }, this.#writer);
      }
      this.#parts.client.write(this.#writer.take());
      await this.#parts.client.drained();
    }
  }
}
