/** Runs the steps of DDL and maintenance. The answer is the catalog database's, which comes first. */
import type { DatabaseName } from "../../base/ids.ts";
import type { DdlPlan } from "../../planner/logical-plan.ts";
import { SqlError } from "../../base/sql-error.ts";
import { plainRequest } from "../execution/fragment-request.ts";
import type { FragmentRequest } from "../execution/fragment-request.ts";
import { compareLockOrder } from "../execution/lock-order.ts";
import { wholeDatabase } from "../execution/placement-use.ts";
import type { PlacementUse } from "../execution/placement-use.ts";
import type { ResultStream } from "../execution/result-event.ts";
import { runFragment } from "../execution/run-fragment.ts";
import type { SessionBackends } from "../execution/session-backends.ts";
import type { Transaction } from "../execution/transaction.ts";

/**
 * `open`: the session's transaction. A query string of several statements and a pipeline after its
 * first statement are in one; the first of a pipeline is in none (PreventInTransactionBlock).
 */
export function checkBlock(
  { block, rule }: DdlPlan,
  open: { readonly isExplicit: boolean } | undefined,
): void {
  const isInBlock = open !== undefined;
  if (block === "refused" && isInBlock) {
    throw new SqlError("not_in_transaction_block", `${rule} cannot run inside a transaction block`);
  }
  if (block === "required" && !isInBlock) {
    throw new SqlError(
      "transaction_block_required",
      `${rule} can only be used in transaction blocks`,
    );
  }
}

export async function* runDdl(
  plan: DdlPlan,
  transaction: Transaction,
  { catalog, use }: { readonly catalog: DatabaseName; readonly use: PlacementUse },
  signal: AbortSignal,
): ResultStream {
  const steps = plan.steps.toSorted((left, right) =>
    compareLockOrder(left.database, right.database, catalog),
  );
  for (const [index, step] of steps.entries()) {
    const participant = await transaction.join(step.database, signal);
    signal.throwIfAborted();
    participant.wrote = "yes";
    for await (const event of runFragment(participant.connection, stepRequest(step, use)))
      if (index === 0) yield event;
  }
}

/** What PostgreSQL refuses in a transaction block commits by itself, database by database. */
export async function* runMaintenance(
  { steps }: DdlPlan,
  { backends, use }: { readonly backends: SessionBackends; readonly use: PlacementUse },
  signal: AbortSignal,
): ResultStream {
  const { claimant } = backends;
  for (const [index, step] of steps.entries()) {
    claimant.isUnderWay = index > 0;
    const acquired = backends.acquire(step.database, signal);
    const connection = await acquired.finally(() => (claimant.isUnderWay = false));
    try {
      signal.throwIfAborted();
      for await (const event of runFragment(connection, stepRequest(step, use)))
        if (index === 0) yield event;
    } finally {
      backends.release(connection);
    }
  }
}

function stepRequest(
  { database, sql }: DdlPlan["steps"][number],
  use: PlacementUse,
): FragmentRequest {
  return plainRequest(sql, { places: [wholeDatabase(database)], use });
}
