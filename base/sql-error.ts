/**
 * Every error the product itself can originate, and the error class that carries one to
 * the client. A backend's own error is relayed unchanged and is not listed here.
 */

export interface ErrorDefinition {
  /** Five characters, as in PostgreSQL's appendix A. */
  readonly sqlstate: string;
  /** When it is raised, in one sentence; printed in docs/errors.md. */
  readonly when: string;
  /** What to do about it; shown to the client unless the place that throws knows better. */
  readonly hint?: string;
}

/** The key is the only place an id is written. Ids are public, so never reused. */
export const ERRORS = {
  protocol_violation: {
    sqlstate: "08P01",
    when: "A client's message breaks the protocol; the connection is closed.",
  },
  statement_not_supported: {
    sqlstate: "0A000",
    when: "The statement's kind is one the proxy does not carry over several databases.",
  },
  shard_key_updated: {
    sqlstate: "0A000",
    when: "An UPDATE assigns to a shard key column.",
    hint: "Delete the row, then insert it under its new shard key.",
  },
} as const satisfies Readonly<Record<string, ErrorDefinition>>;

export type ErrorId = keyof typeof ERRORS;

export interface SqlErrorDetails {
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  /** One-based, in characters of the statement's text. */
  readonly position?: number | undefined;
  readonly cause?: unknown;
}

/** An error the client reads as an ErrorResponse; worded as PostgreSQL words its own. */
export class SqlError extends Error {
  override readonly name = "SqlError";
  readonly id: ErrorId;
  readonly sqlstate: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  readonly position: number | undefined;

  constructor(id: ErrorId, message: string, more: SqlErrorDetails = {}) {
    super(message, { cause: more.cause });
    const definition: ErrorDefinition = ERRORS[id];
    this.id = id;
    this.sqlstate = definition.sqlstate;
    this.detail = more.detail;
    this.hint = more.hint ?? definition.hint;
    this.position = more.position;
  }
}

/** What a peer broke on the wire. The connection cannot go on. */
export class ProtocolViolation extends Error {
  override readonly name = "ProtocolViolation";
}
