/** A colocation's shard function, as data. `shard-of.ts` beside it applies one. */
import type { KeyValue } from "../shard-key.ts";

export type ShardFunction =
  /** PostgreSQL's PARTITION BY HASH: `hash % logicalShards`. */
  | { readonly kind: "hash"; readonly logicalShards: number }
  /** Entry `i` holds keys from `from` (inclusive) to `to` (exclusive); undefined is unbounded. Sorted, disjoint. */
  | { readonly kind: "range"; readonly ranges: readonly KeyRange[] }
  /** Entry `i` holds the keys it names; at most one may be the default. */
  | {
      readonly kind: "list";
      readonly entries: readonly (readonly KeyValue[])[];
      readonly defaultEntry: number | undefined;
    };

export interface KeyRange {
  readonly from: KeyValue | undefined;
  readonly to: KeyValue | undefined;
}
