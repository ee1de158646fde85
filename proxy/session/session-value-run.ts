/** Runs what planner/session-values.ts plans: calls that change or tell what a session keeps. */
import { invariant } from "../../base/invariant.ts";
import { quoteLiteral } from "../../base/sql-quoting.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { QueryPlan } from "../../planner/logical-plan.ts";
import type { PlanContext } from "../../planner/plan-context.ts";
import type { SettingPlan } from "../../planner/session-plan.ts";
import { sequenceKey, sessionCallsOf } from "../../planner/session-values.ts";
import type { SequenceCall, SessionCalls } from "../../planner/session-values.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import type { FragmentProtocol } from "../execution/fragment-request.ts";
import { copyField, fieldSpans, locateFields, rowEnd } from "../execution/gather/data-row.ts";
import type { ResultEvent, ResultStream } from "../execution/result-event.ts";
import type { DataRowRun } from "../execution/shard-rows.ts";
import type { Transaction } from "../execution/transaction.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import { settledSetting } from "./date-style.ts";
import type { SequenceValues } from "./sequence-values.ts";
import type { SessionTransaction } from "./session-transaction.ts";
import { settingsOf } from "./set-config.ts";
import type { SessionSettings } from "./settings.ts";

export interface SessionValueRequest {
  readonly plan: QueryPlan;
  readonly protocol: FragmentProtocol;
}

export interface DescribedRequest extends SessionValueRequest {
  readonly output: (signal: AbortSignal) => Promise<readonly ColumnDescription[] | undefined>;
  readonly describe: boolean;
}

/** What it needs of the session. */
export interface ValuedSession {
  readonly settings: SessionSettings;
  readonly sequenceValues: SequenceValues;
  readonly transaction: SessionTransaction;
  /** The open transaction, or an implicit one. */
  readonly open: () => Promise<Transaction>;
  readonly environment: () => Promise<unknown>;
  readonly planContext: () => Promise<PlanContext>;
  /** The client's request with another plan. */
  readonly run: (as: SessionValueRequest) => ResultStream;
}

export async function* runSessionValue(
  request: DescribedRequest,
  signal: AbortSignal,
  session: ValuedSession,
): ResultStream {
  const calls = sessionCallsOf(request.plan);
  invariant(calls !== undefined, "the plan is made of calls alone");
  signal.throwIfAborted();
  if (calls.kind === "setConfig") {
    yield* setConfig(request, calls, session);
    return;
  }
  const [first] = calls.calls;
  if (first?.function === "nextval") yield* nextValue(request, first, session);
  else yield* currentValues(request, calls.calls, session, signal);
}

type SetConfigCalls = Extract<SessionCalls, { readonly kind: "setConfig" }>;

/** In a transaction, as SET: on each of its backends, and given up with it where it is rolled back. */
async function* setConfig(
  request: SessionValueRequest,
  { calls, runs }: SetConfigCalls,
  session: ValuedSession,
): ResultStream {
  const { settings, transaction, open } = session;
  const plans = settingsOf(calls, request.protocol);
  const pending = transaction.current?.pendingSettings ?? [];
  settings.refuseTooLong([...pending, ...plans].map(({ sql }) => sql));
  const unname = settings.nameCustom(plans.map(({ name }) => name));
  const { customNames } = settings.script;
  const opened = await open();
  let isSet = false;
  try {
    isSet = yield* setOnAll(request, { plans, runs, opened }, session);
  } finally {
    for (const { connection } of opened.participants) connection.noteCustomSettings(customNames);
    if (!isSet) unname();
  }
}

interface ConfigRun {
  readonly plans: readonly SettingPlan[];
  readonly runs: SetConfigCalls["runs"];
  readonly opened: Transaction;
}

/** False where there was nothing to set. */
async function* setOnAll(
  request: SessionValueRequest,
  { plans, runs, opened }: ConfigRun,
  { transaction, environment, run }: ValuedSession,
): AsyncGenerator<ResultEvent, boolean, undefined> {
  const before = new Set(opened.participants.map(({ connection }) => connection));
  let complete: ResultEvent | undefined;
  let hasSet = runs === "once";
  for await (const event of run(request)) {
    if (event.kind === "rows") hasSet = true;
    if (event.kind === "complete") complete = event;
    else yield event;
  }
  if (!hasSet) {
    if (complete !== undefined) yield complete;
    return false;
  }
  const kept = plans.filter(({ modes }) => modes === undefined);
  for (const { connection } of opened.participants) {
    if (!before.has(connection) || isHome(connection, request.plan)) continue;
    for (const { sql } of kept) await connection.query(sql);
  }
  // Modes follow where the server has taken the call, which refuses what comes too late.
  const [first] = opened.participants;
  for (const plan of plans) {
    const settled = settledSetting(plan, first?.connection.parameters);
    if (plan.modes === undefined) transaction.addSetting(settled, settled.sql);
    else await opened.changeModes(plan.modes);
  }
  // Read now, and not once it is needed: what the proxy cannot work under is refused here.
  await environment();
  if (complete !== undefined) yield complete;
  return true;
}

