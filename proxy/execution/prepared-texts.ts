/**
 * What backends have prepared: one statement for each text, whoever uses it. A text counts with
 * its parameters' types and with the catalog that it was planned by, since statements prepared
 * before tables have changed are not used again.
 */
import { DIRECT_PARSE_BYTES_MAX, PREPARED_STATEMENTS_PER_BACKEND_MAX } from "../../base/limits.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import { encodeToBuffer } from "../protocol/frame-writer.ts";
import type { FrameWriter } from "../protocol/frame-writer.ts";
import { encodeClose } from "../protocol/frontend/close.ts";
import { encodeParse } from "../protocol/frontend/parse.ts";

/** A text as a backend prepares it. */
export class PreparedText {
  readonly sql: string;
  readonly parameterTypes: readonly number[];
  readonly #catalogEpoch: number;
  #key: string | undefined;
  #unnamed: Buffer | undefined;

  constructor({ catalogEpoch, parameterTypes, rendered: { sql } }: Preparing) {
    this.sql = sql;
    this.parameterTypes = parameterTypes;
    this.#catalogEpoch = catalogEpoch;
  }

  /** Of this text with these types, under this catalog. In the simple protocol hardly anybody asks. */
  get key(): string {
    this.#key ??= `${this.#catalogEpoch}\0${this.parameterTypes.join(",")}\0${this.sql}`;
    return this.#key;
  }

  /** A Parse of it as the unnamed statement, which is kept for a text that is not long. */
  get unnamedParse(): Buffer {
    if (this.#unnamed !== undefined) return this.#unnamed;
    const { sql, parameterTypes: parameterTypeOids } = this;
    const parse = { kind: "parse", statement: "", sql, parameterTypeOids } as const;
    const bytes = encodeToBuffer(encodeParse, parse);
    if (bytes.length <= DIRECT_PARSE_BYTES_MAX) this.#unnamed = Buffer.from(bytes);
    return bytes;
  }
}

/** See FragmentRequest. */
interface Preparing {
  readonly catalogEpoch: number;
  readonly parameterTypes: readonly number[];
  readonly rendered: { readonly sql: string };
}

/**
 * The name of the text's statement on the backend, with a Parse before where it has none. Names are
 * the proxy's own, counted per backend, so no client's name ever meets another's.
 */
export function prepare(
  connection: BackendConnection,
  { key, sql, parameterTypes }: PreparedText,
  writer: FrameWriter,
): string {
  const { prepared } = connection;
  const known = prepared.get(key);
  if (known !== undefined) {
    // The order matters to who has to leave alone: it is kept where that is not far.
    if (prepared.size > PREPARED_STATEMENTS_PER_BACKEND_MAX / 2) {
      prepared.delete(key);
      prepared.set(key, known);
    }
    return known;
  }
  if (prepared.size >= PREPARED_STATEMENTS_PER_BACKEND_MAX) evictOldest(connection, writer);
  const statement = `colonnade_${connection.nextStatementNumber()}`;
  encodeParse({ kind: "parse", statement, sql, parameterTypeOids: parameterTypes }, writer);
  prepared.set(key, statement);
  return statement;
}

/** The backend has the text's statement under a name. */
export function isPrepared(connection: BackendConnection, { key }: PreparedText): boolean {
  return connection.prepared.has(key);
}

/** What was to be prepared is not there, or not to be used again. */
export function forgetPrepared(connection: BackendConnection, { key }: PreparedText): void {
  connection.prepared.delete(key);
}

function evictOldest(connection: BackendConnection, writer: FrameWriter): void {
  for (const [key, name] of connection.prepared) {
    encodeClose({ kind: "close", target: "statement", name }, writer);
    connection.prepared.delete(key);
    return;
  }
}
