/** `colonnade migrate preflight`: everything that is known to stop a migration, in one report. It changes nothing. */
import type { ControlDatabase } from "../../control/control-database.ts";
import { listProxies } from "../../control/fleet-state.ts";
import { finding } from "../../migration/preflight/findings.ts";
import type { Finding } from "../../migration/preflight/findings.ts";
import { preflight } from "../../migration/preflight/preflight.ts";
import type { StoredPlan } from "../../migration/plan/plan-document.ts";
import { backendAddresses } from "../../proxy/topology/backend-addresses.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import { parseShardMap } from "../../shardmap/schema.ts";
import { withControl } from "../control-access.ts";
import type { ControlFlags } from "../control-access.ts";
import { CommandFailure, reasonAndRemedy } from "../failure.ts";
import { printJson, printLines } from "../output.ts";
import { knownMigrations } from "./stored-migrations.ts";
import type { KnownMigration } from "./stored-migrations.ts";

interface MigrationReport {
  readonly migration: string;
  readonly rows: number;
  readonly bytes: number;
  readonly findings: readonly Finding[];
}

/** All that are not over unless some are named. Exit code 1 where an error is found. */
export async function preflightCommand(
  names: readonly string[],
  flags: ControlFlags,
): Promise<void> {
  const reports = await withControl(flags, async (database) => {
    const known = await knownMigrations(database, names);
    const open = known.filter(
      ({ stored }) => !["completed", "cancelled"].includes(stored.document.life.state),
    );
    const silent = await silentProxies(database);
    const all: MigrationReport[] = [];
    for (const each of open) all.push(await inspected(each, silent));
    return all;
  });
  if (flags.json === true) printJson(reports);
  else printLines(reports.length === 0 ? ["no migration is planned"] : reports.flatMap(lines));
  const errors = reports.flatMap(({ findings }) =>
    findings.filter(({ severity }) => severity === "error"),
  );
  if (errors.length > 0)
    throw new CommandFailure(`${errors.length} errors stand in the way of a migration`, 1);
}

/** Their id and name, and for how long nothing was heard of them. */
type SilentProxy = readonly [name: string, silentMs: number];

async function silentProxies(database: ControlDatabase): Promise<readonly SilentProxy[]> {
  const proxies = await listProxies(database);
  return proxies
    .filter(({ silentMs, leaseMs }) => silentMs > leaseMs)
    .map(({ name, address, silentMs }) => [`${name} (${address})`, silentMs]);
}

async function inspected(
  { plan, stored }: KnownMigration,
  silent: readonly SilentProxy[],
): Promise<MigrationReport> {
  const { life } = stored.document;
  const { state } = life.state === "stopped" ? life.at : life;
  const next = nextMapOf(plan);
  try {
    const report = await preflight({
      migration: plan,
      isSetUp: state !== "planned" && state !== "preflight",
      addresses: backendAddresses(next),
      referenceTables: next.referenceTables,
    });
    const fleet = silent.map(([name, silentMs]) =>
      finding(
        "proxy_silent",
        next.catalog,
        `proxy ${name}`,
        `has been silent for ${(silentMs / 1_000).toFixed(1)} s`,
      ),
    );
    return { migration: plan.name, ...report, findings: [...fleet, ...report.findings] };
  } catch (cause) {
    throw new CommandFailure(`${plan.name}: ${reasonAndRemedy(cause)}`, 2, { cause });
  }
}

export function nextMapOf({ name, nextMap }: StoredPlan): ShardMap {
  const result = parseShardMap(nextMap, `the next map of ${name}`);
  if ("map" in result) return result.map;
  throw new CommandFailure(`the next shard map of ${name} cannot be read: plan it again`);
}

function lines({ migration, rows, bytes, findings }: MigrationReport): readonly string[] {
  const size = `${rows} rows, ${bytes} bytes`;
  if (findings.length === 0) return [`${migration} (${size}): nothing stands in the way`];
  return [
    `${migration} (${size}):`,
    ...findings.map(
      ({ severity, id, database, object, message, remedy }) =>
        `  ${severity} ${id}: ${database}: ${object} ${message}. ${remedy}`,
    ),
  ];
}