/** Where the client's own statement has set it. */
function isHome({ database }: BackendConnection, { routing }: QueryPlan): boolean {
  return routing.kind === "home" && routing.database === database;
}

/** The value is the one row's one field. */
async function* nextValue(
  request: SessionValueRequest,
  { sequence }: SequenceCall,
  { sequenceValues, planContext, run }: ValuedSession,
): ResultStream {
  const name = sequenceKey(sequence, await planContext());
  for await (const event of run(request)) {
    const value = event.kind === "rows" ? firstNumber(event.rows, request.protocol) : undefined;
    if (name !== undefined && value !== undefined) sequenceValues.drawn(name, value);
    yield event;
  }
}

function firstNumber(run: DataRowRun, protocol: FragmentProtocol): string | undefined {
  const field = firstField(run);
  if (field === undefined) return undefined;
  const isBinary = protocol.kind === "extended" && protocol.resultFormats[0] === "binary";
  return isBinary ? String(field.readBigInt64BE(0)) : field.toString("latin1");
}

/** Undefined where there is no row, or it is NULL. */
function firstField({ bytes, count }: DataRowRun): Buffer | undefined {
  if (count === 0) return undefined;
  const spans = fieldSpans(1);
  locateFields(bytes, 0, rowEnd(bytes, 0), spans);
  return copyField(bytes, spans, 0) ?? undefined;
}

/** The values stand in the text, which is another each time: it is not kept prepared. */
async function* currentValues(
  { plan, protocol, output, describe }: DescribedRequest,
  calls: readonly SequenceCall[],
  { sequenceValues, planContext, run }: ValuedSession,
  signal: AbortSignal,
): ResultStream {
  const context = await planContext();
  const named: SequenceCall[] = [];
  for (const call of calls) {
    const { serial } = call;
    if (serial === undefined) named.push(withName(call, protocol, context));
    else named.push(withSerialName(call, await serialSequence(plan, serial, run), context));
  }
  const known = sequenceValues.select(named, context);
  if (known.kind === "failed") {
    // PostgreSQL describes the rows before it looks for the first of them.
    const columns = describe ? await output(signal) : undefined;
    if (columns !== undefined) yield { kind: "columns", columns };
    throw known.error;
  }
  const once = protocol.kind === "simple" ? protocol : { ...protocol, keepPrepared: false };
  const template = { ...plan.template, sql: known.sql, edits: [] };
  yield* run({ plan: { ...plan, template }, protocol: once });
}

/** Asked of the catalog database, in the session's own transaction: which sequence a column owns stands in no snapshot. */
async function serialSequence(
  plan: QueryPlan,
  { table, column }: NonNullable<SequenceCall["serial"]>,
  run: ValuedSession["run"],
): Promise<string | undefined> {
  const sql = `SELECT pg_catalog.pg_get_serial_sequence(${quoteLiteral(table)}, ${quoteLiteral(column)})`;
  const template = { ...plan.template, sql, edits: [] };
  let name: string | undefined;
  for await (const event of run({ plan: { ...plan, template }, protocol: { kind: "simple" } }))
    if (event.kind === "rows") name = firstField(event.rows)?.toString("utf8");
  return name;
}

/** `name`: undefined where the column owns none, and the answer is NULL. */
function withSerialName(
  call: SequenceCall,
  name: string | undefined,
  context: PlanContext,
): SequenceCall {
  if (name === undefined) return call;
  if (sequenceKey(name, context) !== undefined) return { ...call, sequence: name };
  throw new SqlError(
    "sequence_value_unknown",
    `currval is not known: sequence "${name}" is temporary or was made just now`,
  );
}

/** With the name that its parameter gives. A value in binary format is an OID, which is another in each database. */
function withName(
  call: SequenceCall,
  protocol: FragmentProtocol,
  context: PlanContext,
): SequenceCall {
  if (call.parameter === undefined || protocol.kind === "simple") return call;
  const { format, value } = protocol.parameters[call.parameter - 1] ?? {};
  const sequence = format === "text" ? (value?.toString("utf8") ?? "") : "";
  if (sequenceKey(sequence, context) !== undefined) return { ...call, sequence };
  throw new SqlError(
    "sequence_value_unknown",
    `currval is not known: parameter $${call.parameter} is not the name of a sequence`,
  );
}
