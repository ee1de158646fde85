/**
 * What a client is told of the columns of an answer that is relayed: in the simple protocol the
 * server's own description in the catalog database's OIDs, in the extended one what the
 * statement was described with, which the server's must agree with.
 */
import { SqlError } from "../../base/sql-error.ts";
import type { Description } from "../execution/describe.ts";
import type { OidTranslation } from "../execution/fragment-request.ts";
import { decodeRowDescription, encodeRowDescription } from "../protocol/backend/row-description.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import { FRAME_HEADER_BYTES } from "../protocol/frame-reader.ts";
import { encodeToBuffer } from "../protocol/frame-writer.ts";
import type { FormatCode } from "../protocol/format-code.ts";
import { formatAt } from "../protocol/frontend/bind.ts";
import type { DirectBatch } from "./direct-batch.ts";

/** Types above are made by users, and their OIDs differ between databases. */
const FIRST_USER_OID = 16_384;

/** record, record[] and anyarray: what their binary values carry may be of any type. */
const OPEN_TYPES: ReadonlySet<number> = new Set([2249, 2287, 2277]);

/** Binary values of these columns hold no OID that another database has otherwise. */
export function mayRelayBinary({ columns }: Description, formats: readonly FormatCode[]): boolean {
  if (!formats.includes("binary")) return true;
  return (columns ?? []).every(
    ({ typeOid }, index) =>
      formatAt(formats, index) === "text" || (typeOid < FIRST_USER_OID && !OPEN_TYPES.has(typeOid)),
  );
}

/** A server's description, and what a client is told for it. */
interface Told {
  readonly translation: OidTranslation;
  readonly server: Buffer;
  /** Undefined where it is the same. */
  readonly client: Buffer | undefined;
}

export class DirectColumns {
  readonly #translation: OidTranslation;
  readonly #description: Description | undefined;
  readonly #batch: DirectBatch | undefined;

  constructor(
    translation: OidTranslation,
    description: Description | undefined,
    batch: DirectBatch | undefined,
  ) {
    this.#translation = translation;
    this.#description = description;
    this.#batch = batch;
  }

  /** What becomes of the server's RowDescription `bytes[start, end)`. Throws cached_plan_changed. */
  judge(bytes: Buffer, start: number, end: number): boolean | Buffer {
    const { client } = this.#told(bytes, start, end);
    if (this.#batch !== undefined && !this.#batch.isDescribed) return false;
    return client ?? true;
  }

  #told(bytes: Buffer, start: number, end: number): Told {
    const server = Buffer.from(bytes.subarray(start, end));
    const { columns } = decodeRowDescription(server.subarray(FRAME_HEADER_BYTES));
    const translated = this.#translation.columns(columns);
    const told = this.#batch === undefined ? translated : this.#described(translated);
    const client = encodeToBuffer(encodeRowDescription, { kind: "rowDescription", columns: told });
    const translation = this.#translation;
    return { translation, server, client: client.equals(server) ? undefined : client };
  }

  /** Rows of other columns must never reach the client under the names it was told. */
  #described(translated: readonly ColumnDescription[]): readonly ColumnDescription[] {
    const columns = this.#description?.columns ?? [];
    const isAsTold =
      columns.length === translated.length &&
      translated.every(({ name, typeOid }, index) => {
        const told = columns[index];
        return told?.name === name && told.typeOid === typeOid;
      });
    if (!isAsTold)
      throw new SqlError("cached_plan_changed", "cached plan must not change result type");
    const formats = this.#batch?.bind.resultFormats ?? [];
    return columns.map((column, index) => ({ ...column, format: formatAt(formats, index) }));
  }
}
