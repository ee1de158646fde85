/**
 * What begins and ends a transaction, as the direct path takes it: the command is the session's own,
 * as on the long way, with one turn of the session for all messages of its batch.
 */
import type { TransactionPlan } from "../../planner/session-plan.ts";
import type { DirectBatch } from "./direct-batch.ts";
import { spentPortal } from "./direct-block.ts";
import type { DirectSession } from "./direct-session.ts";
import type { PreparedStatement } from "./prepared-statements.ts";

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
  return isPlain && parameterTypes.length === 0 && bind.parameters.length === 0;
}

/** Answers it, ReadyForQuery included. Never rejects: what fails is told to the client. */
export function runCommand(command: DirectCommand, session: DirectSession): Promise<void> {
  const { plan, sql, statement, batch } = command;
  const { commands, portals, prepared, responder, runner, started } = session;
  const { binding, transaction } = runner;
  started();
  // What the last statement used is no part of a transaction that begins now.
  if (transaction.current === undefined) binding.use.clear();
  runner.backends.claimant.statement = sql;
  if (statement === undefined || batch === undefined) {
    prepared.close("");
    portals.close("");
  } else {
    portals.replace(spentPortal(statement, batch.bind, transaction.scope));
    statement.isTold = true;
    prepared.endBatch();
  }
  return session.during(async (signal) => {
    if (batch !== undefined) responder.bindComplete();
    if (batch?.isDescribed === true) responder.noData();
    responder.complete(await commands.run(plan, signal));
  });
}
