/**
 * What the parts of an orchestrator share of one migration: its plan, its databases with their
 * addresses, and the moves there and back with the names of what they make.
 */
import { invariant } from "../../base/invariant.ts";
import type { DatabaseName } from "../../base/ids.ts";
import { MOVE_CONNECT_TIMEOUT_MS } from "../../base/limits.ts";
import type { ControlDatabase } from "../../control/control-database.ts";
import type { BackendConnection } from "../../proxy/backend/backend-connection.ts";
import type { Fence } from "../fence.ts";
import type { Direction, Side } from "../machine/life.ts";
import type { PlannedMove, TargetPlacement } from "../move.ts";
import { isCopied, placementId, placementsOf, tableName } from "../move.ts";
import type { StoredPlan } from "../plan/plan-document.ts";
import { reverseMoves } from "../reverse-move.ts";
import { openTarget } from "../sessions.ts";
import type { KeptSessions } from "./kept-sessions.ts";
import type { MoveDatabase } from "../sessions.ts";

export interface Scene {
  readonly plan: StoredPlan;
  /** Of the orchestrator that acts. */
  readonly epoch: bigint;
  readonly control: ControlDatabase;
  /** Every database of the plan, by its name. */
  readonly databases: ReadonlyMap<DatabaseName, MoveDatabase>;
  /** Where the canonical tables are, which catalog queries read. */
  readonly canonical: TargetPlacement;
  /** Tables that every database has: a foreign key to one is kept. */
  readonly referenceTables: ReadonlySet<string>;
  /** `cluster's identifier/database's OID`, as a published map names it. */
  readonly identify: (database: MoveDatabase) => Promise<string>;
  readonly kept: KeptSessions;
}

/** Where sessions can be opened, or are kept from one step to the next. */
type Reachable = Pick<Scene, "databases"> & Partial<Pick<Scene, "kept">>;

/** Those of the way there, or of the way back: each with a stream of its own. */
export function movesOf(
  { plan }: Pick<Scene, "plan">,
  direction: Direction,
): readonly PlannedMove[] {
  return direction === "forward" ? plan.moves : plan.moves.flatMap(reverseMoves);
}

export function databaseOf(
  { databases }: Pick<Scene, "databases">,
  name: DatabaseName,
): MoveDatabase {
  const database = databases.get(name);
  invariant(database !== undefined, "every database of a migration has an address");
  return database;
}

/** Placements that rows leave, and those that they come to. */
export function placementIdsOf({ plan }: Pick<Scene, "plan">): readonly string[] {
  const ids = plan.moves.flatMap(({ source, tables }) =>
    tables.flatMap(({ schema, destination }) => [
      placementId({ database: source, schema }),
      ...placementsOf(destination).map(placementId),
    ]),
  );
  return [...new Set(ids)].toSorted();
}

/** What is fenced of one side, by database: of the sources only what leaves them. */
export function fencesOf(
  { plan }: Pick<Scene, "plan">,
  side: Side,
): readonly (readonly [DatabaseName, Fence])[] {
  const tables = plan.moves.flatMap((move) =>
    move.tables.flatMap((table) =>
      side === "sources"
        ? [{ database: move.source, table, isFenced: !isCopied(table) }]
        : placementsOf(table.destination).map(({ database, schema }) => ({
            database,
            table: { schema, name: table.name },
            isFenced: true,
          })),
    ),
  );
  return [...Map.groupBy(tables, ({ database }) => database)].map(([database, all]) => {
    const fenced = all.filter(({ isFenced }) => isFenced).map(({ table }) => table);
    const byName = new Map(fenced.map((table) => [tableName(table), table]));
    return [database, { migration: plan.name, side, tables: [...byName.values()] }];
  });
}

/**
 * What the sources keep and targets get copies of. Nobody may write to it while copies are
 * brought to the very same rows, and everybody again afterwards, whichever way that went.
 */
export function copiedFencesOf({
  plan,
}: Pick<Scene, "plan">): readonly (readonly [DatabaseName, Fence])[] {
  return plan.moves.flatMap(({ source, tables }) => {
    const copied = tables.filter(isCopied);
    return copied.length === 0
      ? []
      : [[source, { migration: plan.name, side: "copied", tables: copied }] as const];
  });
}

/** Sessions by database, as a replica's, closed at the end of the scope. */
export class Sessions implements Disposable {
  readonly #scene: Reachable;
  readonly #signal: AbortSignal;
  readonly #open = new Map<DatabaseName, BackendConnection>();

  constructor(scene: Reachable, signal: AbortSignal) {
    this.#scene = scene;
    this.#signal = AbortSignal.any([signal]);
    this.#signal.addEventListener("abort", this.#end, { once: true });
  }

  async to(name: DatabaseName): Promise<BackendConnection> {
    const known = this.#open.get(name);
    if (known !== undefined) return known;
    const kept = this.#scene.kept?.take(name);
    if (kept !== undefined) {
      this.#open.set(name, kept);
      return kept;
    }
    const deadline = AbortSignal.timeout(MOVE_CONNECT_TIMEOUT_MS);
    const opened = await openTarget(
      databaseOf(this.#scene, name),
      AbortSignal.any([this.#signal, deadline]),
    );
    this.#open.set(name, opened);
    if (this.#signal.aborted) this.#end();
    this.#signal.throwIfAborted();
    return opened;
  }

  /** What waits for a lock is not waited for any more. */
  readonly #end = (): void => {
    for (const connection of this.#open.values()) connection.destroy();
  };

  [Symbol.dispose](): void {
    this.#signal.removeEventListener("abort", this.#end);
    const { kept } = this.#scene;
    for (const [name, connection] of this.#open)
      if (kept === undefined) connection.close();
      else kept.giveBack(name, connection);
  }
}
