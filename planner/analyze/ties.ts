/**
 * Which units of a level lead to which by their ties. Each pair is asked once, and paths are
 * followed from there, since joins of a hundred tables are written by programs.
 */
import type { Unit } from "./units.ts";

export class Ties {
  readonly #units: readonly Unit[];
  readonly #to = new Map<Unit, Unit[]>();
  readonly #from = new Map<Unit, Unit[]>();

  constructor(units: readonly Unit[], isTied: (from: Unit, to: Unit) => boolean) {
    this.#units = units;
    for (const unit of units) {
      this.#to.set(unit, []);
      this.#from.set(unit, []);
    }
    for (const from of units) {
      for (const to of units) {
        if (from === to || !isTied(from, to)) continue;
        this.#to.get(from)?.push(to);
        this.#from.get(to)?.push(from);
      }
    }
  }

  /** The units that all others lead to. */
  roots(): readonly Unit[] {
    const led = new Set<Unit>();
    let last: Unit | undefined;
    // If any unit is a root, the last that is taken here is one: a root is found with it at the latest.
    for (const unit of this.#units) {
      if (led.has(unit)) continue;
      last = unit;
      follow(unit, this.#from, led);
    }
    if (last === undefined || follow(last, this.#from).size < this.#units.length) return [];
    const roots = follow(last, this.#to);
    return this.#units.filter((unit) => roots.has(unit));
  }

  /** The units that this one leads to, itself included. */
  ledToBy(unit: Unit): ReadonlySet<Unit> {
    return follow(unit, this.#to);
  }
}

function follow(
  start: Unit,
  ties: ReadonlyMap<Unit, readonly Unit[]>,
  reached = new Set<Unit>(),
): ReadonlySet<Unit> {
  reached.add(start);
  const pending = [start];
  for (let unit = pending.pop(); unit !== undefined; unit = pending.pop()) {
    for (const next of ties.get(unit) ?? []) {
      if (reached.has(next)) continue;
      reached.add(next);
      pending.push(next);
    }
  }
  return reached;
}
