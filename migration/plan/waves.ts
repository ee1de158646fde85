/**
 * A change of many placements in several steps, each a map of its own: which placements go
 * together, and where each step leaves them. Pure: it knows the two maps, and writes none.
 *
 * A map is put in force whole, so a step's size bounds what is copied before rows switch, and
 * what is held back in one pause. Placements that exchange rows have to switch together.
 */
import type { Placement, ShardMap } from "../../shardmap/shard-map.ts";
import { exchanges, isSameLayout } from "./colocations.ts";
import type { Exchange } from "./colocations.ts";

/** What goes together, and of which colocation. */
export interface WavePart extends Exchange {
  readonly colocation: string;
}

export type Wave = readonly WavePart[];

/**
 * In the order of the map in force, each with up to `sizeMax` placements that rows leave; with more only where these
 * exchange rows. Whatever else differs between the maps comes with the last. At least one.
 */
export function wavesOf(before: ShardMap, next: ShardMap, sizeMax: number): readonly Wave[] {
  const waves: WavePart[][] = [[]];
  let size = 0;
  for (const part of partsOf(before, next)) {
    if (size > 0 && size + part.from.length > sizeMax) {
      waves.push([]);
      size = 0;
    }
    waves.at(-1)?.push(part);
    size += part.from.length;
  }
  return waves;
}

/** Another layout moves every row at once, so it is in no part. */
function partsOf(before: ShardMap, next: ShardMap): readonly WavePart[] {
  return [...before.colocations.values()].flatMap((old) => {
    const now = next.colocations.get(old.name);
    if (now === undefined || !isSameLayout(old, now)) return [];
    return exchanges(old, now).map((exchange) => ({ ...exchange, colocation: old.name }));
  });
}

/** Where the shards of a colocation are once `waves` are over, those that are not reached yet included. */
export function placementsAfter(
  waves: readonly Wave[],
  before: ShardMap,
  colocation: string,
): { readonly stay: readonly Placement[]; readonly come: readonly Placement[] } {
  const parts = waves.flat().filter((part) => part.colocation === colocation);
  const gone = new Set(parts.flatMap(({ from }) => from.map(({ id }) => id)));
  const placements = before.colocations.get(colocation)?.placements ?? [];
  return {
    stay: placements.filter(({ id }) => !gone.has(id)),
    come: parts.flatMap(({ to }) => to),
  };
}
