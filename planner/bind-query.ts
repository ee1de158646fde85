/** Binds a query's plan: its keys to placements, its LIMIT to numbers, its templates to texts. */
import { SqlError } from "../base/sql-error.ts";
import { invariant, InvariantViolation, unreachable } from "../base/invariant.ts";
import { PLAIN_SPELLING } from "../shardmap/shard-key.ts";
import type { Colocation, Placement, ShardMap } from "../shardmap/shard-map.ts";
import { shardsInRange } from "../shardmap/shard-function/shard-of.ts";
import {
  comparedBound,
  placementsOfArray,
  placementsOfKeys,
  type KeyPlacements,
} from "./bind-keys.ts";
import { bindFragments, fragmentAt, type Place } from "./bind-fragments.ts";
import { boundLimit } from "./bind-limit.ts";
import type { BoundLimit } from "./bind-limit.ts";
import type {
  DatabaseGather,
  QueryPlan,
  Routing,
  Several,
  StreamedGather,
} from "./logical-plan.ts";
import type {
  BoundParameter,
  BoundPull,
  Fragment,
  PhysicalPlan,
  SnapshotNeed,
} from "./physical-plan.ts";
import { refusalError } from "./refusal.ts";
import type { Shift, SqlTemplate } from "./sql-template.ts";

export function bindQuery(
  plan: QueryPlan,
  parameters: readonly BoundParameter[],
  map: ShardMap,
): PhysicalPlan {
  const binding = { parameters, map };
  // What several placements need may still have to be made, so the keys are looked at first.
  const places = keyedPlaces(plan.routing, binding) ?? unkeyedPlaces(plan, binding);
  if (places?.length === 1) {
    const single = bindStreamed(plan, plan.template, PASSED, places, binding);
    return { ...single, snapshot: snapshotNeed(plan) };
  }
  const { gather, scatterTemplate: template = plan.template, overflowGather } = plan.several;
  const physical =
    gather.kind === "database"
      ? bindDatabaseGather(plan, gather, binding)
      : bindStreamed(plan, template, gather, places ?? [], binding);
  return overflowGather === undefined
    ? physical
    : { ...physical, overflow: bindDatabaseGather(plan, overflowGather, binding) };
}

interface Binding {
  readonly parameters: readonly BoundParameter[];
  readonly map: ShardMap;
}

/** What one placement answers is the client's answer. */
const PASSED = { kind: "passThrough" } as const;

type RowsWanted = Pick<QueryPlan, "access" | "returnsRows">;

function bindStreamed(
  { access, returnsRows }: RowsWanted,
  template: SqlTemplate,
  gather: StreamedGather | typeof PASSED,
  places: readonly Place[],
  { parameters, map }: Binding,
): PhysicalPlan {
  const bounds =
    gather.kind === "passThrough"
      ? { count: undefined, offset: 0n }
      : boundLimit(gather, parameters);
  const limit = rowsWanted(bounds);
  const fragments = bindFragments(places, { access, template, gather, limit }, map);
  const isUnread = gather.kind === "aggregate" && !gather.isCutByPlacements && bounds.count === 0n;
  return {
    mapVersion: map.version,
    access,
    returnsRows,
    fragments: isUnread ? fragments.map(withoutRows) : fragments,
    gather: gather.kind === "passThrough" ? gather : { kind: "gather", gather, ...bounds },
    pulls: [],
    usesOwnTables: false,
    snapshot: "own",
    overflow: undefined,
  };
}

/** What writes without naming a table calls a function that may reach some: a large object is a row. */
function snapshotNeed({ rule, routing, access }: QueryPlan): SnapshotNeed {
  if (rule === "showSetting" || rule === "notify") return "none";
  if (routing.kind !== "home") return "own";
  const { because } = routing;
  if (because === "no table") return access === "read" ? "any" : "own";
  return because === "session" || because === "session value" ? "any" : "own";
}

