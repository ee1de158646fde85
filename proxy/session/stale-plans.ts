/**
 * Statements whose plan is older than the tables: DDL of somebody else, through this proxy or
 * past it, has committed between the two. One PostgreSQL locks a statement's tables while it
 * plans, so its clients never notice; here the statement is planned and run again.
 *
 * Only where nobody can tell: nothing has been answered, and nothing of it has stayed.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { STALE_PLAN_PAUSE_MS, STALE_PLAN_RETRIES_MAX } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { ErrorId } from "../../base/sql-error.ts";
import { BackendError } from "../backend/backend-connection.ts";
import { inFormats } from "./bound-portal.ts";
import type { Transaction } from "../execution/transaction.ts";
import { isOfOneSnapshot } from "../execution/transaction-modes.ts";
import type { Portal } from "./portals.ts";
import type { Responder } from "./responder.ts";
import { isUndone } from "./session-transaction.ts";
import { prepareStatement } from "./statement-preparation.ts";
import type { PreparingParts } from "./statement-preparation.ts";
import type { RowsPlan, StatementRunner } from "./statement-runner.ts";

export interface Running<Plan> {
  readonly runner: StatementRunner;
  readonly responder: Responder;
  /** The client's text. */
  readonly sql: string;
  /** With the catalog as it is when called. */
  readonly plan: () => Promise<Plan>;
  readonly run: (plan: Plan) => Promise<void>;
  readonly signal: AbortSignal;
  /** The client knows the columns, and has to hear that they are others. */
  readonly isTold: boolean;
  /** What `run` has kept back is to be told after all, before its error. */
  readonly giveUp: () => void;
}

/** Plans and runs; again, where what failed was planned for other tables than there are. */
export async function runFresh<Plan extends { readonly kind: string }>(
  { runner, responder, sql, plan, run, signal, isTold, giveUp }: Running<Plan>,
  first?: Plan,
): Promise<void> {
  const { transaction } = runner;
  const runOnMap = (planned: Plan): Promise<void> => onMapNow({ runner, plan, run }, planned);
  const block = transaction.current?.transaction;
  if (block !== undefined && !isUntouched(block)) {
    try {
      return await runOnMap(first ?? (await plan()));
    } catch (error) {
      giveUp();
      throw error;
    }
  }
  const { sentCount } = responder;
  let next = first;
  for (let left = STALE_PLAN_RETRIES_MAX; ; left--) {
    const epoch = runner.view.catalogEpoch;
    let planned: Plan | undefined;
    try {
      planned = next ?? (await plan());
      await runOnMap(planned);
      return runner.view.forgetKept();
    } catch (error) {
      // A server's error has undone what it had done; the proxy's own may come after a write.
      const isOpen = transaction.current !== undefined;
      const hasLeftNothing = error instanceof BackendError || isOpen || isRead(planned);
      const isUntold = responder.sentCount === sentCount;
      if (left === 0 || !hasLeftNothing || !isUntold || !isOfStalePlan(error, sql, isTold)) {
        // Who prepares it again is told of the columns that there are. What is locked may be waited for.
        if (isTold && !isOpen && isOfStalePlan(error, sql, false))
          await runner.view.lookAgain(epoch);
        giveUp();
        throw error;
      }
      await (block ?? transaction).rollback();
      runner.view.forgetKept();
      await runner.view.lookAgain(epoch);
      // Of DDL that comes to the databases one by one, past any proxy, the rest is to come.
      const pauseMs = STALE_PLAN_PAUSE_MS * (2 ** (STALE_PLAN_RETRIES_MAX - left) - 1);
      if (pauseMs > 0) await pause(pauseMs, signal);
      next = undefined;
    }
  }
}

/**
 * Plans again, and runs, what was planned with a shard map that is no longer in force: perhaps
 * because it was held back while it was replaced. Only where no part of it has begun.
 */
export async function onMapNow<Plan>(
  { runner, plan, run }: Pick<Running<Plan>, "runner" | "plan" | "run">,
  first: Plan,
): Promise<void> {
  let planned = first;
  for (let left = STALE_PLAN_RETRIES_MAX; ; left--) {
    const { enteredCount } = runner.binding;
    try {
      return await run(planned);
    } catch (error) {
      const isOfOldMap = error instanceof SqlError && error.id === "map_changed";
      const hasBegun = runner.binding.enteredCount !== enteredCount;
      if (left === 0 || !isOfOldMap || hasBegun) throw error;
      planned = await plan();
    }
  }
}

