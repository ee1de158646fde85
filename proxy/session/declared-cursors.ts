/** DECLARE: a cursor is opened where its rows are, or they are read at once and kept. */
import { unreachable } from "../../base/invariant.ts";
import { PORTAL_ROWS_AT_ONCE } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import { bindCursor } from "../../planner/bind-cursor.ts";
import type { BoundCursor } from "../../planner/bind-cursor.ts";
import type { DeclareCursor } from "../../planner/cursor-plan.ts";
import type { PhysicalPlan } from "../../planner/physical-plan.ts";
import type { ExecutionRequest } from "../execution/execution-request.ts";
import type { FragmentProtocol } from "../execution/fragment-request.ts";
import { inLockOrder } from "../execution/lock-order.ts";
import { mayReadMoment } from "../execution/moment.ts";
import type { ResultStream } from "../execution/result-event.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import type { FormatCode } from "../protocol/format-code.ts";
import { formatAt } from "../protocol/frontend/bind.ts";
import { KeptRows } from "./cursor-rows.ts";
import type { ShownSettings } from "./cursor-settings.ts";
import { CursorWalk } from "./cursor-walk.ts";
import type { Cursor, CursorPlace, Portals } from "./portals.ts";
import type { Responder } from "./responder.ts";
import type { StatementRunner } from "./statement-runner.ts";

export interface CursorParts {
  readonly runner: StatementRunner;
  readonly portals: Portals;
  readonly responder: Responder;
}

export interface DeclareRequest {
  readonly action: DeclareCursor;
  /** The whole DECLARE. */
  readonly sql: string;
  readonly protocol: FragmentProtocol;
}

export type Columns = readonly ColumnDescription[];

/** In the open transaction; where there is none, a cursor WITH HOLD opens an implicit one. */
export async function declareCursor(
  request: DeclareRequest,
  parts: CursorParts,
  signal: AbortSignal,
): Promise<void> {
  const { action, protocol } = request;
  const { name, isHeld, query } = action;
  const { runner, portals } = parts;
  const isBlockMissing = !isHeld && runner.transaction.current === undefined;
  const isTaken = portals.find(name) !== undefined;
  const isChecked = isBlockMissing || isTaken || isHeld;
  if (isChecked) await analyze(request, parts, signal);
  if (isBlockMissing) {
    throw new SqlError(
      "transaction_block_required",
      "DECLARE CURSOR can only be used in transaction blocks",
    );
  }
  portals.refuseTaken(name);
  await runner.openTransaction(signal);
  const physical = await runner.binding.bind(query, protocol, signal);
  const bound = bindCursor(action, physical, runner.newCursor(), PORTAL_ROWS_AT_ONCE);
  if (bound.kind !== "native" && !isChecked) await analyze(request, parts, signal);
  const columns = describing(request, parts, signal);
  portals.add({
    kind: "cursor",
    name,
    scope: runner.transaction.scope,
    columns,
    format: action.isBinary ? "binary" : "text",
    holding: isHeld ? "wanted" : "none",
    readUnder: bound.kind === "collected" ? await shownSettings(parts, signal) : undefined,
    place: await open(bound, request, columns, parts, signal),
  });
}

export async function shownSettings(
  { runner }: CursorParts,
  signal: AbortSignal,
): Promise<ShownSettings> {
  return (await runner.view.environment(signal)).shown;
}

/**
 * PostgreSQL analyzes a DECLARE before it looks at cursors. The extended protocol has had that
 * done at Parse, and the server that runs all of it does it itself.
 */
async function analyze(
  { sql, protocol }: DeclareRequest,
  { runner }: CursorParts,
  signal: AbortSignal,
): Promise<void> {
  if (protocol.kind === "simple") await runner.descriptions.plannedColumns(sql, signal);
}

/** Asked once, and only where somebody wants to know. */
function describing(
  { action: { querySql }, protocol }: DeclareRequest,
  { runner: { descriptions } }: CursorParts,
  signal: AbortSignal,
): Cursor["columns"] {
  const types =
    protocol.kind === "extended" ? protocol.parameters.map(({ typeOid }) => typeOid) : [];
  let known: Columns | undefined;
  return async () => {
    known ??=
      types.length === 0
        ? await descriptions.plannedColumns(querySql, signal)
        : (await descriptions.statement(querySql, types, signal)).columns;
    return known ?? [];
  };
}

