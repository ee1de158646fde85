/** Errors of a backend that has answered: its own words, or that it will answer no more. */
import type { DatabaseName } from "../../base/ids.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { ErrorFields } from "../protocol/backend/error-response.ts";

/** A backend's own ErrorResponse, which the session relays unchanged. */
export class BackendError extends Error {
  override readonly name = "BackendError";
  readonly fields: ErrorFields;
  /** Whose server it is; undefined where that is not known, or can be of no interest. */
  readonly database: DatabaseName | undefined;

  constructor(fields: ErrorFields, database?: DatabaseName) {
    super(fields.M ?? "");
    this.fields = fields;
    this.database = database;
  }
}

/** The FATAL that the server sent before it closed the connection is the cause, where it sent one. */
export function backendLost(database: DatabaseName, cause: unknown): SqlError {
  const reason = cause instanceof Error ? cause.message : "server closed the connection";
  return new SqlError(
    "backend_lost",
    `terminating statement because the connection to database "${database}" was lost`,
    { detail: `The reason was: ${reason}.`, cause },
  );
}

/** What an ErrorResponse says to who has asked. The server closes the connection after a FATAL or a PANIC. */
export function backendFailure(
  database: DatabaseName,
  fields: ErrorFields,
): BackendError | SqlError {
  const error = new BackendError(fields, database);
  return isLast(fields) ? backendLost(database, error) : error;
}

export function isLast({ V: severity }: ErrorFields): boolean {
  return severity === "FATAL" || severity === "PANIC";
}
