/**
 * What is the same of all executions of a plan on the direct path, worked out once: whether it may
 * take that path at all, and for each placement the text, where it runs, and how a backend has it
 * prepared. Routes are kept with their plans, for all sessions, as long as map and catalog stay.
 */
import type { DatabaseName } from "../../base/ids.ts";
import type { InsertPlan } from "../../planner/insert/insert-plan.ts";
import type { LogicalPlan, QueryPlan } from "../../planner/logical-plan.ts";
import type { BoundParameter, Fragment, PhysicalPlan } from "../../planner/physical-plan.ts";
import { PlacedPlan } from "../../planner/placed-plan.ts";
import type { RenderedSql } from "../../planner/sql-template.ts";
import type { OidTranslation } from "../execution/fragment-request.ts";
import { PreparedText } from "../execution/prepared-texts.ts";
import type { SettingsScript } from "../execution/session-settings.ts";
import { isSessionValue, mayDraw, pinReasonOf, readsViews, setsSequence } from "./plan-traits.ts";
import type { Placement } from "../../shardmap/shard-map.ts";
import type { DirectBind } from "./direct-batch.ts";
import { DirectColumns } from "./direct-columns.ts";
import type { Environment } from "./environment.ts";
import type { Topology } from "./session-services.ts";

export type DirectPlan = QueryPlan | InsertPlan;

/** One placement, and what it is asked. */
export interface DirectTarget {
  readonly database: DatabaseName;
  readonly places: readonly string[];
  readonly rendered: RenderedSql;
  readonly returnsRows: boolean;
  readonly translation: OidTranslation;
  readonly prepared: PreparedText;
  /** The Query that asks it, of one that was made of the client's bytes. */
  readonly query: Buffer | undefined;
  /** What a client is told of the columns in the simple protocol. */
  readonly columns: DirectColumns;
}

/** A plan that goes to one placement at a time. */
export interface Route {
  readonly plan: DirectPlan;
  /** The client is told a view's columns by its own text. */
  readonly readsViews: boolean;
}

/** All that a plan depends on besides its text and types. Each is replaced as a whole. */
export interface Ground {
  readonly topology: Topology;
  readonly script: SettingsScript;
  readonly environment: Environment;
}

/** A statement's route, and what it holds by. */
export interface Routed extends Ground {
  readonly route: DirectRoute;
  readonly used: () => void;
}

const ROUTES = new WeakMap<DirectPlan, DirectRoute>();

export class DirectRoute implements Route {
  readonly plan: DirectPlan;
  readonly topology: Topology;
  readonly readsViews: boolean;
  readonly #types: readonly number[];
  readonly #placed: PlacedPlan;
  readonly #targets = new WeakMap<PhysicalPlan, DirectTarget>();
  /** See PlacedPlan.integerParameter. */
  readonly #keyParameter: number | undefined;
  /** Of placements that such a key has led to. */
  readonly #byPlacement = new Map<Placement, DirectTarget>();

  /** Undefined where the plan has to go the long way. `types`: of the parameters that it was planned with. */
  static of(
    plan: LogicalPlan | undefined,
    topology: Topology,
    types: readonly number[],
  ): DirectRoute | undefined {
    const direct = directPlan(plan);
    if (direct === undefined) return undefined;
    const known = ROUTES.get(direct);
    if (known?.topology === topology) return known;
    const route = new DirectRoute(direct, topology, types);
    ROUTES.set(direct, route);
    return route;
  }

  private constructor(plan: DirectPlan, topology: Topology, types: readonly number[]) {
    this.plan = plan;
    this.topology = topology;
    this.readsViews = readsViews(plan);
    this.#types = types;
    this.#placed = new PlacedPlan(plan, topology.map);
    this.#keyParameter = this.#placed.integerParameter(types);
  }

  /** As `bind`, of a Bind: most have a key that is an integer, and no other of their values is looked at then. */
  bindBatch(message: DirectBind, types: readonly number[]): DirectTarget | undefined {
    const key = this.#keyParameter;
    const value = key === undefined ? undefined : message.smallInteger(key);
    const placement = value === undefined ? undefined : this.#placed.placementOfInteger(value);
    if (placement === undefined) return this.bind(message.parameters(types));
    const known = this.#byPlacement.get(placement);
    if (known !== undefined) return known;
    const target = this.bind(message.parameters(types));
    if (target !== undefined) this.#byPlacement.set(placement, target);
    return target;
  }

  /**
   * From one execution's values to the one placement that answers it; undefined where it is not one
   * alone. Throws SqlError where something is to be refused.
   */
  bind(parameters: readonly BoundParameter[]): DirectTarget | undefined {
    const physical = this.#placed.bind(parameters);
    const known = this.#targets.get(physical);
    if (known !== undefined) return known;
    const target = this.#targetOf(physical);
    if (target !== undefined) this.#targets.set(physical, target);
    return target;
  }

  #targetOf({
    fragments: [fragment, second],
    gather,
    pulls,
    overflow,
    returnsRows,
  }: PhysicalPlan): DirectTarget | undefined {
    const isSingle = gather.kind === "passThrough" && pulls.length === 0 && overflow === undefined;
    if (!isSingle || fragment === undefined || second !== undefined) return undefined;
    return targetOf(fragment, returnsRows, this.topology, this.#types);
  }
}

function targetOf(
  { database, placementIds: places, rendered }: Fragment,
  returnsRows: boolean,
  { catalog, translations }: Topology,
  types: readonly number[],
): DirectTarget {
  const translation = translations.of(database);
  const parameterTypes = translation.parameterTypes(types);
  const prepared = new PreparedText({ catalogEpoch: catalog.epoch, parameterTypes, rendered });
  const columns = new DirectColumns(translation, undefined, undefined, undefined);
  const query = undefined;
  return { database, places, rendered, returnsRows, translation, prepared, query, columns };
}

/** A plan that depends on the session in no way but its names, and has nothing to be drawn or to be forgotten after it. */
export function directPlan(plan: LogicalPlan | undefined): DirectPlan | undefined {
  if (plan?.kind === "insert")
    return plan.generated.length === 0 && !mayDraw(plan) ? plan : undefined;
  if (plan?.kind !== "query") return undefined;
  if (isSessionValue(plan) || pinReasonOf(plan) !== undefined) return undefined;
  return setsSequence(plan) || mayDraw(plan) ? undefined : plan;
}