async function open(
  bound: BoundCursor,
  request: DeclareRequest,
  columns: Cursor["columns"],
  parts: CursorParts,
  signal: AbortSignal,
): Promise<CursorPlace> {
  const { action } = request;
  const protocol = withoutFormats(request.protocol);
  switch (bound.kind) {
    case "native":
      await drain(bound.declare, protocol, parts, signal);
      return { kind: "native", bound, isOfView: action.query.template.sql !== action.querySql };
    case "streamed":
      await openEverywhere(bound.declare, protocol, parts, signal);
      return { kind: "declared", bound };
    case "collected":
      return collect(request, await columns(), parts, signal);
    default:
      return unreachable(bound);
  }
}

/** All databases at once, or where they need one time one after the other, taken in the order that every statement takes them in. */
async function openEverywhere(
  declare: readonly PhysicalPlan[],
  protocol: FragmentProtocol,
  parts: CursorParts,
  signal: AbortSignal,
): Promise<void> {
  const { runner } = parts;
  const transaction = await runner.openTransaction(signal);
  const byDatabase = Map.groupBy(
    declare.flatMap((plan) => plan.fragments.map(({ database }) => ({ database, plan }))),
    ({ database }) => database,
  );
  for (const database of inLockOrder([...byDatabase.keys()], runner.map.catalog))
    await transaction.join(database, signal);
  const run = await runner.boundRuns(signal);
  const declareAll = async (plans: readonly PhysicalPlan[]): Promise<void> => {
    for (const plan of plans) await tellNotices(run(draining(plan, protocol)), parts);
  };
  // The time of the first database is asked for in between.
  if (declare.some(mayReadMoment)) return await declareAll(declare);
  const opened = await Promise.allSettled(
    [...byDatabase.values()].map((own) => declareAll(own.map(({ plan }) => plan))),
  );
  // Only once all have answered: none may be used while its answer is outstanding.
  for (const each of opened) if (each.status === "rejected") throw each.reason;
}

async function collect(
  { action, protocol }: DeclareRequest,
  described: Columns,
  { runner, portals, responder }: CursorParts,
  signal: AbortSignal,
): Promise<CursorPlace> {
  const wanted = protocol.kind === "extended" ? protocol.resultFormats : [];
  const formats = described.map((_, index) =>
    action.isBinary ? "binary" : formatAt(wanted, index),
  );
  const rows = new KeptRows(action.name, action.scroll === "yes", portals.keptBytes(undefined));
  const request = {
    plan: action.query,
    protocol: reading(protocol, formats),
    output: async () => inFormats(described, formats),
    describe: false,
    isAlone: false,
  };
  for await (const event of runner.run(request, signal)) {
    if (event.kind === "rows") rows.add(event.rows);
    else if (event.kind === "notice") await responder.event(event);
  }
  const { bytes: keptBytes } = rows;
  return { kind: "here", walk: new CursorWalk(rows), formats, streamed: undefined, keptBytes };
}

/** Only what is said on the way is for the client. */
export async function drain(
  plan: PhysicalPlan,
  protocol: FragmentProtocol,
  parts: CursorParts,
  signal: AbortSignal,
): Promise<void> {
  await tellNotices(parts.runner.runBound(draining(plan, protocol), signal), parts);
}

function draining(plan: PhysicalPlan, protocol: FragmentProtocol): ExecutionRequest {
  return { plan, protocol, output: undefined, describe: false };
}

async function tellNotices(stream: ResultStream, { responder }: CursorParts): Promise<void> {
  for await (const event of stream) if (event.kind === "notice") await responder.event(event);
}

export function inFormats(columns: Columns, formats: readonly FormatCode[]): Columns {
  return columns.map((column, index) => ({ ...column, format: formatAt(formats, index) }));
}

/** The client's parameters, and rows in formats of the proxy's choice. */
export function reading(
  protocol: FragmentProtocol,
  resultFormats: readonly FormatCode[],
): Extract<FragmentProtocol, { kind: "extended" }> {
  const parameters = protocol.kind === "extended" ? protocol.parameters : [];
  const onBound = () => undefined;
  return { kind: "extended", parameters, resultFormats, keepPrepared: false, onBound };
}

/** DECLARE gives no rows, and may not be told how. */
function withoutFormats(protocol: FragmentProtocol): FragmentProtocol {
  if (protocol.kind === "simple") return protocol;
  return { ...protocol, resultFormats: [], keepPrepared: false };
}
