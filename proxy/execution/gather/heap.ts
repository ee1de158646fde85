/** A binary heap whose first item is the least: items change in place, and only the first one does. */
export class Heap<Item> {
  readonly #items: Item[];
  readonly #compare: (a: Item, b: Item) => number;

  constructor(items: readonly Item[], compare: (a: Item, b: Item) => number) {
    this.#items = items.toSorted(compare);
    this.#compare = compare;
  }

  get first(): Item | undefined {
    return this.#items[0];
  }

  /** Restores the order after the first item's rank has grown. */
  firstChanged(): void {
    const items = this.#items;
    const item = items[0];
    if (item === undefined) return;
    let hole = 0;
    for (;;) {
      let child = 2 * hole + 1;
      const left = items[child];
      if (left === undefined) break;
      let least = left;
      const right = items[child + 1];
      if (right !== undefined && this.#compare(right, left) < 0) {
        child++;
        least = right;
      }
      if (this.#compare(item, least) <= 0) break;
      items[hole] = least;
      hole = child;
    }
    items[hole] = item;
  }

  removeFirst(): void {
    const last = this.#items.pop();
    if (last === undefined || this.#items.length === 0) return;
    this.#items[0] = last;
    this.firstChanged();
  }
}
