/** From whatever was thrown to the fields of an ErrorResponse: the only place that does so. */
import { InvariantViolation } from "../../base/invariant.ts";
import { ERRORS, ProtocolViolation, SqlError } from "../../base/sql-error.ts";
import type { ErrorId } from "../../base/sql-error.ts";
import { BackendError } from "../backend/backend-connection.ts";
import type { ErrorFields } from "../protocol/backend/error-response.ts";

const INTERNAL_ERROR = "XX000";

/**
 * Errors that clients know by PostgreSQL's routine, since no SQLSTATE tells them from others:
 * pgjdbc, asyncpg and Active Record prepare the statement again, and the application hears nothing.
 */
const ROUTINES: Readonly<Partial<Record<ErrorId, string>>> = {
  cached_plan_changed: "RevalidateCachedQuery",
};

/** `charactersBefore`: of the query string, before the statement whose positions these are. */
export function errorFields(
  error: unknown,
  severity: "ERROR" | "FATAL",
  charactersBefore = 0,
): ErrorFields {
  if (error instanceof BackendError) {
    const fields = moved(error.fields, charactersBefore);
    return severity === "FATAL" ? { ...fields, S: severity, V: severity } : fields;
  }
  if (error instanceof SqlError) {
    const fields = fieldsOf(severity, error.sqlstate, error.message);
    return moved(
      {
        ...fields,
        ...(error.detail === undefined ? {} : { D: error.detail }),
        ...(error.hint === undefined ? {} : { H: error.hint }),
        ...(error.position === undefined ? {} : { P: String(error.position) }),
        ...(error.context === undefined ? {} : { W: error.context }),
        R: ROUTINES[error.id] ?? error.id,
      },
      charactersBefore,
    );
  }
  if (error instanceof ProtocolViolation) {
    const id = "protocol_violation" satisfies ErrorId;
    return { ...fieldsOf("FATAL", ERRORS[id].sqlstate, error.message), R: id };
  }
  const rule = error instanceof InvariantViolation ? `: ${error.message}` : "";
  return fieldsOf(severity, INTERNAL_ERROR, `internal error of the proxy${rule}`);
}

function fieldsOf(severity: string, sqlstate: string, message: string): ErrorFields {
  return { S: severity, V: severity, C: sqlstate, M: message };
}

function moved(fields: ErrorFields, charactersBefore: number): ErrorFields {
  if (fields.P === undefined || charactersBefore === 0) return fields;
  return { ...fields, P: String(Number(fields.P) + charactersBefore) };
}
