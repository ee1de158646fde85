/**
 * What the bank's clients were promised. Each transfer has an id that is written on both of its
 * sides, so what the databases hold can be compared with what every client was told.
 */

/** How a client knows that its transfer ended; `unknown` is a lost COMMIT answer, or 08007. */
export type Outcome = "acknowledged" | "rolled back" | "unknown";

export interface Transfer {
  readonly id: string;
  readonly from: number;
  readonly to: number;
  readonly amount: number;
}

/** A side of a transfer as a database has it. */
export interface Side {
  readonly id: string;
  readonly account: number;
  readonly delta: number;
}

export class Ledger {
  readonly #transfers = new Map<string, Transfer & { readonly outcome: Outcome }>();
  /** What must never happen, as sentences. */
  readonly faults: string[] = [];
  /** SQLSTATEs that clients were told, and how often. */
  readonly errors = new Map<string, number>();
  acknowledged = 0;

  note(transfer: Transfer, outcome: Outcome): void {
    if (outcome === "acknowledged") this.acknowledged += 1;
    this.#transfers.set(transfer.id, { ...transfer, outcome });
  }

  noteError(code: string): void {
    this.errors.set(code, (this.errors.get(code) ?? 0) + 1);
  }

  count(outcome: Outcome): number {
    return [...this.#transfers.values()].filter((transfer) => transfer.outcome === outcome).length;
  }

  /** Transfers whose client knows nothing, and which are there. */
  unknownAmong(sides: readonly Side[]): number {
    const there = new Set(sides.map(({ id }) => id));
    return [...this.#transfers.values()].filter(
      ({ id, outcome }) => outcome === "unknown" && there.has(id),
    ).length;
  }

  /** What is wrong with the sides found, all databases' together. */
  differencesFrom(sides: readonly Side[]): readonly string[] {
    const found = Map.groupBy(sides, ({ id }) => id);
    const differences: string[] = [];
    for (const id of found.keys())
      if (!this.#transfers.has(id)) differences.push(`transfer ${id} was never made`);
    for (const transfer of this.#transfers.values()) {
      const difference = differenceOf(transfer, found.get(transfer.id) ?? []);
      if (difference !== undefined) differences.push(difference);
    }
    return differences;
  }
}

function differenceOf(
  { id, from, to, amount, outcome }: Transfer & { readonly outcome: Outcome },
  sides: readonly Side[],
): string | undefined {
  const name = `transfer ${id} from ${from} to ${to} (${outcome})`;
  if (sides.length === 0)
    return outcome === "acknowledged" ? `${name} is on neither side` : undefined;
  const expected = [`${from}:${-amount}`, `${to}:${amount}`].toSorted();
  const actual = sides.map(({ account, delta }) => `${account}:${delta}`).toSorted();
  if (actual.join() !== expected.join()) return `${name} is there in part: ${actual.join()}`;
  return outcome === "rolled back" ? `${name} is there` : undefined;
}
