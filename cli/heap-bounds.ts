/**
 * Keeps V8 from taking several times the memory that a proxy needs. Left alone it lets garbage
 * stand for as long as the machine has memory: half a gigabyte, a tenth of it in use, once
 * texts come of which no plan is known. Why so: docs/decisions/0021-the-heap-is-bounded.md.
 *
 * The young generation's bound is an option of the process's start, which a program cannot give to itself;
 * whether it grows with the next collection is looked up each time. So that is turned off above the bound, and
 * on below: a process that idles gives nearly all of it back.
 */
import { PerformanceObserver } from "node:perf_hooks";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { HEAP_GROWING_PERCENT, NEW_SPACE_BYTES_MAX } from "../base/limits.ts";
import { collectGarbage } from "../proxy/backend/collect-garbage.ts";

export class HeapBounds implements Disposable {
  readonly #afterCollections = new PerformanceObserver(() => this.#look());
  #mayGrow = true;

  constructor() {
    setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);
    this.#look();
    this.#afterCollections.observe({ entryTypes: ["gc"] });
  }

  #look(): void {
    const newSpace = getHeapSpaceStatistics().find(({ space_name: name }) => name === "new_space");
    const mayGrow = newSpace === undefined || newSpace.space_size < NEW_SPACE_BYTES_MAX;
    if (mayGrow === this.#mayGrow) return;
    this.#mayGrow = mayGrow;
    setFlagsFromString(`--semi-space-growth-factor=${mayGrow ? 2 : 1}`);
  }

  [Symbol.dispose](): void {
    this.#afterCollections.disconnect();
  }
}

/**
 * Gives back what the start alone needed, the young generation's size among it. And before the first collection
 * of everything V8 knows no size to let the heap grow from, and lets it grow far.
 */
export function giveBackStart(): void {
  collectGarbage("all");
}
