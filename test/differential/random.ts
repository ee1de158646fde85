/**
 * A small seeded generator of pseudo-random numbers (sfc32): the same seed gives the same
 * statements on every machine, so a difference can be replayed.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number) {
    this.#a = 0x9e3779b9;
    this.#b = 0x243f6a88;
    this.#c = seed >>> 0;
    for (let round = 0; round < 15; round++) this.next();
  }

  /** 32 bits, unsigned. */
  next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }

  /** From `least` to `most`, both included. */
  integer(least: number, most: number): number {
    return least + (this.next() % (most - least + 1));
  }

  /** True in `percent` of 100 cases. */
  chance(percent: number): boolean {
    return this.next() % 1000 < percent * 10;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.next() % choices.length] as T;
  }

  /** Undefined where there is nothing to pick from. */
  pickIfAny<T>(choices: readonly T[]): T | undefined {
    return choices.length === 0 ? undefined : this.pick(choices);
  }

  /** Some of the choices in their order, at least one. */
  some<T>(choices: readonly T[], mostly = 50): T[] {
    const taken = choices.filter(() => this.chance(mostly));
    return taken.length > 0 ? taken : [this.pick(choices)];
  }

  shuffle<T>(choices: readonly T[]): T[] {
    const shuffled = [...choices];
    for (let index = shuffled.length - 1; index > 0; index--) {
      const other = this.integer(0, index);
      [shuffled[index], shuffled[other]] = [shuffled[other] as T, shuffled[index] as T];
    }
    return shuffled;
  }

  /** One of the choices, each as often as its weight says. */
  weighted<T>(choices: readonly (readonly [number, T])[]): T {
    let rest = this.next() % choices.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, choice] of choices) {
      if (rest < weight) return choice;
      rest -= weight;
    }
    return (choices[0] as readonly [number, T])[1];
  }
}
