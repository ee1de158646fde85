/** What Bind makes of a prepared statement: a portal, with values for its parameters and formats for its columns. */
import { SqlError } from "../../base/sql-error.ts";
import { checkBind } from "../execution/describe.ts";
import type { BoundParameter } from "../../planner/physical-plan.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import { formatAt } from "../protocol/frontend/bind.ts";
import type { Bind } from "../protocol/frontend/bind.ts";
import type { FormatCode } from "../protocol/format-code.ts";
import type { Portal } from "./portals.ts";
import { otherColumns } from "./prepared-statements.ts";
import type { PreparedStatement } from "./prepared-statements.ts";
import type { Scope } from "./session-transaction.ts";
import type { SessionView } from "./session-view.ts";

/** Undefined without rows. */
export type PortalColumns = readonly ColumnDescription[] | undefined;

export function refuseParameterCount(
  { parameters }: Bind,
  { name, description: { parameterTypes } }: PreparedStatement,
): void {
  if (parameters.length === parameterTypes.length) return;
  throw new SqlError(
    "bind_mismatch",
    `bind message supplies ${parameters.length} parameters, but prepared statement "${name}" requires ${parameterTypes.length}`,
  );
}

/** `columns`: the statement's, in whatever format. */
export function boundPortal(
  message: Bind,
  statement: PreparedStatement,
  columns: PortalColumns,
  { scope, isFailed }: { readonly scope: Scope; readonly isFailed: boolean },
): Portal {
  const { parameterTypes } = statement.description;
  return {
    kind: "bound",
    name: message.portal,
    statement,
    parameters: message.parameters.map((value, index): BoundParameter => {
      return {
        typeOid: parameterTypes[index] ?? 0,
        format: formatAt(message.parameterFormats, index),
        value,
      };
    }),
    resultFormats: message.resultFormats,
    columns: inFormats(columns, message.resultFormats),
    scope,
    mayEndFailed: isFailed && statement.endsTransaction,
    progress: { kind: "new" },
  };
}

/**
 * Asks a server whether it can be bound, and what of it is planned at Bind: what has parameters
 * or rows. What has neither may be a write of constants, which says at its execution what is
 * wrong with it. Throws what Bind fails with.
 */
export async function checkBound(
  { name, statement: { sql, description, answersAs }, parameters }: Portal,
  view: SessionView,
  signal: AbortSignal,
): Promise<void> {
  const { parameterTypes, columns } = description;
  if (answersAs !== undefined || (parameterTypes.length === 0 && columns === undefined)) return;
  await view.withCatalog(signal, (connection) =>
    checkBind(connection, { portal: name, sql, parameters }),
  );
}

/** Takes the columns that a server has: what is not told yet is told of these. */
export function othersOf(portal: Portal): (columns: readonly ColumnDescription[]) => void {
  const take = otherColumns(portal.statement);
  return (columns) => {
    take(columns);
    portal.columns = columns;
  };
}

/** The columns as they come in these formats: one for each, one for all, or none for text. */
export function inFormats(columns: PortalColumns, formats: readonly FormatCode[]): PortalColumns {
  // PostgreSQL does not look at the formats of what has no rows.
  if (columns === undefined) return undefined;
  if (formats.length > 1 && formats.length !== columns.length) {
    throw new SqlError(
      "bind_mismatch",
      `bind message has ${formats.length} result formats but query has ${columns.length} columns`,
    );
  }
  return columns.map((column, index): ColumnDescription => ({
    ...column,
    format: formatAt(formats, index),
  }));
}
