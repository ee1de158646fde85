/**
 * The columns that the proxy fills in each row of a COPY, written behind the client's own. Values
 * are drawn for many rows at once; those of rows that never come are gaps in their sequence.
 * So are those in the place of fields that stand for a default (DEFAULT of COPY).
 */
import { invariant } from "../../../base/invariant.ts";
import { COPY_ROWS_DRAWN_AT_ONCE } from "../../../base/limits.ts";
import { SqlError } from "../../../base/sql-error.ts";
import type { CopiedColumn, CopyRows, MarkedColumn } from "../../../planner/copy/copy-plan.ts";
import type { CopyField, CopyRow } from "./copy-format.ts";

const INT2_OID = 21;
const INT4_OID = 23;
const INT8_OID = 20;
const UUID_OID = 2950;

/** Values of columns for that many rows. */
export type DrawValues = (
  columns: readonly CopiedColumn[],
  count: number,
) => Promise<readonly (readonly string[])[]>;

/** The values of some columns, drawn ahead of the rows that they are for. */
class DrawnValues {
  readonly #columns: readonly CopiedColumn[];
  readonly #draw: DrawValues;
  #drawn: readonly (readonly string[])[] = [];
  #taken = 0;

  constructor(columns: readonly CopiedColumn[], draw: DrawValues) {
    this.#columns = columns;
    this.#draw = draw;
  }

  get isReady(): boolean {
    return this.#columns.length === 0 || this.#taken < this.#drawn.length;
  }

  /** Those of the next row. */
  take(): readonly string[] {
    if (this.#columns.length === 0) return NO_VALUES;
    const values = this.#drawn[this.#taken];
    invariant(values !== undefined, "values are drawn before they are taken");
    this.#taken += 1;
    return values;
  }

  async draw(): Promise<void> {
    if (this.isReady) return;
    this.#drawn = await this.#draw(this.#columns, COPY_ROWS_DRAWN_AT_ONCE);
    this.#taken = 0;
  }
}

/** Fields that may be marked, one for each such column of the plan; undefined in a row that ends before. */
type Markable = readonly (CopyField | undefined)[];

export class GeneratedFields {
  readonly #rows: CopyRows;
  readonly #marked: readonly MarkedColumn[];
  readonly #values: DrawnValues;
  readonly #markedValues: DrawnValues;

  constructor(rows: CopyRows, draw: DrawValues) {
    this.#rows = rows;
    this.#marked = rows.marker?.filled ?? [];
    this.#values = new DrawnValues(rows.generated, draw);
    this.#markedValues = new DrawnValues(
      this.#marked.map(({ column }) => column),
      draw,
    );
  }

  /**
   * The values of the next row, where some are left; `draw` gets more. First those of the columns that
   * the data has not, behind them those of marked fields: a row that has none needs none.
   */
  take(fields: Markable): readonly string[] | undefined {
    const isMarked = isAnyMarked(fields);
    if (!this.#values.isReady || (isMarked && !this.#markedValues.isReady)) return undefined;
    const values = this.#values.take();
    return isMarked ? [...values, ...this.#markedValues.take()] : values;
  }

  async draw(fields: Markable): Promise<readonly string[]> {
    await this.#values.draw();
    if (isAnyMarked(fields)) await this.#markedValues.draw();
    const values = this.take(fields);
    invariant(values !== undefined, "as many values are drawn as were asked for");
    return values;
  }

  /** The row with its generated fields, as pieces to be written one after the other. */
  piecesOf(row: CopyRow, fields: Markable, drawn: readonly string[]): readonly Buffer[] {
    if (drawn.length === 0) return [row.bytes];
    const { format, generated } = this.#rows;
    const { bytes, end } = this.#unmarked(row, fields, drawn.slice(generated.length));
    const values = drawn.slice(0, generated.length);
    if (values.length === 0) return [bytes];
    if (format.kind === "binary") {
      const count = Buffer.alloc(2);
      count.writeInt16BE(bytes.readInt16BE(0) + values.length);
      const more = generated.map((column, index) => binaryField(column, values[index] ?? ""));
      return [count, bytes.subarray(2), ...more];
    }
    const text = values.map((value) => `${format.delimiter}${this.#written(value)}`).join("");
    return [bytes.subarray(0, end), Buffer.from(text), bytes.subarray(end)];
  }

  /** The row with its marked fields replaced by their values. */
  #unmarked(
    { bytes, end }: CopyRow,
    fields: Markable,
    values: readonly string[],
  ): Pick<CopyRow, "bytes" | "end"> {
    if (values.length === 0) return { bytes, end };
    const replaced = fields
      .flatMap((field, index) => (field?.isDefault === true ? [{ field, index }] : []))
      .toSorted((left, right) => left.field.start - right.field.start);
    const pieces: Buffer[] = [];
    let read = 0;
    for (const { field, index } of replaced) {
      pieces.push(
        bytes.subarray(read, field.start),
        Buffer.from(this.#written(values[index] ?? "")),
      );
      read = field.stop;
    }
    const before = Buffer.concat(pieces);
    const rest = bytes.subarray(read);
    return { bytes: Buffer.concat([before, rest]), end: before.length + end - read };
  }

  #written(value: string): string {
    const { format } = this.#rows;
    const quote = format.kind === "csv" ? format.quote : "";
    return `${quote}${value}${quote}`;
  }
}

function isAnyMarked(fields: Markable): boolean {
  return fields.some((field) => field?.isDefault === true);
}

const NO_VALUES: readonly string[] = [];

function binaryField({ column, typeOid }: CopiedColumn, value: string): Buffer {
  const data = binaryValue(typeOid, value);
  invariant(data !== undefined, `column "${column}" has a type that is filled in binary`);
  const length = Buffer.alloc(4);
  length.writeInt32BE(data.length);
  return Buffer.concat([length, data]);
}

function binaryValue(typeOid: number, value: string): Buffer | undefined {
  switch (typeOid) {
    case INT2_OID:
      return integerBytes(value, 2);
    case INT4_OID:
      return integerBytes(value, 4);
    case INT8_OID:
      return integerBytes(value, 8);
    case UUID_OID:
      return Buffer.from(value.replaceAll("-", ""), "hex");
    default:
      return undefined;
  }
}

function integerBytes(value: string, length: number): Buffer {
  const integer = BigInt(value);
  if (BigInt.asIntN(8 * length, integer) !== integer)
    throw new SqlError("copy_value_out_of_range", `generated value ${value} is out of range`);
  const data = Buffer.alloc(8);
  data.writeBigInt64BE(integer);
  return data.subarray(8 - length);
}
