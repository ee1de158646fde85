/**
 * PREPARE and EXECUTE of SQL. A statement made so is a prepared statement like any other; the
 * arguments of EXECUTE are read by a server, with the types that the statement's parameters have.
 */
import { isDeepStrictEqual } from "node:util";
import { SqlError } from "../../base/sql-error.ts";
import { quoteLiteral } from "../../base/sql-quoting.ts";
import type { LogicalPlan } from "../../planner/logical-plan.ts";
import type { SessionPlan, TextPiece } from "../../planner/session-plan.ts";
import type { BoundParameter } from "../../planner/physical-plan.ts";
import type { FragmentProtocol } from "../execution/fragment-request.ts";
import { BackendError } from "../backend/backend-connection.ts";
import type { ResultEvent, ResultStream } from "../execution/result-event.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import type { FormatCode } from "../protocol/format-code.ts";
import { formatAt } from "../protocol/frontend/bind.ts";
import type { PreparedStatement } from "./prepared-statements.ts";
import { planPrepared, prepareStatement } from "./statement-preparation.ts";
import type { PreparingParts } from "./statement-preparation.ts";
import type { RowsPlan } from "./statement-runner.ts";

export type SqlPreparedParts = PreparingParts;

type Prepare = Extract<SessionPlan["action"], { kind: "prepare" }>;
export type Execute = Extract<SessionPlan["action"], { kind: "execute" }>;

export async function runPrepare(
  { name, types, statement }: Prepare,
  parts: SqlPreparedParts,
  signal: AbortSignal,
): Promise<void> {
  const declared: number[] = [];
  for (const type of types) declared.push(await typeOid(type, parts, signal));
  const prepared = await placed(statement, 0, () =>
    prepareStatement(parts, name, statement.text, declared, signal),
  );
  // Last, as in PostgreSQL: what is wrong with the statement is told first.
  parts.prepared.refuseTaken(name);
  parts.prepared.add({ ...prepared, isTold: true });
}

async function typeOid(
  type: TextPiece,
  { runner }: SqlPreparedParts,
  signal: AbortSignal,
): Promise<number> {
  const question = `SELECT ${quoteLiteral(type.text)}::pg_catalog.regtype::pg_catalog.oid`;
  const { rows } = await placed(type, question.indexOf("'"), () =>
    runner.view.withCatalog(signal, (connection) => connection.query(question)),
  );
  return Number(rows[0]?.[0]);
}

/** An error's position is given in the client's statement, where the piece stands behind some characters. */
async function placed<T>(
  { charactersBefore }: TextPiece,
  questionBefore: number,
  ask: () => Promise<T>,
): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof BackendError) || error.fields.P === undefined) throw error;
    const position = Number(error.fields.P) - questionBefore + charactersBefore;
    throw new BackendError({ ...error.fields, P: String(position) });
  }
}

/** What runs: rows, with their parameters bound. */
export interface Execution {
  readonly plan: RowsPlan;
  readonly stream: (isAlone: boolean, signal: AbortSignal) => ResultStream;
}

type PortalColumns = readonly ColumnDescription[] | undefined;

/** Of the extended protocol, where the client has been told of the columns, and has chosen their formats. */
export interface ExecutingPortal {
  readonly columns: PortalColumns;
  readonly resultFormats: readonly FormatCode[];
  readonly onBound: () => void;
}

