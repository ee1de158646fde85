/**
 * What begins and ends a transaction, as the direct path takes it: the command is the session's own,
 * as on the long way, with one turn of the session for all messages of its batch.
 */
import type { TransactionPlan } from "../../planner/session-plan.ts";
import { encodeBindComplete } from "../protocol/backend/bind-complete.ts";
import { encodeCommandComplete } from "../protocol/backend/command-complete.ts";
import { encodeNoData } from "../protocol/backend/no-data.ts";
import { encodeReadyForQuery } from "../protocol/backend/ready-for-query.ts";
import type { TransactionStatus } from "../protocol/backend/ready-for-query.ts";
import { FrameWriter } from "../protocol/frame-writer.ts";
import type { DirectBatch } from "./direct-batch.ts";
import { spentPortal } from "./direct-block.ts";
import type { DirectSession } from "./direct-session.ts";
import type { PreparedStatement } from "./prepared-statements.ts";
import type { Responder } from "./responder.ts";

/** What the client has sent: a text of the simple protocol, or a batch that executes a statement. */
export interface DirectCommand {
  readonly plan: TransactionPlan;
  readonly sql: string;
  readonly statement: PreparedStatement | undefined;
  readonly batch: DirectBatch | undefined;
}

/** It has no parameters, so its values are none: else somebody else refuses them. */
export function mayBeCommand(
  { isEmpty, answersAs, description }: PreparedStatement,
  { bind }: DirectBatch,
): boolean {
  const { parameterTypes, columns } = description;
  const isPlain = !isEmpty && answersAs === undefined && columns === undefined;
  return isPlain && parameterTypes.length === 0 && bind.parameterCount === 0;
}

/** Filled and taken within one call, so one serves all. */
const WRITER = new FrameWriter();

/**
 * Answers it, ReadyForQuery included; undefined where that is done already. Never rejects: what
 * fails is told to the client.
 */
export function runCommand(
  command: DirectCommand,
  session: DirectSession,
): Promise<void> | undefined {
  const { plan, sql, statement, batch } = command;
  const { commands, portals, prepared, responder, runner, started } = session;
  const { binding, transaction } = runner;
  started();
  // What the last statement used is no part of a transaction that begins now.
  if (transaction.current === undefined) binding.use.clear();
  runner.backends.claimant.statement = { sql };
  if (statement === undefined || batch === undefined) {
    prepared.close("");
    portals.close("");
  } else {
    portals.replace(spentPortal(statement, batch.bind, transaction.scope));
    statement.isTold = true;
    prepared.endBatch();
  }
  const begun = begin(plan, session);
  if (begun !== undefined) {
    session.client.writeNow(answer(begun, "inTransaction", batch));
    return undefined;
  }
  const committed = commit(plan, session);
  if (committed !== undefined) {
    return committed.then(
      () => {
        portals.clear();
        session.client.writeNow(answer("COMMIT", "idle", batch));
      },
      (error: unknown) =>
        session.during(() => {
          tellBound(batch, responder);
          return Promise.reject(error);
        }),
    );
  }
  return session.during(async (signal) => {
    tellBound(batch, responder);
    responder.complete(await commands.run(plan, signal));
  });
}

function tellBound(batch: DirectBatch | undefined, responder: Responder): void {
  if (batch !== undefined) responder.bindComplete();
  if (batch?.isDescribed === true) responder.noData();
}

/** Begins a transaction, where nothing is to be asked or warned of; its command tag. */
function begin({ action }: TransactionPlan, { runner }: DirectSession): string | undefined {
  const { transaction, view } = runner;
  const environment = view.environmentNow;
  if (action.kind !== "begin" || environment === undefined) return undefined;
  if (transaction.current !== undefined) return undefined;
  runner.beginIn(environment, action.modes, true);
  return action.command;
}

/** Where the session's own objects have no part in it. */
function commit({ action }: TransactionPlan, session: DirectSession): Promise<void> | undefined {
  const isPlain = action.kind === "commit" && !action.chain && session.mayGoOn();
  return isPlain ? session.runner.endPart() : undefined;
}

function answer(tag: string, status: TransactionStatus, batch: DirectBatch | undefined): Buffer {
  if (batch !== undefined) encodeBindComplete({ kind: "bindComplete" }, WRITER);
  if (batch?.isDescribed === true) encodeNoData({ kind: "noData" }, WRITER);
  encodeCommandComplete({ kind: "commandComplete", tag }, WRITER);
  encodeReadyForQuery({ kind: "readyForQuery", status }, WRITER);
  return WRITER.take();
}
