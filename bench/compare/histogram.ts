/**
 * Latencies of millions of answers in a few kilobytes, each known to 0.4 %: 256 buckets for every
 * power of two of tenths of a microsecond, as HdrHistogram lays them out.
 */
import { invariant } from "../../base/invariant.ts";

const TENTHS_PER_MICROSECOND = 10;
const SUB_BUCKET_BITS = 8;
const SUB_BUCKETS = 2 ** SUB_BUCKET_BITS;
/** About three and a half minutes; what took longer counts as that. */
const TENTHS_MAX = 2 ** 31 - 1;

export class Histogram {
  readonly #counts = new Uint32Array(bucketOf(TENTHS_MAX) + 1);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  record(microseconds: number): void {
    const tenths = Math.round(microseconds * TENTHS_PER_MICROSECOND);
    const bucket = bucketOf(Math.min(Math.max(tenths, 0), TENTHS_MAX));
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#count += 1;
  }

  /**
   * Microseconds that the given part of the answers took at most.
   * @param part above 0, at most 1
   */
  quantile(part: number): number {
    invariant(part > 0 && part <= 1, "a quantile is of a part");
    if (this.#count === 0) return Number.NaN;
    const wanted = Math.ceil(part * this.#count);
    let seen = 0;
    for (let bucket = 0; bucket < this.#counts.length; bucket += 1) {
      seen += this.#counts[bucket] ?? 0;
      if (seen >= wanted) return highestOf(bucket) / TENTHS_PER_MICROSECOND;
    }
    throw new RangeError("the counts of a histogram add up to its count");
  }
}

function bucketOf(tenths: number): number {
  if (tenths < SUB_BUCKETS) return tenths;
  const shift = 31 - Math.clz32(tenths) - SUB_BUCKET_BITS;
  return shift * SUB_BUCKETS + (tenths >> shift);
}

/** The largest number of tenths that the bucket counts. */
function highestOf(bucket: number): number {
  if (bucket < 2 * SUB_BUCKETS) return bucket;
  const shift = Math.floor(bucket / SUB_BUCKETS) - 1;
  return (bucket - shift * SUB_BUCKETS + 1) * 2 ** shift - 1;
}
