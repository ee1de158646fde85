/**
 * The time of a statement that runs in several databases: that of the database its transaction
 * began in, or for a statement alone that of one of its own. Asked for only where a text may
 * read the clock.
 */
import type { DatabaseName } from "../../base/ids.ts";
import { invariant } from "../../base/invariant.ts";
import { MOMENT_QUERY } from "../../planner/clock-value.ts";
import type { Moment } from "../../planner/clock-value.ts";
import type { Fragment, PhysicalPlan } from "../../planner/physical-plan.ts";
import { atMoment, mayReadClock } from "../../planner/statement-clock.ts";
import type { RenderedSql } from "../../planner/sql-template.ts";
import type { ExecutionRequest } from "./execution-request.ts";
import { inLockOrder } from "./lock-order.ts";
import type { SessionBackends } from "./session-backends.ts";
import type { Transaction } from "./transaction.ts";

export interface MomentParts {
  readonly backends: SessionBackends;
  readonly catalog: DatabaseName;
  readonly transaction: Transaction | undefined;
  readonly signal: AbortSignal;
}

/** Whether its texts read the clocks of several databases, or one of another database than its transaction's first. */
export function needsMoment(plan: PhysicalPlan, transaction: Transaction | undefined): boolean {
  const texts = textsOf(plan);
  const [first] = texts;
  const began = transaction?.firstDatabase;
  const isAlone = texts.length === 1 && (began === undefined || began === first?.database);
  return !isAlone && mayReadMoment(plan);
}

function textsOf({ fragments, pulls, overflow }: PhysicalPlan): readonly Fragment[] {
  const own =
    pulls.length === 0 ? fragments : [...pulls.flatMap((pull) => pull.fragments), ...fragments];
  return overflow === undefined ? own : [...own, ...textsOf(overflow)];
}

/** Whether to find its moment may take a backend of the transaction that runs something else. */
export function mayReadMoment(plan: PhysicalPlan): boolean {
  return textsOf(plan).some(readsClock);
}

function readsClock({ clock, rendered }: Fragment): boolean {
  return clock === undefined ? mayReadClock(rendered.sql) : clock !== "none";
}

export async function readMoment(
  plan: PhysicalPlan,
  { backends, catalog, transaction, signal }: MomentParts,
): Promise<Moment> {
  const databases = new Set(textsOf(plan).map(({ database }) => database));
  const [lowest] = inLockOrder([...databases], catalog);
  const began = transaction?.firstDatabase;
  const database = began ?? lowest;
  invariant(database !== undefined, "a plan has a text");
  const need = began === undefined ? plan.snapshot : "none";
  const participant = await transaction?.join(database, signal, need);
  const connection = participant?.connection ?? (await backends.acquire(database, signal));
  try {
    const { rows } = await connection.query(MOMENT_QUERY);
    const [transactionAt, statementAt] = rows[0] ?? [];
    return { transaction: BigInt(transactionAt ?? ""), statement: BigInt(statementAt ?? "") };
  } finally {
    if (participant === undefined) backends.release(connection);
  }
}

/** The texts are others each time, so that none of them is worth keeping prepared. */
export function requestAt(request: ExecutionRequest, moment: Moment): ExecutionRequest {
  const { protocol } = request;
  return {
    ...request,
    plan: planAt(request.plan, moment),
    protocol: protocol.kind === "extended" ? { ...protocol, keepPrepared: false } : protocol,
  };
}

function planAt(plan: PhysicalPlan, moment: Moment): PhysicalPlan {
  const at = (fragments: readonly Fragment[]): readonly Fragment[] =>
    fragments.map((each) => ({ ...each, rendered: renderedAt(each, moment) }));
  return {
    ...plan,
    fragments: at(plan.fragments),
    pulls: plan.pulls.map((pull) => ({ ...pull, fragments: at(pull.fragments) })),
    overflow: plan.overflow && planAt(plan.overflow, moment),
  };
}

function renderedAt({ clock, rendered }: Fragment, moment: Moment): RenderedSql {
  if (clock === "none") return rendered;
  return clock === undefined ? atMoment(rendered, moment) : clock(moment);
}
