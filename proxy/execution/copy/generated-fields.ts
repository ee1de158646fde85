/**
 * The columns that the proxy fills in each row of a COPY, written behind the client's own. Values
 * are drawn for many rows at once; those of rows that never come are gaps in their sequence.
 */
import { invariant } from "../../../base/invariant.ts";
import { COPY_ROWS_DRAWN_AT_ONCE } from "../../../base/limits.ts";
import { SqlError } from "../../../base/sql-error.ts";
import type { CopiedColumn, CopyRows } from "../../../planner/copy/copy-plan.ts";
import type { CopyRow } from "./copy-format.ts";

const INT2_OID = 21;
const INT4_OID = 23;
const INT8_OID = 20;
const UUID_OID = 2950;

export class GeneratedFields {
  readonly #rows: CopyRows;
  readonly #draw: (count: number) => Promise<readonly (readonly string[])[]>;
  #drawn: readonly (readonly string[])[] = [];
  #taken = 0;

  constructor(rows: CopyRows, draw: (count: number) => Promise<readonly (readonly string[])[]>) {
    this.#rows = rows;
    this.#draw = draw;
  }

  /** The values of the next row, where some are left; `draw` gets more. */
  take(): readonly string[] | undefined {
    if (this.#rows.generated.length === 0) return NO_VALUES;
    const values = this.#drawn[this.#taken];
    this.#taken += 1;
    return values;
  }

  async draw(): Promise<readonly string[]> {
    this.#drawn = await this.#draw(COPY_ROWS_DRAWN_AT_ONCE);
    this.#taken = 0;
    const values = this.take();
    invariant(values !== undefined, "as many values are drawn as were asked for");
    return values;
  }

  /** The row with its generated fields, as pieces to be written one after the other. */
  piecesOf({ bytes, end }: CopyRow, values: readonly string[]): readonly Buffer[] {
    const { format, generated } = this.#rows;
    if (values.length === 0) return [bytes];
    if (format.kind === "binary") {
      const count = Buffer.alloc(2);
      count.writeInt16BE(bytes.readInt16BE(0) + values.length);
      const fields = generated.map((column, index) => binaryField(column, values[index] ?? ""));
      return [count, bytes.subarray(2), ...fields];
    }
    const quote = format.kind === "csv" ? format.quote : "";
    const text = values.map((value) => `${format.delimiter}${quote}${value}${quote}`).join("");
    return [bytes.subarray(0, end), Buffer.from(text), bytes.subarray(end)];
  }
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