export async function prepareExecution(
  { name, arguments: given, explain }: Execute,
  parts: SqlPreparedParts,
  signal: AbortSignal,
  portal?: ExecutingPortal,
): Promise<Execution> {
  const { runner, prepared } = parts;
  const statement = prepared.get(name);
  const { parameterTypes } = statement.description;
  // Of a statement without parameters, PostgreSQL does not look at them (ExecuteQuery in prepare.c).
  if (parameterTypes.length > 0 && given.count !== parameterTypes.length) {
    throw new SqlError(
      "execute_argument_count",
      `wrong number of parameters for prepared statement "${name}"`,
      { detail: `Expected ${parameterTypes.length} parameters but got ${given.count}.` },
    );
  }
  const parameters =
    parameterTypes.length === 0 ? [] : await readArguments(statement, given, parts, signal);
  const run =
    explain === undefined ? statement : await explained(statement, explain, parts, signal);
  const { columns } = run.description;
  const plan = rowsPlan(await planPrepared(parts, run, signal), name);
  if (portal !== undefined) refuseOthers(columns, portal.columns);
  const formats = portal?.resultFormats ?? [];
  const output = async () =>
    columns?.map((column, index) => ({ ...column, format: formatAt(formats, index) }));
  const protocol: FragmentProtocol = {
    kind: "extended",
    parameters,
    resultFormats: formats,
    keepPrepared: true,
    onBound: portal?.onBound ?? (() => undefined),
  };
  const describe = portal === undefined;
  return {
    plan,
    stream: (isAlone, runSignal) => {
      const rows = runner.run({ plan, protocol, output, describe, isAlone }, runSignal);
      return describe ? columnsWithRows(rows) : rows;
    },
  };
}

/** An EXPLAIN of the statement, to be bound as the statement would be. */
async function explained(
  statement: PreparedStatement,
  explain: string,
  { runner }: SqlPreparedParts,
  signal: AbortSignal,
): Promise<PreparedStatement> {
  const { parameterTypes } = statement.description;
  const sql = `${explain}${statement.sql}`;
  const description = await runner.descriptions.statement(sql, parameterTypes, signal);
  return { ...statement, sql, description, answersAs: undefined, routed: undefined };
}

/** The client reads rows by what it was told of the portal. */
function refuseOthers(columns: PortalColumns, told: PortalColumns): void {
  const types = (of: PortalColumns) => of?.map((column) => [column.name, column.typeOid]);
  if (isDeepStrictEqual(types(columns), types(told))) return;
  throw new SqlError("cached_plan_changed", "cached plan must not change result type");
}

/** As the simple protocol has it: a statement that fails before its first row tells no columns. */
async function* columnsWithRows(stream: ResultStream): ResultStream {
  let columns: ResultEvent | undefined;
  for await (const event of stream) {
    if (event.kind === "columns") {
      columns = event;
      continue;
    }
    if (columns !== undefined && event.kind !== "notice") {
      yield columns;
      columns = undefined;
    }
    yield event;
  }
}

function rowsPlan(plan: LogicalPlan, name: string): RowsPlan {
  switch (plan.kind) {
    case "query":
    case "insert":
    case "insertQuery":
    case "explain":
    case "ddl":
      return plan;
    default:
      throw new SqlError(
        "statement_not_supported",
        `prepared statement "${name}" cannot be run by EXECUTE`,
        { hint: "Run it with the driver (the extended query protocol)." },
      );
  }
}

/** EXECUTE assigns its arguments to the parameters, so a server does just that. */
async function readArguments(
  { description }: PreparedStatement,
  given: Execute["arguments"],
  { runner }: SqlPreparedParts,
  signal: AbortSignal,
): Promise<readonly BoundParameter[]> {
  if (given.count === 0) return [];
  const types = description.parameterTypes;
  return runner.view.withCatalog(signal, async (connection) => {
    const named = await connection.query(
      `SELECT ${types.map((oid) => `pg_catalog.format_type(${oid}, NULL)`).join(", ")}`,
    );
    const numbers = types.map((_, index) => `$${index + 1}`).join(", ");
    const reader = `colonnade_arguments_${connection.nextStatementNumber()}`;
    // Known to the connection, so that one which an error leaves behind is evicted as others are.
    connection.prepared.set(reader, reader);
    const before = `PREPARE ${reader} (${(named.rows[0] ?? []).join(", ")}) AS SELECT ${numbers}; EXECUTE ${reader} (`;
    const { rows } = await placed(given, before.length, () =>
      connection.query(`${before}${given.text})`),
    );
    await connection.query(`DEALLOCATE ${reader}`);
    connection.prepared.delete(reader);
    return types.map((oid, index): BoundParameter => {
      const value = rows.at(-1)?.[index] ?? null;
      return { typeOid: oid, format: "text", value: value === null ? null : Buffer.from(value) };
    });
  });
}
