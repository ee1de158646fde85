/** Which messages a session reads. */
import { ProtocolViolation, SqlError } from "../../base/sql-error.ts";
import type { Frame } from "../protocol/frame-reader.ts";
import { FRONTEND_TYPE } from "../protocol/message-type.ts";

/** Of no other message does PostgreSQL look for the end. */
export const SESSION_TYPES: ReadonlySet<number> = new Set(
  Object.values(FRONTEND_TYPE).filter((type) => type !== FRONTEND_TYPE.password),
);

export function unknownType({ type }: Pick<Frame, "type">): ProtocolViolation {
  return new ProtocolViolation(`invalid frontend message type ${type}`);
}

export function functionCallRefused(): SqlError {
  return new SqlError("statement_not_supported", "the function call message is not supported", {
    hint: "Call the function in a SELECT.",
  });
}

export function shutdown(): SqlError {
  return new SqlError("proxy_shutdown", "terminating connection due to administrator command");
}
