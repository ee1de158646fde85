/**
 * Shard key values: from a literal, a text parameter or a binary parameter to one
 * canonical form, exactly as PostgreSQL's input functions would read them, or not at all.
 */

export const KEY_TYPES = [
  "smallint",
  "integer",
  "bigint",
  "uuid",
  "text",
  "varchar",
  "date",
  "timestamptz",
] as const;

export type KeyType = (typeof KEY_TYPES)[number];

/**
 * A key value in canonical form. Numbers are kept as bigint for ordering; hashing works
 * on 32-bit halves. Dates are days and timestamps microseconds since 2000-01-01, as in
 * PostgreSQL's own storage.
 */
export type KeyValue =
  | { readonly kind: "integer"; readonly value: bigint }
  | { readonly kind: "uuid"; readonly bytes: Buffer }
  | { readonly kind: "text"; readonly bytes: Buffer }
  | { readonly kind: "date"; readonly days: number }
  | { readonly kind: "timestamptz"; readonly microseconds: bigint };
