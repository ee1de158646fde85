/**
 * Keeps V8 from taking several times the memory that a proxy needs. Left alone it lets garbage
 * stand for as long as the machine has memory: half a gigabyte, a tenth of it in use, once
 * texts come of which no plan is known. Why so: docs/decisions/0021-the-heap-is-bounded.md.
 *
 * The young generation's bound is an option of the process's start, which a program cannot give to itself;
 * by how much it grows is looked up at each collection. So that is nothing, but for collections of our own, one
 * after each of V8's while the generation is small: a process that idled has given nearly all of it back.
 */
import { PerformanceObserver } from "node:perf_hooks";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { HEAP_GROWING_PERCENT, NEW_SPACE_BYTES_MAX } from "../base/limits.ts";
import { collectGarbage } from "../proxy/backend/collect-garbage.ts";

/** V8's own: a megabyte in each half, one of which may not be there yet. */
const NEW_SPACE_BYTES_MIN = 2 * 1024 * 1024;

export class HeapBounds implements Disposable {
  readonly #afterCollections = new PerformanceObserver(() => this.#look());
  #isOwn = false;

  constructor() {
    setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);
    growBy(1);
    this.#afterCollections.observe({ entryTypes: ["gc"] });
  }

  #look(): void {
    const isOwn = this.#isOwn;
    this.#isOwn = false;
    const growth = Math.floor(NEW_SPACE_BYTES_MAX / Math.max(newSpaceBytes(), NEW_SPACE_BYTES_MIN));
    if (isOwn || growth < 2) return;
    this.#isOwn = true;
    growBy(growth);
    collectGarbage("minor");
    growBy(1);
  }

  [Symbol.dispose](): void {
    this.#afterCollections.disconnect();
  }
}

function newSpaceBytes(): number {
  const newSpace = getHeapSpaceStatistics().find(({ space_name: name }) => name === "new_space");
  return newSpace?.space_size ?? NEW_SPACE_BYTES_MAX;
}

/** Where as much has survived since it last grew as it holds: V8 decides that. */
function growBy(factor: number): void {
  setFlagsFromString(`--semi-space-growth-factor=${factor}`);
}

/**
 * Gives back what the start alone needed, the young generation's size among it. And before the first collection
 * of everything V8 knows no size to let the heap grow from, and lets it grow far.
 */
export function giveBackStart(): void {
  collectGarbage("all");
}
