/** The reader for a format, with the format's bytes. */
import { unreachable } from "../../../base/invariant.ts";
import type { CopyRows } from "../../../planner/copy/copy-plan.ts";
import { BinaryRows } from "./binary-rows.ts";
import type { CopyRowReader } from "./copy-format.ts";
import { CsvRows } from "./csv-rows.ts";
import { TextRows } from "./text-rows.ts";

/** `wanted`: the fields to give, by index. */
export function rowReader(
  { format, marker }: CopyRows,
  wanted: readonly number[],
  table: string,
): CopyRowReader {
  const defaultText = marker === undefined ? undefined : Buffer.from(marker.text);
  switch (format.kind) {
    case "text":
      return new TextRows(
        {
          kind: "text",
          delimiter: format.delimiter.charCodeAt(0),
          nullText: Buffer.from(format.nullText),
          defaultText,
        },
        wanted,
        table,
      );
    case "csv":
      return new CsvRows(
        {
          kind: "csv",
          delimiter: format.delimiter.charCodeAt(0),
          quote: format.quote.charCodeAt(0),
          escape: format.escape.charCodeAt(0),
          nullText: Buffer.from(format.nullText),
          defaultText,
        },
        wanted,
        table,
      );
    case "binary":
      return new BinaryRows(wanted, table);
    default:
      return unreachable(format);
  }
}
