/**
 * One process's part in one migration: takes the lock, claims the row, and runs it. Where the
 * control schema cannot be reached it lets go of everything and begins anew when it can.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { DatabaseName } from "../../base/ids.ts";
import { MIGRATION_RETRY_MS } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import { ControlDatabase } from "../../control/control-database.ts";
import { publishedMapOf } from "../../control/map-versions.ts";
import { readMigration } from "../../control/migration-store.ts";
import { OrchestratorLock } from "../../control/orchestrator-lock.ts";
import { BackendError } from "../../proxy/backend/backend-connection.ts";
import type { BackendAddress } from "../../proxy/backend/backend-address.ts";
import { parseShardMap } from "../../shardmap/schema.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import { step } from "../machine.ts";
import type { Migration } from "../machine/life.ts";
import { decodePlan } from "../plan/plan-document.ts";
import type { StoredPlan } from "../plan/plan-document.ts";
import type { MoveDatabase } from "../sessions.ts";
import { failureOf } from "./failures.ts";
import { KeptSessions } from "./kept-sessions.ts";
import { Orchestration } from "./orchestrator.ts";
import type { Ending, Report } from "./orchestrator.ts";
import type { Scene } from "./scene.ts";
import { storeStep } from "./transition.ts";
import type { MigrationRow } from "./transition.ts";

export interface RunOptions {
  readonly migration: string;
  /** Of the control schema. */
  readonly control: BackendAddress;
  /** The addresses of a map's databases. */
  readonly addressesOf: (map: ShardMap) => ReadonlyMap<DatabaseName, BackendAddress>;
  /** See Scene. */
  readonly identify: Scene["identify"];
  readonly report: Report;
}

/** `busy`: another process that lives runs it. Rejects with the signal's reason. */
export async function runMigration(
  options: RunOptions,
  signal: AbortSignal,
): Promise<Ending | { readonly kind: "busy" }> {
  for (;;) {
    signal.throwIfAborted();
    try {
      using lock = await OrchestratorLock.tryAcquire(options.control, options.migration);
      if (lock === undefined) return { kind: "busy" };
      return await claimed(options, AbortSignal.any([signal, lock.lost]));
    } catch (error) {
      signal.throwIfAborted();
      if (!isPassing(error)) throw error;
      const because = failureOf(error);
      options.report({ migration: options.migration, state: "waiting", because: because.detail });
    }
    await sleep(MIGRATION_RETRY_MS, undefined, { signal });
  }
}

function isPassing(error: unknown): boolean {
  if (!(error instanceof SqlError) && !(error instanceof BackendError)) return false;
  return failureOf(error).kind === "away";
}

async function claimed(options: RunOptions, signal: AbortSignal): Promise<Ending> {
  using store = await ControlDatabase.open(options.control, signal);
  using control = await ControlDatabase.open(options.control, signal);
  const row = await claim(store, options.migration);
  if ("kind" in row) return row;
  const plan = decodePlan(row.plan);
  const scene = await sceneOf(options, control, plan, BigInt(row.document.epoch));
  const { name, life } = row.document;
  options.report({ migration: name, state: life.state, because: `epoch ${row.document.epoch}` });
  return await new Orchestration(scene, store, row, options.report).run(signal);
}

/** Under an epoch of its own; whoever had it before can store nothing any more. */
async function claim(store: ControlDatabase, name: string): Promise<MigrationRow | Ending> {
  for (;;) {
    const row = await readMigration<Migration>(store, name);
    const event = { kind: "claimed", epoch: row.document.epoch + 1 } as const;
    const result = step(row.document, event, 0);
    if (result.kind !== "moved") return { kind: "over", state: row.document.life.state };
    const place = { row, plan: decodePlan(row.plan) };
    const stored = await storeStep(store, place, result.migration, { what: "claimed" });
    if (stored.kind === "stored") return stored.migration;
  }
}

async function sceneOf(
  { addressesOf, identify }: RunOptions,
  control: ControlDatabase,
  plan: StoredPlan,
  epoch: bigint,
): Promise<Scene> {
  const { databases, next } = await databasesOf(addressesOf, control, plan);
  return {
    plan,
    epoch,
    control,
    databases,
    canonical: { database: next.catalog, schema: next.canonicalSchema },
    referenceTables: next.referenceTables,
    identify,
    kept: new KeptSessions(),
  };
}

/** Those of both maps; one of both is where the later map says. */
export async function databasesOf(
  addressesOf: RunOptions["addressesOf"],
  control: ControlDatabase,
  plan: StoredPlan,
): Promise<{ readonly databases: Scene["databases"]; readonly next: ShardMap }> {
  const before = await publishedMapOf(control, plan.mapFrom);
  const next = parsed(plan.nextMap, `the next map of ${plan.name}`);
  const databases = new Map<DatabaseName, MoveDatabase>(
    [parsed(before.yaml, `version ${plan.mapFrom}`), next].flatMap((map) =>
      [...addressesOf(map)].map(([name, address]) => [name, { name, address }] as const),
    ),
  );
  return { databases, next };
}

function parsed(text: string, name: string): ShardMap {
  const result = parseShardMap(text, name);
  if ("map" in result) return result.map;
  throw new SqlError("map_version_unknown", `${name} of the shard map cannot be read any more`);
}
