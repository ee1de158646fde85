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

/** Who is called back: once, with what was waited for or with why there is none. */
export interface Taker<T> {
  given(value: T): void;
  refused(error: unknown): void;
}

/** One's place in a queue. */
export interface Waiting {
  /** Tells nobody. Whoever was served or refused has left. */
  leave(): void;
}

class Waiter<T> implements Claim, Waiting {
  readonly standing: Claim["standing"];
  readonly priority: Claim["priority"];
  readonly user: string;
  readonly since = performance.now();
  readonly taker: Taker<T>;
  /** While it waits. */
  queue: WaitQueue<T> | undefined;
  before: Waiter<T> | undefined;
  after: Waiter<T> | undefined;

  constructor({ standing, priority, user }: Claim, taker: Taker<T>, queue: WaitQueue<T>) {
    this.standing = standing;
    this.priority = priority;
    this.user = user;
    this.taker = taker;
    this.queue = queue;
  }

  leave(): void {
    this.queue?.leave(this);
  }
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
  #timer: NodeJS.Timeout | undefined;
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
    return new Promise<T>((resolve, reject) => {
      const aborted = (): void => {
        waiting.leave();
        reject(signal?.reason);
      };
      const settled = (): void => signal?.removeEventListener("abort", aborted);
      const waiting = this.join(claim, {
        given: (value) => {
          settled();
          resolve(value);
        },
        refused: (error) => {
          settled();
          reject(error);
        },
      });
      signal?.addEventListener("abort", aborted, { once: true });
    });
  }

  /** As `wait`, for who is called back, later. Throws where the queue is full. */
  join(claim: Claim, taker: Taker<T>): Waiting {
    if (this.#size >= this.#options.sizeMax && !this.#makeRoom(claim)) {
      this.#refused += 1;
      throw this.#options.refusal("queue full");
    }
    const waiter = new Waiter(claim, taker, this);
    this.#queueOf(waiter).add(waiter);
    this.#size += 1;
    if (this.#timer === undefined) this.#watch(waiter.since);
    return waiter;
  }

  /** For those who wait alone. */
  leave(waiter: Waiter<T>): void {
    this.#queueOf(waiter).delete(waiter);
    this.#left(waiter);
  }

  #left(waiter: Waiter<T>): void {
    waiter.queue = undefined;
    this.#size -= 1;
    this.#waitedMs += performance.now() - waiter.since;
  }

  #refuse(waiter: Waiter<T>, error: unknown): void {
    this.leave(waiter);
    waiter.taker.refused(error);
  }

  /** One timer for all: all have the same time, so who came first is the next whose time is up. */
  #watch(firstSince: number): void {
    const leftMs = firstSince + this.#options.waitMs - performance.now();
    this.#timer = setTimeout(() => this.#expire(), Math.max(1, Math.ceil(leftMs)));
    this.#timer.unref();
  }

  #expire(): void {
    this.#timer = undefined;
    const over = performance.now() - this.#options.waitMs;
    const late = this.#all.flatMap((queue) => [...queue].filter(({ since }) => since <= over));
    for (const waiter of late.toSorted((one, other) => one.since - other.since)) {
      // Who is told may have had others leave, or come.
      if (waiter.queue === undefined) continue;
      this.#timeouts += 1;
      this.#refuse(waiter, this.#options.refusal("deadline"));
    }
    const firsts = this.#all.flatMap((queue) => queue.firsts());
    if (this.#timer === undefined && firsts.length > 0)
      this.#watch(Math.min(...firsts.map(({ since }) => since)));
  }

  /** Undefined where nobody waits, or nobody privileged where only those are to be served. */
  resolveFirst(value: T, onlyPrivileged: boolean): void {
    const queues = onlyPrivileged ? [this.#holding, this.#own] : this.#all;
    for (const queue of queues) {
      const waiter = queue.shift();
      if (waiter === undefined) continue;
      this.#left(waiter);
      return waiter.taker.given(value);
    }
  }

  rejectAll(error: unknown): void {
    const waiting = this.#all.flatMap((queue) => [...queue]);
    for (const waiter of waiting) if (waiter.queue !== undefined) this.#refuse(waiter, error);
  }

  /** Those who may be refused for overload. Gives their number. */
  rejectNew(error: () => Error): number {
    const waiting = Object.values(this.#new).flatMap((queue) => [...queue]);
    for (const waiter of waiting) if (waiter.queue !== undefined) this.#refuse(waiter, error());
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
        this.#refuse(last, this.#options.refusal("queue full"));
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
