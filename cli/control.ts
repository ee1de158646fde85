/** `colonnade control init|upgrade|status`: the control schema, and the proxies that follow it. */
import { FLEET_FORGET_SILENT_MS } from "../base/limits.ts";
import type { ControlDatabase } from "../control/control-database.ts";
import { CONTROL_SCHEMA_VERSION } from "../control/control-schema.ts";
import {
  follows,
  isSilent,
  listProxies,
  readFleetState,
  whereGoneForGood,
} from "../control/fleet-state.ts";
import type { HoldState, ProxyRow } from "../control/fleet-state.ts";
import { controlSchemaVersion, upgradeControlSchema } from "../control/schema-versions.ts";
import { withControl } from "./control-access.ts";
import type { ControlFlags } from "./control-access.ts";
import { CommandFailure } from "./failure.ts";
import { printJson, printLines } from "./output.ts";
import { refuseProxyRole } from "./proxy-role.ts";
import { tableLines } from "./table-lines.ts";

export interface ControlInitFlags extends ControlFlags {
  readonly proxyRole?: string;
}

/** Both make or mend what is missing; `upgrade` refuses where there is nothing yet. */
export async function changeControlSchema(
  command: "init" | "upgrade",
  flags: ControlInitFlags,
): Promise<void> {
  const change = await withControl(
    flags,
    async (database) => {
      if (command === "upgrade" && (await controlSchemaVersion(database)) === undefined)
        throw new CommandFailure(
          "there is no control schema to upgrade: make it with colonnade control init",
          1,
        );
      if (flags.proxyRole !== undefined) await refuseProxyRole(database, flags.proxyRole);
      return await upgradeControlSchema(database, flags.proxyRole);
    },
    { mayBeMissing: true, need: "own" },
  );
  if (flags.json === true) return printJson(change);
  printLines([
    change.from === change.to
      ? `the control schema is of version ${change.to} already`
      : `the control schema is of version ${change.to}${change.from === 0 ? "" : `, and was of version ${change.from}`}`,
  ]);
}

type StatusReport =
  | { readonly schemaVersion: number | null }
  | {
      readonly schemaVersion: number;
      readonly mapVersion: number | null;
      readonly revision: number;
      readonly holds: readonly HoldState[];
      readonly leased: readonly string[];
      readonly proxies: readonly ProxyRow[];
    };

/** Exit code 1 where there is no control schema, or one of another version. */
export async function controlStatus(flags: ControlFlags): Promise<void> {
  const report = await withControl(flags, readStatus, { mayBeMissing: true, need: "read" });
  if (flags.json === true) printJson(report);
  if (!("proxies" in report))
    throw new CommandFailure(
      report.schemaVersion === null
        ? "there is no control schema: make it with colonnade control init"
        : `the control schema is of version ${report.schemaVersion}, and this program uses version ${CONTROL_SCHEMA_VERSION}`,
      1,
    );
  if (flags.json === true) return;
  const { schemaVersion, mapVersion, proxies, revision, holds, leased } = report;
  const map = mapVersion === null ? "not published yet" : `version ${mapVersion}`;
  printLines([
    `control schema version ${schemaVersion}, shard map ${map}`,
    ...holds.map(holdLine),
    ...(leased.length === 0 ? [] : [`served only with a lease: ${leased.join(", ")}`]),
    ...proxyLines(proxies, revision),
    ...deadLines(proxies),
  ]);
}

async function readStatus(database: ControlDatabase): Promise<StatusReport> {
  const schemaVersion = await controlSchemaVersion(database);
  if (schemaVersion !== CONTROL_SCHEMA_VERSION) return { schemaVersion: schemaVersion ?? null };
  const { map, ...state } = await readFleetState(database);
  const proxies = await listProxies(database);
  return { schemaVersion, mapVersion: map?.version ?? null, ...state, proxies };
}

function holdLine({ name, placements, isStarted, remainingMs }: HoldState): string {
  const state = isStarted ? "held" : "soon to be held";
  return `${placements.join(", ")}: ${state} by ${name}, for ${(remainingMs / 1000).toFixed(1)} s at most`;
}

function proxyLines(proxies: readonly ProxyRow[], revision: number): readonly string[] {
  if (proxies.length === 0) return ["no proxy follows it"];
  return tableLines(
    ["proxy", "address", "pid", "program", "map", "follows", "silent", "problem"],
    proxies.map((proxy) => [
      proxy.name,
      proxy.address,
      String(proxy.processId),
      proxy.programVersion,
      String(proxy.mapVersion),
      followsWord(proxy, revision),
      `${(proxy.silentMs / 1000).toFixed(1)} s${isSilent(proxy) ? " (dead?)" : ""}`,
      proxy.problem ?? "",
    ]),
  );
}

/** What a proxy said before it fell silent tells nothing of now. */
function followsWord(proxy: ProxyRow, revision: number): "silent" | "yes" | "no" {
  if (isSilent(proxy)) return "silent";
  return follows(proxy, revision) ? "yes" : "no";
}

function deadLines(proxies: readonly ProxyRow[]): readonly string[] {
  const dead = proxies.filter(isSilent);
  if (dead.length === 0) return [];
  const hours = FLEET_FORGET_SILENT_MS / 3_600_000;
  return [
    `A proxy that is silent is forgotten after ${hours} hours, and stands in the way of holds and migrations until then. ${whereGoneForGood(dead)}`,
  ];
}
