/**
 * Why a connection to a database could not be made, in words for whoever must act on it: the
 * database's name in the shard map, its address without the password, and the remedy.
 */
import type { DatabaseName } from "../../base/ids.ts";
import { ProtocolViolation, SqlError } from "../../base/sql-error.ts";
import type { ErrorId } from "../../base/sql-error.ts";
import type { ErrorFields } from "../protocol/backend/error-response.ts";
import { describeAddress } from "./backend-address.ts";
import type { BackendAddress } from "./backend-address.ts";

/** TLS could not be agreed on, or the certificate is not to be trusted. */
export class TlsFailure extends Error {
  override readonly name = "TlsFailure";

  constructor(message: string, cause?: unknown) {
    super(message, { cause });
  }
}

/** The server answered the start-up with an ErrorResponse. */
export class StartupRefused extends Error {
  override readonly name = "StartupRefused";
  readonly fields: ErrorFields;

  constructor(fields: ErrorFields) {
    super(fields.M ?? "no message");
    this.fields = fields;
  }
}

/** The server wants what the address does not give: a password, channel binding, another method. */
export class AuthenticationImpossible extends Error {
  override readonly name = "AuthenticationImpossible";
}

export class ConnectTimeout extends Error {
  override readonly name = "ConnectTimeout";
}

const ID_BY_SQLSTATE: Readonly<Record<string, ErrorId>> = {
  "57P01": "backend_starting",
  "57P02": "backend_starting",
  "57P03": "backend_starting",
  "53300": "backend_too_many_connections",
  "28000": "backend_rejected",
  "28P01": "backend_rejected",
  "3D000": "backend_rejected",
  "42501": "backend_rejected",
  // A setting of the startup packet: its value, or its name.
  "22023": "backend_settings_refused",
  "42602": "backend_settings_refused",
  "42704": "backend_settings_refused",
};

export function connectError(
  database: DatabaseName,
  address: BackendAddress,
  cause: unknown,
): SqlError {
  const { id, reason, hint } = explain(cause);
  return new SqlError(id, `could not connect to database "${database}": ${reason}`, {
    detail: `The address is ${describeAddress(address)}.`,
    hint,
    cause,
  });
}

interface Explanation {
  readonly id: ErrorId;
  readonly reason: string;
  readonly hint?: string;
}

function explain(cause: unknown): Explanation {
  if (cause instanceof StartupRefused) {
    return {
      id: ID_BY_SQLSTATE[cause.fields.C ?? ""] ?? "backend_unavailable",
      reason: cause.message,
    };
  }
  if (cause instanceof TlsFailure) return { id: "backend_tls_failed", reason: cause.message };
  if (cause instanceof AuthenticationImpossible) {
    return { id: "backend_rejected", reason: cause.message };
  }
  if (cause instanceof ProtocolViolation) {
    return { id: "backend_protocol_violation", reason: cause.message };
  }
  return { id: "backend_unavailable", ...networkReason(cause) };
}

/** Of several addresses of one host, the first that was tried tells for all. */
export function firstError(cause: unknown): unknown {
  return cause instanceof AggregateError ? cause.errors[0] : cause;
}

const NETWORK_HINTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "Check that the server runs and listens on this address.",
  ENOENT: "Check that the server runs and that its unix_socket_directories names this directory.",
  ENOTFOUND: "Check the host's name in the database's URL.",
};

function networkReason(cause: unknown): { readonly reason: string; readonly hint: string } {
  const error = firstError(cause);
  const reason = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const hint =
    NETWORK_HINTS[code] ??
    "Check that the server runs and that the network lets the proxy reach it.";
  return { reason, hint };
}
