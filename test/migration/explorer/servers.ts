/** The servers of a walk, and which of them has which row. */
import type { Side } from "../../../migration/machine/life.ts";

/** Of the world's servers: even numbers are sources, odd ones targets. */
export type Server = 0 | 1 | 2 | 3;

export type Pair<T> = readonly [T, T];

/** How many there are of each. */
export interface Counts {
  readonly sources: 1 | 2;
  readonly targets: 1 | 2;
}

/**
 * Where a side has two servers, there are two rows, of which each has one: a merge has two
 * sources, a split two targets. Else all writes are of the first row.
 */
export interface Layout {
  readonly servers: Readonly<Record<Side, readonly Server[]>>;
  readonly all: readonly Server[];
  /** By row. */
  readonly places: Readonly<Record<Side, Pair<Server>>>;
  /** By row: the bits of its writes. */
  readonly bits: Pair<number>;
}

export const BYPASS_BIT = 4;

export function layoutOf({ sources, targets }: Counts): Layout {
  const servers: Layout["servers"] = {
    sources: sources === 2 ? [0, 2] : [0],
    targets: targets === 2 ? [1, 3] : [1],
  };
  return {
    servers,
    all: [...servers.sources, ...servers.targets],
    places: { sources: [0, sources === 2 ? 2 : 0], targets: [1, targets === 2 ? 3 : 1] },
    bits: sources === 2 || targets === 2 ? [1, 2 | BYPASS_BIT] : [1 | 2 | BYPASS_BIT, 0],
  };
}

/** The second client and the one that knows no proxy write the second row, where there is one. */
export function rowOf({ bits }: Layout, bit: number): 0 | 1 {
  return (bits[0] & bit) === 0 ? 1 : 0;
}

/** Bits of the rows that are at home in a server. */
export function bitsAt({ places, bits }: Layout, server: Server): number {
  const has = (row: 0 | 1): boolean =>
    places.sources[row] === server || places.targets[row] === server;
  return (has(0) ? bits[0] : 0) | (has(1) ? bits[1] : 0);
}

/** Where a client of the source writes that knows no proxy. */
export function bypassedServer(layout: Layout): Server {
  return layout.places.sources[rowOf(layout, BYPASS_BIT)];
}

export function otherSide(side: Side): Side {
  return side === "sources" ? "targets" : "sources";
}

export function serverName(server: Server): string {
  return (["source", "target", "second source", "second target"] as const)[server];
}
