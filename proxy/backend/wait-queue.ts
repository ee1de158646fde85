/**
 * Those who wait for one of a scarce kind: first come, first served, each with the same
 * deadline, in a bounded number. Those who hold some already come before those who hold none,
 * since others wait for what they hold. It knows nothing of what they wait for.
 */

interface Waiter<T> {
  readonly since: number;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

export type WaitOrder = "holding some" | "holding none";

export class WaitQueue<T> {
  readonly #sizeMax: number;
  readonly #waitMs: number;
  readonly #refusal: (reason: "deadline" | "queue full") => Error;
  /** In order of arrival; a Set, so that the one in the middle who gives up is as cheap as the first. */
  readonly #queues: Readonly<Record<WaitOrder, Set<Waiter<T>>>> = {
    "holding some": new Set(),
    "holding none": new Set(),
  };
  #waitedMs = 0;
  #timeouts = 0;

  constructor(
    sizeMax: number,
    waitMs: number,
    refusal: (reason: "deadline" | "queue full") => Error,
  ) {
    this.#sizeMax = sizeMax;
    this.#waitMs = waitMs;
    this.#refusal = refusal;
  }

  get size(): number {
    return this.#queues["holding some"].size + this.#queues["holding none"].size;
  }

  /** Milliseconds that all who have left the queue, served or not, have waited. */
  get waitedMs(): number {
    return this.#waitedMs;
  }

  get timeouts(): number {
    return this.#timeouts;
  }

  get longestWaitMs(): number {
    const firsts = Object.values(this.#queues).flatMap((queue) => [...queue].slice(0, 1));
    const now = performance.now();
    return Math.max(0, ...firsts.map(({ since }) => now - since));
  }

  /** Rejects with the refusal at the deadline or where the queue is full, or with the signal's reason. */
  wait(signal: AbortSignal | undefined, order: WaitOrder): Promise<T> {
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    if (this.size >= this.#sizeMax) return Promise.reject(this.#refusal("queue full"));
    const queue = this.#queues[order];
    return new Promise<T>((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(deadline);
        signal?.removeEventListener("abort", aborted);
        queue.delete(waiter);
        this.#waitedMs += performance.now() - waiter.since;
      };
      const waiter: Waiter<T> = {
        since: performance.now(),
        resolve: (value) => {
          leave();
          resolve(value);
        },
        reject: (error) => {
          leave();
          reject(error);
        },
      };
      const aborted = (): void => waiter.reject(signal?.reason);
      const deadline = setTimeout(() => {
        this.#timeouts += 1;
        waiter.reject(this.#refusal("deadline"));
      }, this.#waitMs);
      signal?.addEventListener("abort", aborted, { once: true });
      queue.add(waiter);
    });
  }

  resolveFirst(value: T): void {
    this.#first()?.resolve(value);
  }

  rejectAll(error: unknown): void {
    for (const queue of Object.values(this.#queues))
      for (const waiter of queue) waiter.reject(error);
  }

  #first(): Waiter<T> | undefined {
    for (const queue of Object.values(this.#queues)) for (const waiter of queue) return waiter;
    return undefined;
  }
}
