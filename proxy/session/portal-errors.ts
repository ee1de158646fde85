/** Errors of Bind name the portal. Backends have the client's under names of their own; the client reads its own. */
import { BackendError } from "../backend/backend-connection.ts";

/** As bind_param_error_callback of postgres.c words the context. */
const CONTEXT = /^(?:unnamed portal|portal "colonnade_portal_\d+") parameter /;

export function inClientPortal(error: unknown, name: string): unknown {
  if (!(error instanceof BackendError)) return error;
  const { W: context } = error.fields;
  if (context === undefined || !CONTEXT.test(context)) return error;
  const portal = name === "" ? "unnamed portal" : `portal "${name}"`;
  return new BackendError({
    ...error.fields,
    W: context.replace(CONTEXT, () => `${portal} parameter `),
  });
}
