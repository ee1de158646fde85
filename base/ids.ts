declare const brand: unique symbol;

/** A value that has been checked once, at the edge, and is trusted after. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** One of the fixed number of logical shards of a colocation: a hash bucket, a list entry or a range. */
export type LogicalShard = Brand<number, "LogicalShard">;

/** A physical Postgres (a primary with its replicas), by its name in the shard map. */
export type DatabaseName = Brand<string, "DatabaseName">;

export function databaseName(name: string): DatabaseName {
  return name as DatabaseName;
}

export function logicalShard(number: number): LogicalShard {
  return number as LogicalShard;
}
