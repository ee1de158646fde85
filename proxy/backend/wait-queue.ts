/**
 * Those who wait for one of a scarce kind: each with the same deadline, in a bounded number. Those
 * who hold some already come first, since others wait for what they hold; then the proxy's own
 * work; then everybody by priority, and users of one priority in turns. It knows nothing of what
 * they wait for.
 *
 * Where the queue is full, who is less urgent makes room for who is more, and who has most waiting
 * for who has little; the one to go is the last of theirs.
 */
import { PRIORITIES } from "../../base/priority.ts";
import type { Claim } from "./claim.ts";
import { FairQueue } from "./fair-queue.ts";

interface Waiter<T> extends Claim {
  readonly since: number;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

export type WaitEnd = "deadline" | "queue full";

export interface WaitQueueOptions {
  readonly sizeMax: number;
  readonly waitMs: number;
  readonly refusal: (reason: WaitEnd) => Error;
}

export class WaitQueue<T> {
  readonly #options: WaitQueueOptions;
  /** In the order in which they are served; those of the first two are privileged. */
  readonly #holding = new FairQueue<Waiter<T>>();
  readonly #own = new FairQueue<Waiter<T>>();
  readonly #new = {
    high: new FairQueue<Waiter<T>>(),
    normal: new FairQueue<Waiter<T>>(),
    low: new FairQueue<Waiter<T>>(),
  };
  readonly #all = [this.#holding, this.#own, ...PRIORITIES.map((each) => this.#new[each])];
  #size = 0;
  #waitedMs = 0;
  #timeouts = 0;
  #refused = 0;

  constructor(options: WaitQueueOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#size;
  }

  /** Of those who are not refused for overload. */
  get privilegedSize(): number {
    return this.#holding.size + this.#own.size;
  }

  /** Milliseconds that all who have left the queue, served or not, have waited. */
  get waitedMs(): number {
    return this.#waitedMs;
  }

  get timeouts(): number {
    return this.#timeouts;
  }

  /** Those who found the queue full, or made room in it. */
  get refused(): number {
    return this.#refused;
  }

  get longestWaitMs(): number {
    const firsts = this.#all.flatMap((queue) => queue.firsts());
    const now = performance.now();
    return firsts.reduce((longest, { since }) => Math.max(longest, now - since), 0);
  }

  /** How many are served before one with this claim, as far as is known. */
  ahead(claim: Claim): number {
    if (claim.standing === "holding") return this.#holding.size;
    if (claim.standing === "own") return this.privilegedSize;
    let ahead = this.privilegedSize;
    for (const priority of PRIORITIES) {
      if (priority === claim.priority) return ahead + this.#new[priority].ahead(claim.user);
      ahead += this.#new[priority].size;
    }
    return ahead;
  }

  /** Rejects with the refusal at the deadline or where the queue is full, or with the signal's reason. */
  wait(signal: AbortSignal | undefined, claim: Claim): Promise<T> {
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    if (this.#size >= this.#options.sizeMax && !this.#makeRoom(claim)) {
      this.#refused += 1;
      return Promise.reject(this.#options.refusal("queue full"));
    }
    const queue = this.#queueOf(claim);
    return new Promise<T>((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(deadline);
        signal?.removeEventListener("abort", aborted);
        // Whoever is served was taken out of its queue already.
        queue.delete(waiter);
        this.#size -= 1;
        this.#waitedMs += performance.now() - waiter.since;
      };
      const waiter: Waiter<T> = {
        ...claim,
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
        waiter.reject(this.#options.refusal("deadline"));
      }, this.#options.waitMs);
      signal?.addEventListener("abort", aborted, { once: true });
      queue.add(waiter);
      this.#size += 1;
    });
  }

  /** Undefined where nobody waits, or nobody privileged where only those are to be served. */
  resolveFirst(value: T, onlyPrivileged: boolean): void {
    const queues = onlyPrivileged ? [this.#holding, this.#own] : this.#all;
    for (const queue of queues) {
      const waiter = queue.shift();
      if (waiter !== undefined) return waiter.resolve(value);
    }
  }

  rejectAll(error: unknown): void {
    for (const queue of this.#all) for (const waiter of queue) waiter.reject(error);
  }

  /** Those who may be refused for overload. Gives their number. */
  rejectNew(error: () => Error): number {
    const waiting = Object.values(this.#new).flatMap((queue) => [...queue]);
    for (const waiter of waiting) waiter.reject(error());
    return waiting.length;
  }

  #queueOf({ standing, priority }: Claim): FairQueue<Waiter<T>> {
    if (standing === "new") return this.#new[priority];
    return standing === "holding" ? this.#holding : this.#own;
  }

  /** Refuses one who is to go before this claim is; false where nobody is. */
  #makeRoom({ standing, priority, user }: Claim): boolean {
    for (const lowest of PRIORITIES.toReversed()) {
      const isOwnClass = standing === "new" && lowest === priority;
      const last = this.#new[lowest].lastOfMost();
      if (last !== undefined && (!isOwnClass || this.#isAbove(last, user))) {
        this.#refused += 1;
        last.reject(this.#options.refusal("queue full"));
        return true;
      }
      if (isOwnClass) return false;
    }
    return false;
  }

  /** One more of `user` would still wait for less than those of the other do. */
  #isAbove({ user: other, priority }: Claim, user: string): boolean {
    const queue = this.#new[priority];
    return other !== user && queue.count(other) > queue.count(user) + 1;
  }
}
