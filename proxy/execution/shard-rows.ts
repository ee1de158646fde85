/**
 * The rows of one placement on their way into a gather: the seam between scatter (which
 * reads backends) and gather (pure: it compares and combines, and knows no socket).
 */
import type { ColumnDescription } from "../protocol/backend/row-description.ts";

/** Back-to-back whole DataRow frames, headers included. The bytes are the reader's: nobody writes to them again. */
export interface DataRowRun {
  readonly bytes: Buffer;
  readonly count: number;
}

/**
 * A merge asks all shards for columns and first rows at once and gives none before each has
 * answered: where two share a connection, the rows of the first are held for it.
 */
export interface ShardRows {
  /** For errors and EXPLAIN: `users0.public`. */
  readonly placementId: string;
  /** Resolves before any row; rejects with the placement's error. Types are the catalog database's OIDs. */
  columns(): Promise<readonly ColumnDescription[]>;
  /** The next rows, or undefined after the last. Rejects with the placement's error. Reading slowly slows the backend. */
  next(): Promise<DataRowRun | undefined>;
  /** No further row is wanted (a satisfied LIMIT). `next` then gives undefined. */
  stop(): void;
}
