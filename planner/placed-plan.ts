/**
 * A plan whose placement its values tell one by one: `... WHERE id = $1`, or an INSERT of one row.
 * What it is bound to is the same for all values that lie in one placement, so it is bound once for
 * each placement, and kept. `bindPlan` decides everything else, and words every error.
 */
import type { KeyValue } from "../shardmap/shard-key.ts";
import type { Colocation, Placement, ShardMap } from "../shardmap/shard-map.ts";
import { KEY_TYPE_OIDS } from "../shardmap/shard-key.ts";
import { assignedValue, comparedValue, placementOf, placementOfInteger } from "./bind-keys.ts";
import type { InsertPlan } from "./insert/insert-plan.ts";
import type { KeyTuple, QueryPlan } from "./logical-plan.ts";
import { bindPlan } from "./physical-plan.ts";
import type { BoundParameter, PhysicalPlan } from "./physical-plan.ts";

const PLAIN_INTEGERS: ReadonlySet<number> = new Set([KEY_TYPE_OIDS.integer, KEY_TYPE_OIDS.bigint]);

/** The one key of a plan; undefined where there are several, or none. */
interface OneKey {
  readonly colocation: Colocation;
  readonly tuple: KeyTuple;
}

export class PlacedPlan {
  readonly #plan: QueryPlan | InsertPlan;
  readonly #map: ShardMap;
  readonly #key: OneKey | undefined;
  readonly #bound = new Map<Placement, PhysicalPlan>();
  /** Of a plan that no value places. */
  #fixed: PhysicalPlan | undefined;

  /** Of this map alone: another needs another. An INSERT has nothing to be drawn. */
  constructor(plan: QueryPlan | InsertPlan, map: ShardMap) {
    this.#plan = plan;
    this.#map = map;
    this.#key = plan.kind === "insert" ? keyOfRow(plan, map) : keyOfQuery(plan, map);
  }

  /**
   * Which parameter is the key, counted from 0, where its values are read as integers that the key's type
   * has all of: as an int4 or int8, by `types`. Undefined where none is.
   */
  integerParameter(types: readonly number[]): number | undefined {
    const [type, ...others] = this.#key?.colocation.keyTypes ?? [];
    const [term] = this.#key?.tuple ?? [];
    const column = this.#plan.kind === "insert" ? this.#plan.keyColumns[0] : undefined;
    const isOne = others.length === 0 && (column === undefined || column.type === type);
    if (!isOne || (type !== "integer" && type !== "bigint") || term?.kind !== "parameter")
      return undefined;
    const typeOid = types[term.number - 1] ?? 0;
    return PLAIN_INTEGERS.has(typeOid) ? term.number - 1 : undefined;
  }

  /** The one that has the key of this value, which is inside of int4. Throws as `bind`. */
  placementOfInteger(value: number): Placement | undefined {
    return this.#key && placementOfInteger(this.#key.colocation, value);
  }

  /** As `bindPlan`, of which it is the result; the same object for the same placement. */
  bind(parameters: readonly BoundParameter[]): PhysicalPlan {
    if (this.#fixed !== undefined) return this.#fixed;
    const placement = this.#placementOf(parameters);
    const known = placement && this.#bound.get(placement);
    if (known !== undefined) return known;
    const physical = bindPlan(this.#plan, parameters, this.#map, []);
    if (placement !== undefined) this.#bound.set(placement, physical);
    else if (isFixed(this.#plan)) this.#fixed = physical;
    return physical;
  }

  /** Undefined where the values do not tell one. Throws as `bindPlan` does for a key that nothing covers. */
  #placementOf(parameters: readonly BoundParameter[]): Placement | undefined {
    if (this.#key === undefined) return undefined;
    const { colocation, tuple } = this.#key;
    const plan = this.#plan;
    const key: KeyValue[] = [];
    for (const [index, term] of tuple.entries()) {
      const type = colocation.keyTypes[index];
      const column = plan.kind === "insert" ? plan.keyColumns[index] : undefined;
      if (type === undefined) return undefined;
      const value =
        column === undefined
          ? comparedValue(term, type, parameters)
          : assignedValue(term, column, parameters, []);
      if (typeof value !== "object") return undefined;
      key.push(value);
    }
    return placementOf(colocation, key);
  }
}

/** Neither values nor what it gathers choose among databases. */
function isFixed(plan: QueryPlan | InsertPlan): boolean {
  return (
    plan.kind === "query" && plan.routing.kind === "home" && plan.several.gather.kind !== "database"
  );
}

function keyOfQuery({ routing }: QueryPlan, map: ShardMap): OneKey | undefined {
  if (routing.kind !== "shardKeys") return undefined;
  const [tuple, another] = routing.keys;
  if (tuple === undefined || another !== undefined || routing.alsoPinned.length > 0)
    return undefined;
  return oneKey(routing.colocation.name, tuple, map);
}

function keyOfRow({ table, rows }: InsertPlan, map: ShardMap): OneKey | undefined {
  const [row, another] = rows;
  if (table.kind !== "sharded" || row === undefined || another !== undefined) return undefined;
  return oneKey(table.colocation.name, row.key, map);
}

/** A plan outlives a move of placements: where they are now, the map says. */
function oneKey(name: string, tuple: KeyTuple, map: ShardMap): OneKey | undefined {
  const colocation = map.colocations.get(name);
  const isWhole = tuple.length > 0 && tuple.length === colocation?.keyTypes.length;
  return isWhole ? { colocation, tuple } : undefined;
}