/**
 * A portal as Parse and Bind would make it now; itself where that is the same, or where the
 * client knows the statement's columns, which then have to stay what they are. `isAgain`: a run
 * of it has found other tables, so they are kept as they are from now on.
 */
export async function renewed(
  portal: Portal,
  isAgain: boolean,
  parts: PreparingParts,
  signal: AbortSignal,
): Promise<Portal> {
  const { runner } = parts;
  const { transaction, view } = runner;
  // The transaction of a run that failed has taken its portals with it.
  const here = isUndone(portal.scope) ? { ...portal, scope: transaction.scope } : portal;
  const { name, sql, description, catalogEpoch, isTold, answersAs } = portal.statement;
  if (isTold || description.columns === undefined || answersAs !== undefined || view.isOwn)
    return here;
  const types = description.parameterTypes;
  if (isAgain) await keepTables(sql, types, parts, signal);
  else if (catalogEpoch === view.catalogEpoch) return here;
  const statement = await prepareStatement(parts, name, sql, types, signal);
  const columns = inFormats(statement.description.columns, portal.resultFormats);
  return { ...here, statement, columns };
}

/**
 * DDL takes its locks in the catalog database first, through whatever proxy: once the statement
 * is described in a transaction there, what runs has ended, and no other begins before its end.
 */
async function keepTables(
  sql: string,
  types: readonly number[],
  { runner }: PreparingParts,
  signal: AbortSignal,
): Promise<void> {
  const { defaultIsolation } = await runner.view.environment(signal);
  // Of a transaction of one snapshot, the catalog database would be the only one.
  if (runner.transaction.current === undefined && isOfOneSnapshot(defaultIsolation)) return;
  await runner.openTransaction(signal);
  await runner.view.keepTables(sql, types, signal);
}

/** Rejects with the signal's reason, where a timer has a name of its own for it. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
}

/** Nothing has run in it: what has joined it since can go, and come again, unnoticed. */
function isUntouched({ participants, modes }: Transaction): boolean {
  return participants.length === 0 && !isOfOneSnapshot(modes.isolation);
}

/** Where there is no plan, nothing has run. */
function isRead(plan: { readonly kind: string } | undefined): boolean {
  if (plan === undefined) return true;
  const { kind, access } = plan as Partial<Extract<RowsPlan, { kind: "query" }>>;
  return kind === "query" && access === "read";
}

/** An error about names or types that stands nowhere in the client's text, so not of the client's making. */
export function isOfStalePlan(error: unknown, sql: string, isTold = true): boolean {
  if (error instanceof SqlError)
    return STALE_IDS.has(error.id) || (!isTold && error.id === "cached_plan_changed");
  if (!(error instanceof BackendError)) return false;
  const { C: sqlstate = "", M: message = "", P: position, W: context } = error.fields;
  if (!STALE_SQLSTATES.has(sqlstate) || context !== undefined) return false;
  return position === undefined || !standsAt(sql, Number(position), message);
}

/** Whether the text, from the position in characters on, has what the message quotes. */
function standsAt(sql: string, position: number, message: string): boolean {
  const quoted = /"([^"]*)"/.exec(message)?.[1];
  if (quoted === undefined) return true;
  const rest = Array.from(sql)
    .slice(position - 1)
    .join("");
  const name = quoted.replaceAll(/[^\w]/gu, (each) => `\\${each}`);
  return new RegExp(`(?<![\\w$])${name}(?![\\w$])`, "i").test(rest);
}

const STALE_IDS: ReadonlySet<ErrorId> = new Set([
  "placement_columns_differ",
  "gather_result_differs",
] satisfies ErrorId[]);

const STALE_SQLSTATES: ReadonlySet<string> = new Set([
  // "cached plan must not change result type", of a statement that a backend had kept.
  "0A000",
  // Columns, tables and functions that are not there, and what does not fit together.
  "42703",
  "42P01",
  "42883",
  "42601",
  "42804",
  "42P10",
  // A prepared statement that something on the server has dropped.
  "26000",
]);