/** Of each placement. LIMIT 0 wants none, whatever its OFFSET: PostgreSQL evaluates nothing, so that no row can fail. */
function rowsWanted({ count, offset }: BoundLimit): bigint | undefined {
  if (count === undefined || count === 0n) return count;
  return count + offset;
}

/** As LIMIT 0 does it, for partial groups, which have no LIMIT of their own. */
function withoutRows(fragment: Fragment): Fragment {
  const { rendered } = fragment;
  const end: Shift = { at: rendered.sql.length, by: undefined };
  return {
    ...fragment,
    rendered: {
      ...rendered,
      sql: `${rendered.sql}\nLIMIT 0`,
      shifts: [...rendered.shifts, end],
    },
  };
}

/** The one placement of the statement's keys; undefined where they lie in several, or cannot be proven to lie in one. */
function keyedPlaces(routing: Routing, binding: Binding): readonly Place[] | undefined {
  if (routing.kind !== "shardKeys") return undefined;
  const colocation = currentColocation(routing.colocation, binding.map);
  const found = pinnedTogether(routing, colocation, binding);
  if (found === "unproven" || "apart" in found || found.size > 1) return undefined;
  const [placement = colocation.placements[0]] = found;
  return placement && [{ database: placement.database, placement }];
}

function unkeyedPlaces(plan: QueryPlan, binding: Binding): readonly Place[] | undefined {
  const { gather, scatterRefusal } = plan.several;
  return gather.kind === "database"
    ? settledPlaces(plan, gather, binding)
    : placesOf({ routing: plan.routing, scatterRefusal }, binding);
}

/** The one place where all rows of the statement are, so that nothing needs gathering; undefined where there are several. */
function settledPlaces(
  plan: QueryPlan,
  gather: DatabaseGather,
  binding: Binding,
): readonly Place[] | undefined {
  // The session's own tables are in no placement.
  if (gather.own !== "none") return undefined;
  const pinned = pinnedPlaces(plan.routing, binding);
  if (pinned?.length === 1) return pinned;
  const [first, ...others] = gather.pulls.flatMap(({ routing }) =>
    placesOf({ routing, scatterRefusal: undefined }, binding),
  );
  if (first?.placement === undefined) return undefined;
  const isOne = others.every(({ placement }) => placement?.id === first.placement?.id);
  return isOne ? [first] : undefined;
}

/** Where the statement's own routing sends it; undefined where its pins do not tell. */
function pinnedPlaces(routing: Routing, binding: Binding): readonly Place[] | undefined {
  if (routing.kind === "byPulls") return undefined;
  if (routing.kind === "shardKeys" && routing.alsoPinned.length > 0) {
    const colocation = currentColocation(routing.colocation, binding.map);
    const found = pinnedTogether(routing, colocation, binding);
    // The places of the first colocation say nothing of where the others' rows are.
    if (found === "unproven" || "apart" in found) return undefined;
  }
  return placesOf({ routing, scatterRefusal: undefined }, binding);
}

function bindDatabaseGather(
  plan: RowsWanted,
  { pulls, finish, own }: DatabaseGather,
  binding: Binding,
): PhysicalPlan {
  const { map } = binding;
  const home: Place = { database: map.catalog, placement: undefined };
  const bound = pulls.map((pull): BoundPull => {
    const places = placesOf({ routing: pull.routing, scatterRefusal: undefined }, binding);
    // Partial groups of one placement, too, must be put together: their columns are not the table's.
    const isPlain = places.length === 1 && pull.gather.kind === "concat";
    const gather = isPlain ? PASSED : pull.gather;
    const physical = bindStreamed(plan, pull.template, gather, places, binding);
    invariant(physical.gather.kind !== "insertOrder", "rows are pulled by a SELECT");
    return {
      table: pull.table,
      columns: pull.columns,
      shape: fragmentAt(home, pull.shape, undefined, map).rendered,
      fragments: physical.fragments,
      gather: physical.gather,
      primaryKey: pull.primaryKey,
    };
  });
  const finished = bindStreamed(plan, finish, PASSED, [home], binding);
  return { ...finished, pulls: bound, usesOwnTables: own !== "none" };
}

