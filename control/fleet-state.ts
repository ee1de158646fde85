/**
 * What proxies tell of themselves through the control schema, and what they are to follow:
 * one row a proxy, one round trip a renewal. A revision that a proxy has applied is in force
 * there: nothing that begins afterwards uses what was before it.
 */
import { quoteLiteral } from "../base/sql-quoting.ts";
import type { ControlDatabase, Row } from "./control-database.ts";

/** What a proxy follows. */
export interface FleetState {
  readonly revision: number;
  /** Undefined before the first publication. */
  readonly mapVersion: number | undefined;
}

/** What a proxy says of itself with each renewal. */
export interface ProxyReport {
  /** A UUID, new with each start. */
  readonly id: string;
  readonly name: string;
  /** Where clients reach it: `host:port`. */
  readonly address: string;
  readonly processId: number;
  readonly programVersion: string;
  readonly leaseMs: number;
  readonly mapVersion: number;
  /** Everything up to it is in force in the proxy: its acknowledgement. */
  readonly appliedRevision: number;
  /** Why it cannot follow, where it cannot. */
  readonly problem: string | undefined;
}

export interface ProxyRow extends ProxyReport {
  /** Milliseconds since its last renewal, by the server's clock. */
  readonly silentMs: number;
  readonly uptimeMs: number;
}

const STATE = "SELECT revision, map_version FROM colonnade.control";

export async function readFleetState(database: ControlDatabase): Promise<FleetState> {
  const [row] = await database.query(STATE);
  return fleetState(row ?? []);
}

/** Renews the lease, telling what the proxy has applied, and gives what it is to follow. One round trip. */
export async function renewLease(
  database: ControlDatabase,
  report: ProxyReport,
  signal: AbortSignal,
): Promise<FleetState> {
  const values: Readonly<Record<string, string>> = {
    name: quoteLiteral(report.name),
    address: quoteLiteral(report.address),
    process_id: String(report.processId),
    program_version: quoteLiteral(report.programVersion),
    renewed_at: "clock_timestamp()",
    lease_ms: String(report.leaseMs),
    map_version: String(report.mapVersion),
    applied_revision: String(report.appliedRevision),
    problem: report.problem === undefined ? "NULL" : quoteLiteral(report.problem),
  };
  const columns = Object.keys(values);
  const [row] = await database.query(
    `INSERT INTO colonnade.proxy (id, ${columns.join(", ")})
VALUES (${quoteLiteral(report.id)}, ${Object.values(values).join(", ")})
ON CONFLICT (id) DO UPDATE SET ${columns.map((column) => `${column} = excluded.${column}`).join(", ")};
${STATE}`,
    signal,
  );
  return fleetState(row ?? []);
}

/** It has stopped serving: nobody need wait for its lease. */
export async function endLease(database: ControlDatabase, id: string): Promise<void> {
  await database.query(`DELETE FROM colonnade.proxy WHERE id = ${quoteLiteral(id)}`);
}

/** Every proxy that has not ended its lease, however long it has been silent. */
export async function listProxies(database: ControlDatabase): Promise<readonly ProxyRow[]> {
  const rows = await database.query(`
SELECT id, name, address, process_id, program_version, lease_ms, map_version, applied_revision,
  problem, extract(epoch FROM clock_timestamp() - renewed_at) * 1000,
  extract(epoch FROM clock_timestamp() - started_at) * 1000
FROM colonnade.proxy ORDER BY started_at, id`);
  return rows.map(proxyRow);
}

/** Those that died without ending their lease, and have been silent for long: nobody waits for them any more. */
export async function forgetSilentProxies(
  database: ControlDatabase,
  silentMs: number,
): Promise<void> {
  await database.query(
    `DELETE FROM colonnade.proxy WHERE renewed_at < clock_timestamp() - ${silentMs} * interval '1 millisecond' AND renewed_at < clock_timestamp() - 2 * lease_ms * interval '1 millisecond'`,
  );
}

function fleetState([revision, mapVersion]: Row): FleetState {
  return {
    revision: Number(revision),
    mapVersion: (mapVersion ?? null) === null ? undefined : Number(mapVersion),
  };
}

function proxyRow(row: Row): ProxyRow {
  const [id, name, address, processId, programVersion, leaseMs, mapVersion, applied] = row;
  const [problem, silentMs, uptimeMs] = row.slice(8);
  return {
    id: id ?? "",
    name: name ?? "",
    address: address ?? "",
    processId: Number(processId),
    programVersion: programVersion ?? "",
    leaseMs: Number(leaseMs),
    mapVersion: Number(mapVersion),
    appliedRevision: Number(applied),
    problem: problem ?? undefined,
    silentMs: Number(silentMs),
    uptimeMs: Number(uptimeMs),
  };
}
