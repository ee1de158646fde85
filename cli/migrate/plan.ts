/**
 * `colonnade migrate plan`: from the map in force and the next one to a migration with a name,
 * stored in the control schema. Nothing is made in any other database.
 */
import { userInfo } from "node:os";
import { isDeepStrictEqual } from "node:util";
import {
  MIGRATION_ACTIVE_SESSIONS,
  MIGRATION_HOLD_SLACK_MS,
  MIGRATION_PAUSE_MS,
  MIGRATION_REPLICA_LAG_MS,
  MIGRATION_RESERVE_MS,
  MOVE_NAME_LENGTH_MAX,
} from "../../base/limits.ts";
import { quoteLiteral, quoteQualified } from "../../base/sql-quoting.ts";
import type { ControlDatabase } from "../../control/control-database.ts";
import { currentMap } from "../../control/map-versions.ts";
import { createMigration } from "../../control/migration-store.ts";
import { plannedMigration } from "../../migration/machine.ts";
import { claimsItsObjects } from "../../migration/machine/life.ts";
import type { Policy } from "../../migration/machine/life.ts";
import { encodePlan } from "../../migration/plan/plan-document.ts";
import type { StoredPlan } from "../../migration/plan/plan-document.ts";
import { planMigrations } from "../../migration/plan/plan.ts";
import { sourceDatabases, targetDatabasesOf } from "../../migration/plan/planned-migration.ts";
import type { MigrationPlan, PlannedMigration } from "../../migration/plan/planned-migration.ts";
import { loadParser } from "../../planner/parse.ts";
import { parseShardMap } from "../../shardmap/schema.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import { withControl } from "../control-access.ts";
import type { ControlFlags } from "../control-access.ts";
import { CommandFailure } from "../failure.ts";
import { requireMap } from "../input-files.ts";
import { askDatabases, readLiveCatalog } from "../live-databases.ts";
import { printJson, printLines } from "../output.ts";
import { tableLines } from "../table-lines.ts";
import { requireCarrier } from "./carrier.ts";
import { knownMigrations } from "./stored-migrations.ts";
import type { KnownMigration } from "./stored-migrations.ts";

export interface PlanFlags extends ControlFlags {
  /** The next shard map. */
  readonly to: string;
  /** What brings changes to the targets. */
  readonly carrier: string;
  readonly dryRun?: true;
}

interface PlannedRow extends StoredPlan {
  /** `known`: the very same was planned before. */
  readonly state: "new" | "known";
}

/**
 * Exit code 1 where something has to move that cannot, where another plan is under way, or where another
 * carrier than the log is asked for; nothing is stored then.
 */
export async function planCommand(flags: PlanFlags): Promise<void> {
  requireCarrier(flags.carrier);
  const next = requireMap(flags.to);
  await loadParser();
  const { plan, rows } = await withControl(flags, async (database) => {
    const before = await mapInForce(database);
    if (next.version !== before.version + 1)
      throw new CommandFailure(
        `${flags.to} is version ${next.version}, and the next one is ${before.version + 1}, as cutovers and rollbacks publish versions, too: edit what "map show" prints, and write version: ${before.version + 1} in it`,
        1,
      );
    const made = planMigrations(before, next, await readLiveCatalog(before));
    const { migration, refusals } = made;
    if (refusals.length > 0 || migration === undefined) return { plan: made, rows: [] };
    const estimate = await estimated({ ...made, migration }, before, next);
    const row = withName(estimate, await knownMigrations(database));
    if (flags.dryRun !== true && row.state === "new") await store(database, row);
    return { plan: made, rows: [row] };
  });
  if (flags.json === true) printJson(report(plan, rows));
  else printLines(lines(plan, rows, flags.dryRun === true));
  if (plan.refusals.length > 0)
    throw new CommandFailure("nothing is planned: not everything that has to move can", 1);
}

export async function mapInForce(database: ControlDatabase): Promise<ShardMap> {
  const current = await currentMap(database);
  if (current === undefined)
    throw new CommandFailure("no shard map is published yet: colonnade map publish FILE", 1);
  const result = parseShardMap(current.yaml, `version ${current.version}`);
  if ("map" in result) return result.map;
  throw new CommandFailure(`version ${current.version} of the shard map cannot be read`);
}

async function estimated(
  { migration, from, to }: MigrationPlan & { readonly migration: PlannedMigration },
  before: ShardMap,
  next: ShardMap,
): Promise<StoredPlan> {
  const tables = migration.moves.flatMap(({ source, tables: own }) =>
    own.map((table) => ({ ...table, source })),
  );
  const sizes = await askDatabases(before, tables, ({ source }) => source, sizeOf);
  const sum = (what: "rows" | "bytes"): number =>
    sizes.reduce((total, size) => total + size[what], 0);
  const [rows, bytes] = [sum("rows"), sum("bytes")];
  return { ...migration, mapFrom: from, mapTo: to, nextMap: next.text, rows, bytes };
}

type AskedTable = { readonly schema: string; readonly name: string };

