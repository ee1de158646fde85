/**
 * Binds statements: from a plan and its values to where it runs. The one door that each of them
 * passes before it takes a backend, and so the place where it waits while a placement of its
 * own is held back. After a wait it is bound anew; where the map is another one by then, it has
 * to be planned anew, which is for those to do who planned it (stale-plans.ts).
 */
import { SqlError } from "../../base/sql-error.ts";
import { bindCopy } from "../../planner/bind-copy.ts";
import type { BoundCopy } from "../../planner/bind-copy.ts";
import type { CopyInPlan } from "../../planner/copy/copy-plan.ts";
import type { DdlPlan, QueryPlan } from "../../planner/logical-plan.ts";
import type { InsertPlan } from "../../planner/insert/insert-plan.ts";
import { bindPlan } from "../../planner/physical-plan.ts";
import type { BoundParameter, PhysicalPlan } from "../../planner/physical-plan.ts";
import type { PlanContext } from "../../planner/plan-context.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import type { FragmentProtocol } from "../execution/fragment-request.ts";
import { wholeDatabase } from "../execution/placement-use.ts";
import type { PlacementUse } from "../execution/placement-use.ts";
import { isOfOneSnapshot } from "../execution/transaction-modes.ts";
import { drawValues } from "./generated-values.ts";
import type { ValuesWanted } from "./generated-values.ts";
import { bytesOf, placesOf } from "./plan-traits.ts";
import type { SequenceValues } from "./sequence-values.ts";
import type { SessionServices } from "./session-services.ts";
import type { SessionTransaction } from "./session-transaction.ts";
import type { SessionView } from "./session-view.ts";

export interface BindingParts {
  readonly services: SessionServices;
  readonly transaction: SessionTransaction;
  readonly view: SessionView;
  readonly sequenceValues: SequenceValues;
}

/** A statement, as far as waiting is concerned. */
interface Entering<Bound> {
  /** Throws where its values fit no placement. */
  readonly bind: (map: ShardMap) => Bound;
  readonly placesOf: (bound: Bound) => readonly string[];
  readonly bytesOf: (bound: Bound) => number;
}

export class StatementBinding {
  readonly #parts: BindingParts;
  readonly use: PlacementUse;
  /** Statements, or parts of one, that may have begun. */
  #enteredCount = 0;

  constructor(parts: BindingParts) {
    this.#parts = parts;
    this.use = parts.services.holds.newUse();
    parts.transaction.afterEnd = () => this.use.clear();
  }

  get enteredCount(): number {
    return this.#enteredCount;
  }

  async bind(
    plan: QueryPlan | InsertPlan,
    protocol: FragmentProtocol,
    signal: AbortSignal,
  ): Promise<PhysicalPlan> {
    const parameters: readonly BoundParameter[] =
      protocol.kind === "extended" ? protocol.parameters : [];
    const draws =
      plan.kind === "insert"
        ? await this.draw({ generated: plan.generated, count: plan.rows.length }, signal)
        : [];
    return this.#enter(
      {
        bind: (map) => bindPlan(this.#underSnapshot(plan, map), parameters, map, draws),
        placesOf,
        bytesOf: (physical) => bytesOf(physical, parameters),
      },
      signal,
    );
  }

  /** Any database answers a reference table's reader alike, but for a transaction that has its snapshot of one. */
  #underSnapshot<Plan extends QueryPlan | InsertPlan>(plan: Plan, map: ShardMap): Plan {
    const database = this.#parts.transaction.current?.transaction.snapshotDatabase;
    if (plan.kind !== "query" || plan.routing.kind !== "anyDatabase" || database === undefined)
      return plan;
    if (!map.databases.has(database)) return plan;
    return { ...plan, routing: { kind: "home", database, because: "reference table" } };
  }

  bindCopy(plan: CopyInPlan, signal: AbortSignal): Promise<BoundCopy> {
    return this.#enter(
      {
        bind: (map) => bindCopy(plan, map),
        placesOf: ({ places }) => places.map(({ placementId }) => placementId),
        // Its data is still the client's.
        bytesOf: ({ places }) => places.reduce((sum, { rendered }) => sum + rendered.sql.length, 0),
      },
      signal,
    );
  }

  /** Whatever it is about: a table's definition is every placement's. */
  async enterDdl({ steps }: DdlPlan, signal: AbortSignal): Promise<void> {
    const places = [...new Set(steps.map(({ database }) => wholeDatabase(database)))];
    const bytes = steps.reduce((sum, { sql }) => sum + sql.length, 0);
    await this.#enter({ bind: () => places, placesOf: (all) => all, bytesOf: () => bytes }, signal);
  }

  async #enter<Bound>(statement: Entering<Bound>, signal: AbortSignal): Promise<Bound> {
    const { services, transaction, view } = this.#parts;
    const { topology, holds } = services;
    let sinceMs: number | undefined;
    for (;;) {
      const { map } = topology();
      if (view.plannedMap !== map) throw mapChanged();
      const bound = statement.bind(map);
      const places = statement.placesOf(bound);
      // Without a pause since it was bound, so that no hold, and no other map, comes in between.
      if (this.use.enter(places, transaction.current !== undefined)) {
        this.#enteredCount += 1;
        return bound;
      }
      sinceMs ??= holds.nowMs;
      await holds.wait({ places, bytes: statement.bytesOf(bound), sinceMs }, this.use, signal);
      if (topology().map !== map) this.#refuseOldSnapshot();
    }
  }

  #refuseOldSnapshot(): void {
    const open = this.#parts.transaction.current?.transaction;
    if (open === undefined || open.participants.length === 0) return;
    if (!isOfOneSnapshot(open.modes.isolation)) return;
    throw new SqlError(
      "snapshot_before_map_change",
      "could not serialize access: the shard map changed while the transaction was held back",
    );
  }

  /** For what is planned while a statement runs: with the map that the statement itself was planned with. */
  async planContext(types: readonly number[], signal: AbortSignal): Promise<PlanContext> {
    const { view } = this.#parts;
    const { plannedMap } = view;
    const context = await view.planContext(types, signal);
    if (context.map !== plannedMap) throw mapChanged();
    return context;
  }

  /** For each row, the values of the columns that the proxy fills. */
  async draw(wanted: ValuesWanted, signal: AbortSignal): Promise<readonly (readonly string[])[]> {
    const { services, transaction, view, sequenceValues } = this.#parts;
    const seesOwn = transaction.current?.changesCatalog === true;
    const drawn = await drawValues(wanted, services, view.sequences(seesOwn, signal));
    sequenceValues.drawnRows(wanted.generated, drawn);
    return drawn;
  }
}

function mapChanged(): SqlError {
  return new SqlError("map_changed", "the shard map changed after the statement was planned");
}
