/**
 * The type bytes of PostgreSQL's protocol 3, by who sends them.
 * Source: the manual's "Message Formats" page and PostgreSQL's src/include/libpq/protocol.h.
 */

export const FRONTEND_TYPE = {
  bind: code("B"),
  close: code("C"),
  copyData: code("d"),
  copyDone: code("c"),
  copyFail: code("f"),
  describe: code("D"),
  execute: code("E"),
  flush: code("H"),
  functionCall: code("F"),
  parse: code("P"),
  /** PasswordMessage, SASLInitialResponse and SASLResponse: which one follows from what was asked. */
  password: code("p"),
  query: code("Q"),
  sync: code("S"),
  terminate: code("X"),
} as const;

export const BACKEND_TYPE = {
  authentication: code("R"),
  backendKeyData: code("K"),
  bindComplete: code("2"),
  closeComplete: code("3"),
  commandComplete: code("C"),
  copyBothResponse: code("W"),
  copyData: code("d"),
  copyDone: code("c"),
  copyInResponse: code("G"),
  copyOutResponse: code("H"),
  dataRow: code("D"),
  emptyQueryResponse: code("I"),
  errorResponse: code("E"),
  functionCallResponse: code("V"),
  negotiateProtocolVersion: code("v"),
  noData: code("n"),
  noticeResponse: code("N"),
  notificationResponse: code("A"),
  parameterDescription: code("t"),
  parameterStatus: code("S"),
  parseComplete: code("1"),
  portalSuspended: code("s"),
  readyForQuery: code("Z"),
  rowDescription: code("T"),
} as const;

function code(character: string): number {
  return character.charCodeAt(0);
}

/** The frontend's messages that ReadyForQuery answers. */
export const READY_TYPES: ReadonlySet<number> = new Set([
  FRONTEND_TYPE.query,
  FRONTEND_TYPE.functionCall,
  FRONTEND_TYPE.sync,
]);
