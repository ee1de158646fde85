/** The reader for a format, with the format's bytes. */
import { unreachable } from "../../../base/invariant.ts";
import type { CopyRows } from "../../../planner/copy/copy-plan.ts";
import { BinaryRows } from "./binary-rows.ts";
import type { CopyRowReader } from "./copy-format.ts";
import { CsvRows } from "./csv-rows.ts";
import { TextRows } from "./text-rows.ts";

/** A header to be matched needs every field; else only the key's are read. */
export function rowReader(
  { format, header, columns }: CopyRows,
  keyFields: readonly number[],
  table: string,
): CopyRowReader {
  const wanted = header === "matched" ? [...columns.keys()] : keyFields;
  switch (format.kind) {
    case "text":
      return new TextRows(
        {
          kind: "text",
          delimiter: format.delimiter.charCodeAt(0),
          nullText: Buffer.from(format.nullText),
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