/** What ANALYZE has kept; a table that was never analyzed counts as empty. */
async function sizeOf(
  connection: Parameters<Parameters<typeof askDatabases>[3]>[0],
  { schema, name }: AskedTable,
): Promise<{ readonly rows: number; readonly bytes: number }> {
  const table = quoteLiteral(quoteQualified(schema, name));
  const { rows } = await connection.query(
    `SELECT coalesce(sum(greatest(c.reltuples, 0)) FILTER (WHERE c.relkind = 'r'), 0)::int8, coalesce(sum(pg_catalog.pg_total_relation_size(c.oid)), 0)
FROM (SELECT pg_catalog.to_regclass(${table}) AS relid UNION SELECT relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass(${table}))) t
JOIN pg_catalog.pg_class c ON c.oid = t.relid`,
  );
  return { rows: Number(rows[0]?.[0] ?? 0), bytes: Number(rows[0]?.[1] ?? 0) };
}

/** A name stays taken by a migration that is over: the next of its kind is numbered. */
function withName(plan: StoredPlan, known: readonly KnownMigration[]): PlannedRow {
  for (let number = 1; ; number += 1) {
    const row = number === 1 ? plan : renamed(plan, `${plan.name}_${number}`);
    const other = known.find(({ stored }) => stored.document.name === row.name);
    if (other === undefined) return { ...row, state: "new" };
    const { state } = other.stored.document.life;
    if (state === "cancelled" || state === "completed") continue;
    if (isSamePlan(other.plan, row)) return { ...row, state: "known" };
    throw new CommandFailure(
      claimsItsObjects(other.stored.document)
        ? `${row.name} is under way, by another plan: complete or cancel it first`
        : `${row.name} was planned otherwise: colonnade migrate cancel ${row.name}, then plan again`,
      1,
    );
  }
}

function renamed(plan: StoredPlan, name: string): StoredPlan {
  const moves = plan.moves.map((move) => ({
    ...move,
    name: `${name}${move.name.slice(plan.name.length)}`.slice(0, MOVE_NAME_LENGTH_MAX),
  }));
  return { ...plan, name, moves };
}

/** Estimates change; what is moved, and to which map, does not. */
function isSamePlan(one: StoredPlan, other: StoredPlan): boolean {
  const essence = (plan: StoredPlan): unknown =>
    encodePlan({ ...plan, notes: [], rows: 0, bytes: 0 });
  return isDeepStrictEqual(essence(one), essence(other));
}

async function store(
  database: ControlDatabase,
  { state: _new, ...plan }: PlannedRow,
): Promise<void> {
  const parties = { sources: sourceDatabases(plan), targets: targetDatabasesOf(plan) };
  const policy: Policy = {
    pauseMs: MIGRATION_PAUSE_MS - MIGRATION_HOLD_SLACK_MS,
    reserveMs: MIGRATION_RESERVE_MS,
    throttle: {
      rowsPerSecond: null,
      replicaLagMs: MIGRATION_REPLICA_LAG_MS,
      activeSessions: MIGRATION_ACTIVE_SESSIONS,
    },
    fencesReads: false,
  };
  const document = plannedMigration(plan.name, parties, policy);
  await createMigration(database, document, {
    plan: encodePlan(plan),
    createdBy: userInfo().username,
  });
}

function report(plan: MigrationPlan, rows: readonly PlannedRow[]): unknown {
  const { from, to, refusals, atOnce } = plan;
  return {
    from,
    to,
    refusals,
    atOnce,
    migrations: rows.map((row) => ({
      name: row.name,
      kind: row.kind,
      object: row.object,
      state: row.state,
      sources: sourceDatabases(row),
      targets: targetDatabasesOf(row),
      tables: row.moves.flatMap(({ source, tables }) =>
        tables.map(({ schema, name }) => `${source}.${schema}.${name}`),
      ),
      rows: row.rows,
      bytes: row.bytes,
      notes: row.notes,
    })),
  };
}

function lines(
  { from, to, refusals, atOnce }: MigrationPlan,
  rows: readonly PlannedRow[],
  isDry: boolean,
): readonly string[] {
  if (refusals.length > 0)
    return [
      `from version ${from} to version ${to}, this cannot be moved:`,
      ...refusals.map(({ object, because }) => `  ${object}: ${because}`),
    ];
  if (rows.length === 0) return [`from version ${from} to version ${to}, no rows have to move`];
  return [
    `from version ${from} to version ${to}${isDry ? ", stored nowhere" : ""}:`,
    ...tableLines(
      ["migration", "kind", "from", "to", "rows", "bytes", ""],
      rows.map((row) => [
        row.name,
        row.kind,
        sourceDatabases(row).join(", "),
        targetDatabasesOf(row).join(", "),
        String(row.rows),
        String(row.bytes),
        row.state === "known" ? "planned before" : "",
      ]),
    ),
    ...rows.flatMap(({ name, notes }) => notes.map((note) => `  ${name}: ${note}`)),
    ...(atOnce.length > 0 ? ["and with the switch, without rows to move:"] : []),
    ...atOnce.map((change) => `  ${change}`),
  ];
}
