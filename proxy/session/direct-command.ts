/**
 * What begins and ends a transaction, as the direct path takes it: the command is the session's own,
 * as on the long way, with one turn of the session for all messages of its batch.
 */
import type { TransactionPlan } from "../../planner/session-plan.ts";
import type { PartEnded } from "../execution/transaction.ts";
import { encodeBindComplete } from "../protocol/backend/bind-complete.ts";
import { encodeCommandComplete } from "../protocol/backend/command-complete.ts";
import { encodeNoData } from "../protocol/backend/no-data.ts";
import { encodeReadyForQuery } from "../protocol/backend/ready-for-query.ts";
import type { TransactionStatus } from "../protocol/backend/ready-for-query.ts";
import { FrameWriter } from "../protocol/frame-writer.ts";
import type { DirectBatch } from "./direct-batch.ts";
import { spentPortal } from "./direct-block.ts";
import type { DirectCounts } from "./direct-counts.ts";
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

/** Answers it, ReadyForQuery included: at once, which is true, or calls back when it is. What fails is told to the client. */
export function runCommand(
  command: DirectCommand,
  session: DirectSession,
  counts: DirectCounts,
  answered: () => void,
): boolean {
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
    return true;
  }
  const run = (work: (signal: AbortSignal) => Promise<void>): void => {
    const told = session.during((signal) => {
      tellBound(batch, responder);
      return work(signal);
    });
    void told.then(answered);
  };
  const isCommitting = commits(plan, session, (error, kind) => {
    if (error !== undefined)
      return run(async () => {
        throw error;
      });
    counts.committed(kind);
    portals.clear();
    session.client.writeNow(answer("COMMIT", "idle", batch));
    answered();
  });
  if (!isCommitting) run(async (signal) => responder.complete(await commands.run(plan, signal)));
  return false;
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
function commits({ action }: TransactionPlan, session: DirectSession, ended: PartEnded): boolean {
  const isPlain = action.kind === "commit" && !action.chain && session.mayGoOn();
  return isPlain && session.runner.transaction.commitPart(ended);
}

function answer(tag: string, status: TransactionStatus, batch: DirectBatch | undefined): Buffer {
  if (batch !== undefined) encodeBindComplete({ kind: "bindComplete" }, WRITER);
  if (batch?.isDescribed === true) encodeNoData({ kind: "noData" }, WRITER);
  encodeCommandComplete({ kind: "commandComplete", tag }, WRITER);
  encodeReadyForQuery({ kind: "readyForQuery", status }, WRITER);
  return WRITER.take();
}
