/** TupleData of pgoutput: one row as it was or is, its values as text. */
import { ProtocolViolation } from "../../../base/sql-error.ts";
import type { BodyReader } from "../body-reader.ts";

/**
 * Bytes of the text form; null; or `unchanged`: a large value that is stored out of line and
 * was not touched by the update. It is not sent again, and is no value.
 */
export type TupleValue = Buffer | null | "unchanged";

export type Tuple = readonly TupleValue[];

export function decodeTuple(reader: BodyReader): Tuple {
  const count = reader.uint16();
  const values: TupleValue[] = [];
  for (let index = 0; index < count; index += 1) values.push(decodeValue(reader));
  return values;
}

function decodeValue(reader: BodyReader): TupleValue {
  const kind = reader.char();
  switch (kind) {
    case "n":
      return null;
    case "u":
      return "unchanged";
    case "t": {
      const value = reader.value();
      if (value === null) throw new ProtocolViolation("insufficient data left in message");
      return value;
    }
    default:
      throw new ProtocolViolation(`unexpected kind of value ${JSON.stringify(kind)} in a row`);
  }
}
