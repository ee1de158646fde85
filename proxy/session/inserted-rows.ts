/**
 * INSERT ... SELECT whose rows are read before they are inserted: takes the query's rows, as
 * PostgreSQL prints them, and writes them into the INSERT as constants of the same types.
 * Nothing has been written when the last row has been read.
 */
import { invariant } from "../../base/invariant.ts";
import { INSERT_QUERY_LENGTH_MAX } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import { insertOfRows, rowWriter } from "../../planner/insert/query-source.ts";
import type { QueryPlan } from "../../planner/logical-plan.ts";
import type { InsertPlan, InsertQueryPlan } from "../../planner/insert/insert-plan.ts";
import type { PlanContext } from "../../planner/plan-context.ts";
import { planStatement } from "../../planner/plan.ts";
import {
  copyField,
  fieldSpans,
  locateFields,
  rowEnd,
  type FieldSpans,
} from "../execution/gather/data-row.ts";
import type { Description } from "../execution/describe.ts";
import type { FragmentProtocol } from "../execution/fragment-request.ts";
import type { ResultStream } from "../execution/result-event.ts";
import type { DataRowRun } from "../execution/shard-rows.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import type { Environment } from "./environment.ts";

export interface InsertQueryRequest {
  readonly plan: InsertQueryPlan;
  readonly protocol: FragmentProtocol;
  readonly output: (signal: AbortSignal) => Promise<readonly ColumnDescription[] | undefined>;
  readonly describe: boolean;
}

/** What it needs of the session. Everything runs in the session's transaction, or in one that `run` begins. */
export interface InsertingSession {
  readonly statement: (
    sql: string,
    declaredTypes: readonly number[],
    signal: AbortSignal,
  ) => Promise<Description>;
  /** Of the transaction that the query ran in. */
  readonly isReadOnly: () => boolean;
  readonly environment: (signal: AbortSignal) => Promise<Environment>;
  readonly planContext: (types: readonly number[], signal: AbortSignal) => Promise<PlanContext>;
  readonly run: (
    request: Omit<InsertQueryRequest, "plan"> & {
      readonly plan: QueryPlan | InsertPlan;
      readonly isAlone: boolean;
    },
    signal: AbortSignal,
  ) => ResultStream;
}

export async function* runInsertQuery(
  request: InsertQueryRequest,
  session: InsertingSession,
  signal: AbortSignal,
): ResultStream {
  const { plan, output, describe } = request;
  checkSettings(await session.environment(signal));
  // PostgreSQL checks the statement as a whole, and tells the types it gives to parameters.
  const declared =
    request.protocol.kind === "extended"
      ? request.protocol.parameters.map(({ typeOid }) => typeOid)
      : [];
  const { parameterTypes } = await session.statement(plan.sql, declared, signal);
  const { columns } = await session.statement(plan.source.template.sql, parameterTypes, signal);
  const protocol = withTypes(request.protocol, parameterTypes);
  const source = session.run(
    {
      plan: plan.source,
      protocol: inTexts(protocol),
      output: async () => columns,
      describe: false,
      isAlone: false,
    },
    signal,
  );
  const context = await session.planContext(parameterTypes, signal);
  const insert = await insertOfStream(plan, columns ?? [], source, context);
  if (insert !== undefined) {
    yield* session.run({ plan: insert, protocol, output, describe, isAlone: false }, signal);
    return;
  }
  // No server is asked where there is nothing to insert, and none would refuse it.
  if (session.isReadOnly())
    throw new SqlError("read_only_transaction", "cannot execute INSERT in a read-only transaction");
  const shown = describe && plan.returnsRows ? await output(signal) : undefined;
  if (shown !== undefined) yield { kind: "columns", columns: shown };
  yield { kind: "complete", tag: "INSERT 0 0" };
}

/** The texts of all other types mean the same value in every session with the same settings. */
function checkSettings({ parameters, extraFloatDigits }: Environment): void {
  const dateStyle = parameters.get("DateStyle") ?? "ISO";
  if (dateStyle.startsWith("ISO") && extraFloatDigits >= 1) return;
  throw new SqlError(
    "insert_setting_changes_values",
    `INSERT ... SELECT over several databases is not supported with DateStyle "${dateStyle}" and extra_float_digits ${extraFloatDigits}`,
  );
}

/** The INSERT is another text each time: it is not kept prepared. */
function withTypes(protocol: FragmentProtocol, types: readonly number[]): FragmentProtocol {
  if (protocol.kind === "simple") return protocol;
  const parameters = protocol.parameters.map((parameter, index) => ({
    ...parameter,
    typeOid: types[index] ?? parameter.typeOid,
  }));
  return { ...protocol, parameters, keepPrepared: false };
}

/** The query's rows are the proxy's to read: the client is told nothing of them. */
function inTexts(protocol: FragmentProtocol): FragmentProtocol {
  return protocol.kind === "simple"
    ? protocol
    : { ...protocol, resultFormats: [], onBound: () => undefined };
}

/** The INSERT of the rows that `stream` gives in text format; undefined where it gives none. */
async function insertOfStream(
  plan: InsertQueryPlan,
  columns: readonly ColumnDescription[],
  stream: ResultStream,
  context: PlanContext,
): Promise<InsertPlan | QueryPlan | undefined> {
  const write = rowWriter(
    plan,
    columns.map(({ typeOid }) => typeOid),
    context.catalog,
  );
  const rows: string[] = [];
  let length = 0;
  const spans = fieldSpans(columns.length);
  for await (const event of stream) {
    if (event.kind !== "rows") continue;
    for (const values of valuesOf(event.rows, spans)) {
      const row = write(values);
      length += row.length;
      if (length > INSERT_QUERY_LENGTH_MAX) refuseLength(plan.table);
      rows.push(row);
    }
  }
  if (rows.length === 0) return undefined;
  const insert = planStatement(insertOfRows(plan, rows), context);
  invariant(
    insert.kind === "insert" || insert.kind === "query",
    "an INSERT that was planned with its query is planned with the query's rows",
  );
  return insert;
}

function refuseLength(table: string): never {
  throw new SqlError(
    "insert_query_too_long",
    `rows of the query for table "${table}" take more than ${INSERT_QUERY_LENGTH_MAX} characters`,
  );
}

function* valuesOf(
  { bytes }: DataRowRun,
  spans: FieldSpans,
): Generator<readonly (string | null)[]> {
  for (let start = 0; start < bytes.length;) {
    const end = rowEnd(bytes, start);
    locateFields(bytes, start, end, spans);
    yield Array.from(
      spans.starts,
      (_, field) => copyField(bytes, spans, field)?.toString("utf8") ?? null,
    );
    start = end;
  }
}
