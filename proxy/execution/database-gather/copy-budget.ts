/** What one statement may put into temporary tables, in bytes; all of its tables together. */
import { SqlError } from "../../../base/sql-error.ts";

export class CopyBudget {
  readonly #bytesMax: number;
  readonly #own = new Map<string, number>();
  #copiedBytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes that were brought from other databases. */
  get copiedBytes(): number {
    return this.#copiedBytes;
  }

  /** Throws `gather_database_exceeded`, naming the table that was one too much. */
  add(table: string, bytes: number): void {
    this.#copiedBytes += bytes;
    this.#check(table);
  }

  /** Bytes on disk of a table that the catalog database has filled from its own rows so far. */
  setOwn(table: string, bytes: number): void {
    this.#own.set(table, bytes);
    this.#check(table);
  }

  #check(table: string): void {
    const bytes = [...this.#own.values()].reduce((sum, each) => sum + each, this.#copiedBytes);
    if (bytes <= this.#bytesMax) return;
    throw new SqlError(
      "gather_database_exceeded",
      `rows to be gathered exceed ${this.#bytesMax} bytes at table "${table}"`,
    );
  }
}
