/** A benchmark as data: its tables, how they are sharded, its rows, and what its clients send. */

export interface Workload {
  readonly name: string;
  /** Statements, in the order in which they are sent; the last ones need not be tables. */
  readonly schema: readonly string[];
  /** `colocations` and `reference_tables` of the map. */
  readonly map: string;
  readonly load: readonly string[];
  readonly transactions: readonly Transaction[];
}

export interface Transaction {
  readonly name: string;
  readonly statements: readonly Call[];
}

/** One statement with its values; BEGIN and COMMIT are the runner's. */
export interface Call {
  readonly sql: string;
  readonly values: readonly unknown[];
  /** All its rows are on one placement (or are a reference table's). */
  readonly isSingle: boolean;
}

/** One key, one placement. */
export function single(sql: string, ...values: readonly unknown[]): Call {
  return { sql, values, isSingle: true };
}

/** Rows of several placements. */
export function several(sql: string, ...values: readonly unknown[]): Call {
  return { sql, values, isSingle: false };
}
