/**
 * How the data of a COPY is written (manual: "COPY", "File Formats"), as far as rows and fields
 * have to be told apart. It knows no table.
 */

export type CopyFormat =
  | {
      readonly kind: "text";
      readonly delimiter: number;
      readonly nullText: Buffer;
      /** Undefined without the option DEFAULT. */
      readonly defaultText: Buffer | undefined;
    }
  | {
      readonly kind: "csv";
      readonly delimiter: number;
      readonly quote: number;
      readonly escape: number;
      readonly nullText: Buffer;
      readonly defaultText: Buffer | undefined;
    }
  | { readonly kind: "binary" };

/** One row as it came, its end of line included, and the fields that were asked for. */
export interface CopyRow {
  readonly bytes: Buffer;
  /** Where its fields end, in `bytes`: an end of line may follow. */
  readonly end: number;
  /** The line it ends on, counted from one, as PostgreSQL's errors count (COPY t, line 3). */
  readonly line: number;
  /** How many lines it has: more than one where a quoted field holds line ends. */
  readonly lines: number;
  /** Undefined where the row has not so many fields. */
  readonly fields: readonly (CopyField | undefined)[];
}

export interface CopyField {
  /** Escapes and quotes taken away; null where the field is the NULL text. */
  readonly value: Buffer | null;
  /** In quotes: FORCE_NULL and FORCE_NOT_NULL tell such from others. */
  readonly isQuoted: boolean;
  /** It is the DEFAULT text, and stands for its column's default. */
  readonly isDefault: boolean;
  /** Where it stands in the row's bytes, as it came. */
  readonly start: number;
  readonly stop: number;
}

export interface CopyRowReader {
  /** Rows that are whole with these bytes. What is left waits for more. */
  push(bytes: Buffer): Iterable<CopyRow>;
  /** The last row, if no end of line follows it. Throws where the data ends inside of a row. */
  end(): Iterable<CopyRow>;
  /** What is held of a row that is not whole. */
  readonly pendingBytes: number;
}

export const NEWLINE = 0x0a;
export const CARRIAGE_RETURN = 0x0d;
export const BACKSLASH = 0x5c;