type Routed = Pick<QueryPlan, "routing"> & Pick<Several, "scatterRefusal">;

function placesOf(plan: Routed, binding: Binding): readonly Place[] {
  const { map } = binding;
  const { routing } = plan;
  switch (routing.kind) {
    case "home":
      return [{ database: routing.database, placement: undefined }];
    case "anyDatabase":
      return [{ database: map.catalog, placement: undefined }];
    case "everyDatabase":
      return [...map.databases.keys()].map((database) => ({ database, placement: undefined }));
    case "byPulls":
      throw new InvariantViolation("a statement that only its pulls route has no place of its own");
    default: {
      const placements = placementsOf(routing, plan, binding);
      if (placements.length > 1 && plan.scatterRefusal !== undefined)
        throw spansPlacements(plan, placements);
      return placements.map((placement) => ({ database: placement.database, placement }));
    }
  }
}

type ShardedRouting = Exclude<
  Routing,
  { kind: "home" | "anyDatabase" | "everyDatabase" | "byPulls" }
>;

/** In the order of the map; at least one, since even a statement without rows has columns or a count to tell. */
function placementsOf(
  routing: ShardedRouting,
  plan: Routed,
  binding: Binding,
): readonly Placement[] {
  const colocation = currentColocation(routing.colocation, binding.map);
  const found = wantedPlacements(routing, colocation, binding);
  if (found === "unproven") {
    if (plan.scatterRefusal !== undefined) throw notProven(plan, colocation);
    return colocation.placements;
  }
  const placements = colocation.placements.filter((placement) => found.has(placement));
  return placements.length === 0 ? colocation.placements.slice(0, 1) : placements;
}

function wantedPlacements(
  routing: ShardedRouting,
  colocation: Colocation,
  binding: Binding,
): KeyPlacements {
  const { parameters } = binding;
  switch (routing.kind) {
    case "shardKeys": {
      const found = pinnedTogether(routing, colocation, binding);
      if (found !== "unproven" && "apart" in found) throw liesApart(found.apart, colocation);
      return found;
    }
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
  { parameters, map }: Binding,
): KeyPlacements | Apart {
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
    for (const placement of found) {
      const beside = placementBeside(placement, colocation);
      if (beside === undefined) return { apart: placement };
      together.add(beside);
    }
  }
  return together;
}

/** A placement that has none of the first colocation beside it. */
interface Apart {
  readonly apart: Placement;
}

/** The same database and schema as a placement of another colocation. */
function placementBeside(placement: Placement, colocation: Colocation): Placement | undefined {
  return colocation.placements.find(
    ({ database, schema }) => database === placement.database && schema === placement.schema,
  );
}

function liesApart(placement: Placement, colocation: Colocation): SqlError {
  return new SqlError(
    "statement_spans_placements",
    `the statement's tables lie in placement "${placement.id}" and in others`,
    { detail: `Colocation "${colocation.name}" has no placement there.` },
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

function spansPlacements(plan: Routed, placements: readonly Placement[]): SqlError {
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

function notProven(plan: Routed, { keyTypes }: Colocation): SqlError {
  const because = plan.scatterRefusal;
  const spellings = new Set(keyTypes.map((type) => PLAIN_SPELLING[type]));
  return new SqlError(
    "shard_key_not_proven",
    "the statement needs one placement, and its shard key cannot be read",
    {
      detail: because === undefined ? undefined : `It cannot run on several: ${because.message}.`,
      hint: ["Give the key as a literal or parameter of its own type.", ...spellings].join(" "),
      position: because?.position,
    },
  );
}
