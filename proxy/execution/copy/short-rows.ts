/**
 * What a server says of a row with too few fields, where the proxy has written its own columns behind
 * them: the server counts those too, and misses a column that the client never meant to send. Looked at
 * once a batch has failed, so that rows are not counted through while they come.
 */
import { SqlError } from "../../../base/sql-error.ts";
import type { CopyRows } from "../../../planner/copy/copy-plan.ts";
import type { ErrorFields } from "../../protocol/backend/error-response.ts";
import type { CopyRow } from "./copy-format.ts";
import { rowReader } from "./row-reader.ts";

/** SQLSTATE class of what data is wrong with: a field of ours may have been read as another column's. */
const DATA_EXCEPTION = "22";

/** copyfromparse.c, CopyFromBinaryOneRow. */
const BINARY_COUNT = /^row field count is (\d+), expected (\d+)$/;

const OF_COLUMN = /^COPY .*, line \d+, column (.*): /;

/** `row`: as the client sent it, without its end of line; undefined where it is not known which it was. */
export function asOfClientsRow(
  fields: ErrorFields,
  row: Buffer | undefined,
  rows: CopyRows,
  table: string,
): ErrorFields {
  const { format, generated, columns } = rows;
  if (generated.length === 0 || fields.C?.startsWith(DATA_EXCEPTION) !== true) return fields;
  if (format.kind === "binary") {
    const message = (fields.M ?? "").replace(
      BINARY_COUNT,
      (_, count: string, expected: string) =>
        `row field count is ${Number(count) - generated.length}, expected ${Number(expected) - generated.length}`,
    );
    return { ...fields, M: message };
  }
  const missing = row === undefined ? undefined : firstMissing(row, rows, table);
  if (row === undefined || missing === undefined) return fields;
  const context = fields.W ?? "";
  const failed = columns.indexOf(OF_COLUMN.exec(context)?.[1] ?? "");
  // The server reads columns in their order, and comes to what is missing last.
  if (failed >= 0 && failed < missing) return fields;
  const { D: _, H: __, ...others } = fields;
  return {
    ...others,
    C: "22P04",
    M: missingData(columns[missing]),
    W: context.replace(
      /^(COPY .*?, line \d+).*$/s,
      (_whole, line: string) => `${line}: "${row.toString("utf8")}"`,
    ),
  };
}

/** Of a row that ends before its shard key, which so has no place to go to. */
export function tooShort({ bytes, end, line }: CopyRow, rows: CopyRows, table: string): SqlError {
  const context = `COPY ${table}, line ${line}`;
  const { columns } = rows;
  if (rows.format.kind === "binary")
    return new SqlError(
      "copy_data_malformed",
      `row field count is ${bytes.readInt16BE(0)}, expected ${columns.length}`,
      { context },
    );
  const row = bytes.subarray(0, end);
  const missing = firstMissing(row, rows, table) ?? 0;
  return new SqlError("copy_data_malformed", missingData(columns[missing]), {
    context: `${context}: "${row.toString("utf8")}"`,
  });
}

const missingData = (column = ""): string => `missing data for column "${column}"`;

/** Index of the first column that a row has no field for; undefined where it has them all. */
function firstMissing(row: Buffer, rows: CopyRows, table: string): number | undefined {
  const reader = rowReader(rows, [...rows.columns.keys()], table);
  const [read] = [...reader.push(row), ...reader.end()];
  const index = read?.fields.indexOf(undefined) ?? -1;
  return index < 0 ? undefined : index;
}
