/** Binds a query's plan: its keys to placements, its LIMIT to numbers, its templates to texts. */
import { SqlError } from "../base/sql-error.ts";
import { unreachable } from "../base/invariant.ts";
import type { Colocation, Placement, ShardMap } from "../shardmap/shard-map.ts";
import { shardsInRange } from "../shardmap/shard-function/shard-of.ts";
import type { DatabaseName } from "../base/ids.ts";
import {
  comparedBound,
  placementsOfArray,
  placementsOfKeys,
  type KeyPlacements,
} from "./bind-keys.ts";
import { boundLimit } from "./bind-limit.ts";
import type { QueryPlan, Routing } from "./logical-plan.ts";
import type { BoundParameter, Fragment, PhysicalPlan } from "./physical-plan.ts";
import { refusalError } from "./refusal.ts";
import { renderTemplate } from "./sql-template.ts";

/** Where a fragment runs: a placement, or a database as a whole. */
interface Place {
  readonly database: DatabaseName;
  readonly placement: Placement | undefined;
}

export function bindQuery(
  plan: QueryPlan,
  parameters: readonly BoundParameter[],
  map: ShardMap,
): PhysicalPlan {
  const places = placesOf(plan, parameters, map);
  const isSingle = places.length === 1;
  const bounds = isSingle ? { count: undefined, offset: 0n } : boundLimit(plan.gather, parameters);
  const template = isSingle ? plan.template : (plan.scatterTemplate ?? plan.template);
  const limit = bounds.count === undefined ? undefined : bounds.count + bounds.offset;
  const fragments = places.map(({ database, placement }): Fragment => ({
    database,
    placementId: placement?.id ?? `${database}.${map.canonicalSchema}`,
    rendered: renderTemplate(template, { placement, canonicalSchema: map.canonicalSchema, limit }),
    rowIndexes: undefined,
  }));
  const { access, returnsRows } = plan;
  const gather = isSingle
    ? ({ kind: "passThrough" } as const)
    : ({ kind: "gather", gather: plan.gather, ...bounds } as const);
  return { mapVersion: map.version, access, fragments, gather, returnsRows };
}

function placesOf(
  plan: QueryPlan,
  parameters: readonly BoundParameter[],
  map: ShardMap,
): readonly Place[] {
  const { routing } = plan;
  switch (routing.kind) {
    case "home":
      return [{ database: routing.database, placement: undefined }];
    case "anyDatabase":
      return [{ database: map.catalog, placement: undefined }];
    case "everyDatabase":
      return [...map.databases.keys()].map((database) => ({ database, placement: undefined }));
    default: {
      const placements = placementsOf(routing, plan, parameters, map);
      if (placements.length > 1 && plan.scatterRefusal !== undefined)
        throw spansPlacements(plan, placements);
      return placements.map((placement) => ({ database: placement.database, placement }));
    }
  }
}

type ShardedRouting = Exclude<Routing, { kind: "home" | "anyDatabase" | "everyDatabase" }>;

/** In the order of the map; at least one, since even a statement without rows has columns or a count to tell. */
function placementsOf(
  routing: ShardedRouting,
  plan: QueryPlan,
  parameters: readonly BoundParameter[],
  map: ShardMap,
): readonly Placement[] {
  const colocation = currentColocation(routing.colocation, map);
  const found = wantedPlacements(routing, colocation, parameters, map);
  if (found === "unproven") {
    if (plan.scatterRefusal !== undefined) throw notProven(plan);
    return colocation.placements;
  }
  const placements = colocation.placements.filter((placement) => found.has(placement));
  return placements.length === 0 ? colocation.placements.slice(0, 1) : placements;
}

function wantedPlacements(
  routing: ShardedRouting,
  colocation: Colocation,
  parameters: readonly BoundParameter[],
  map: ShardMap,
): KeyPlacements {
  switch (routing.kind) {
    case "shardKeys":
      return pinnedTogether(routing, colocation, parameters, map);
    case "keyArray":
      return placementsOfArray(colocation, routing.parameter, routing.typeOid, parameters);
    case "keyRange": {
      const from = comparedBound(routing.from, colocation, parameters);
      const to = comparedBound(routing.to, colocation, parameters);
      const shards = shardsInRange(colocation.function, from, to, routing.toInclusive);
      return new Set(shards.flatMap((shard) => colocation.placementByShard[shard] ?? []));
    }
    case "noRows":
      return new Set();
    case "allShards":
      return new Set(colocation.placements);
    default:
      return unreachable(routing);
  }
}

/**
 * Tables that are pinned each by itself must lie together: in one database and schema, even
 * where they belong to different colocations.
 */
function pinnedTogether(
  routing: Extract<Routing, { kind: "shardKeys" }>,
  colocation: Colocation,
  parameters: readonly BoundParameter[],
  map: ShardMap,
): KeyPlacements {
  const placements = placementsOfKeys(colocation, routing.keys, parameters);
  if (placements === "unproven" || routing.alsoPinned.length === 0) return placements;
  const together = new Set(placements);
  for (const other of routing.alsoPinned) {
    const found = placementsOfKeys(
      currentColocation(other.colocation, map),
      other.keys,
      parameters,
    );
    if (found === "unproven") return found;
    for (const placement of found) together.add(placementBeside(placement, colocation));
  }
  return together;
}

/** The same database and schema as a placement of another colocation. */
function placementBeside(placement: Placement, colocation: Colocation): Placement {
  const beside = colocation.placements.find(
    ({ database, schema }) => database === placement.database && schema === placement.schema,
  );
  if (beside !== undefined) return beside;
  throw new SqlError(
    "statement_spans_placements",
    `the statement's tables lie in placement "${placement.id}" and in others`,
    {
      detail: `Colocation "${colocation.name}" has no placement there.`,
    },
  );
}

/** A plan outlives a move of placements; the map of this execution says where they are now. */
function currentColocation(planned: Colocation, map: ShardMap): Colocation {
  const current = map.colocations.get(planned.name);
  if (current !== undefined) return current;
  throw new SqlError(
    "shard_key_not_covered",
    `colocation "${planned.name}" is no longer in the shard map`,
  );
}

function spansPlacements(plan: QueryPlan, placements: readonly Placement[]): SqlError {
  const because = plan.scatterRefusal;
  if (plan.routing.kind === "allShards" && because !== undefined) return refusalError(because);
  const ids = placements.map(({ id }) => `"${id}"`).join(", ");
  return new SqlError(
    "statement_spans_placements",
    `the statement needs one placement, and its keys lie in ${placements.length}: ${ids}`,
    {
      detail: because === undefined ? undefined : `It cannot run on several: ${because.message}.`,
      position: because?.position,
    },
  );
}

function notProven(plan: QueryPlan): SqlError {
  const because = plan.scatterRefusal;
  return new SqlError(
    "shard_key_not_proven",
    "the statement needs one placement, and its shard key cannot be read",
    {
      detail: because === undefined ? undefined : `It cannot run on several: ${because.message}.`,
      position: because?.position,
    },
  );
}
