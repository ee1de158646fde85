/**
 * What a client is told of the columns of an answer that is relayed: in the simple protocol the
 * server's own description in the catalog database's OIDs, in the extended one what the
 * statement was described with, which the server's must agree with.
 */
import { RELAYED_COLUMNS_MAX } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { Description } from "../execution/describe.ts";
import type { OidTranslation } from "../execution/fragment-request.ts";
import { decodeRowDescription, encodeRowDescription } from "../protocol/backend/row-description.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import { FRAME_HEADER_BYTES } from "../protocol/frame-reader.ts";
import { encodeToBuffer } from "../protocol/frame-writer.ts";
import type { FormatCode } from "../protocol/format-code.ts";
import { formatAt } from "../protocol/frontend/bind.ts";
import { BoundedCache } from "./bounded-cache.ts";
import { isSame } from "./direct-batch.ts";
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
  readonly server: Buffer;
  /** Undefined where it is the same. */
  readonly client: Buffer | undefined;
}

/** What was told before; a new translation, of other types and tables, begins anew. */
class ToldBefore {
  /** In the simple protocol the server's bytes decide alone. */
  readonly simple = new BoundedCache<string, Told>(RELAYED_COLUMNS_MAX);
  /** Of them, what was told last: it is found without a string. */
  last: Told | undefined;
  /** In the extended one the description as well, which goes with its statement; the last of each is kept. */
  readonly extended = new WeakMap<Description, Told>();
}

const BEFORE = new WeakMap<OidTranslation, ToldBefore>();

function toldBefore(translation: OidTranslation): ToldBefore {
  const known = BEFORE.get(translation);
  if (known !== undefined) return known;
  const none = new ToldBefore();
  BEFORE.set(translation, none);
  return none;
}

export class DirectColumns {
  readonly #translation: OidTranslation;
  readonly #description: Description | undefined;
  readonly #batch: DirectBatch | undefined;
  readonly #onOtherColumns: ((columns: readonly ColumnDescription[]) => void) | undefined;
  #isOther = false;

  /** `onOtherColumns`: where the client knows of no columns yet, and is told the server's whatever they are. */
  constructor(
    translation: OidTranslation,
    description: Description | undefined,
    batch: DirectBatch | undefined,
    onOtherColumns: ((columns: readonly ColumnDescription[]) => void) | undefined,
  ) {
    this.#translation = translation;
    this.#description = description;
    this.#batch = batch;
    this.#onOtherColumns = onOtherColumns;
  }

  /** What becomes of the server's RowDescription `bytes[start, end)`. Throws cached_plan_changed. */
  judge(bytes: Buffer, start: number, end: number): boolean | Buffer {
    const { client } = this.#told(bytes, start, end);
    if (this.#batch !== undefined && !this.#batch.isDescribed) return false;
    return client ?? true;
  }

  #told(bytes: Buffer, start: number, end: number): Told {
    const before = toldBefore(this.#translation);
    const description = this.#description;
    if (description === undefined) {
      const { last } = before;
      if (last !== undefined && isSame(last.server, bytes, start, end)) return last;
      const key = bytes.toString("latin1", start, end);
      const known = before.simple.get(key) ?? this.#tell(bytes, start, end);
      before.simple.set(key, known);
      before.last = known;
      return known;
    }
    const known = before.extended.get(description);
    if (known !== undefined && isSame(known.server, bytes, start, end)) return known;
    const told = this.#tell(bytes, start, end);
    // The description, which other clients may have been told, says otherwise.
    if (!this.#isOther) before.extended.set(description, told);
    return told;
  }

  #tell(bytes: Buffer, start: number, end: number): Told {
    const server = Buffer.from(bytes.subarray(start, end));
    const { columns } = decodeRowDescription(server.subarray(FRAME_HEADER_BYTES));
    const translated = this.#translation.columns(columns);
    const told = this.#batch === undefined ? translated : this.#described(translated);
    const client = encodeToBuffer(encodeRowDescription, { kind: "rowDescription", columns: told });
    return { server, client: client.equals(server) ? undefined : client };
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
    const formats = this.#batch?.bind.resultFormats ?? [];
    if (!isAsTold) {
      const isRelayed = mayRelayBinary({ parameterTypes: [], columns: translated }, formats);
      if (this.#onOtherColumns === undefined || !isRelayed)
        throw new SqlError("cached_plan_changed", "cached plan must not change result type");
      this.#isOther = true;
      this.#onOtherColumns(translated);
      return translated;
    }
    return columns.map((column, index) => ({ ...column, format: formatAt(formats, index) }));
  }
}
