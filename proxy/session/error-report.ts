/** Tells a client of an error, and the operator that there was one. */
import { SqlError } from "../../base/sql-error.ts";
import type { SessionBackends } from "../execution/session-backends.ts";
import { BackendError } from "../backend/backend-connection.ts";
import { errorFields } from "./error-fields.ts";
import { withPlaceHint } from "./missing-tables.ts";
import type { Responder } from "./responder.ts";
import { withSchemaHint } from "./schema-privileges.ts";
import type { SessionServices } from "./session-services.ts";
import { StatementFailure } from "./simple-query.ts";

/** What went wrong, whichever statement of a query string it was in. */
export function causeOf(error: unknown): unknown {
  return error instanceof StatementFailure ? error.cause : error;
}

export function reportError(
  error: unknown,
  severity: "ERROR" | "FATAL",
  parts: {
    readonly services: SessionServices;
    readonly backends: SessionBackends;
    readonly responder: Responder;
  },
): void {
  const { services, backends, responder } = parts;
  const cause = backends.causeOf(causeOf(error));
  const charactersBefore = error instanceof StatementFailure ? error.charactersBefore : 0;
  const { map } = services.topology();
  const told = errorFields(cause, severity, charactersBefore);
  const database = cause instanceof BackendError ? cause.database : undefined;
  const fields = withPlaceHint(withSchemaHint(told, map), database, map);
  services.metrics.increment("colonnade_errors_total", {
    class: fields.C?.slice(0, 2) ?? "",
    id: cause instanceof SqlError ? cause.id : "relayed",
  });
  if (fields.C === "XX000") services.log.error({ err: cause }, "internal error");
  responder.error(fields);
}
