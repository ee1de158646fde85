/**
 * What proxies tell of themselves through the control schema, and what they are to follow:
 * one row a proxy, one round trip a renewal. A revision that a proxy has applied is in force
 * there: nothing that begins afterwards uses what was before it.
 */
import { FLEET_SILENT_MS } from "../base/limits.ts";
import { quoteLiteral } from "../base/sql-quoting.ts";
import type { ControlDatabase, Row } from "./control-database.ts";

export interface MapIdentity {
  readonly version: number;
  /** Of its text: see mapHash. */
  readonly hash: string;
}

/** What a proxy follows, as of one instant. */
export interface FleetState {
  readonly revision: number;
  /** Undefined before the first publication. */
  readonly map: MapIdentity | undefined;
  /** Those that are not over, the announced ones among them. */
  readonly holds: readonly HoldState[];
  /** Placements that only a proxy with a lease may serve. */
  readonly leased: readonly string[];
  /** That may commit, or has: see ddl-intents.ts. */
  readonly ddl: readonly DdlIntent[];
}

export interface DdlIntent {
  /** A UUID. */
  readonly id: string;
  /** Its id in the catalog database (`xid8`); undefined of DDL that was in none, and has committed already. */
  readonly transaction: string | undefined;
}

/** Of a hold, what a proxy needs to know. */
export interface HoldState {
  readonly name: string;
  readonly attempt: number;
  readonly placements: readonly string[];
  /** Before it, proxies only keep their leases short. */
  readonly isStarted: boolean;
  /** Until anybody may end it; negative afterwards. */
  readonly remainingMs: number;
}

/** Of a hold that a proxy obeys. */
export interface HoldAnswer {
  readonly name: string;
  readonly attempt: number;
  /** Transactions that use its placements since before it. */
  readonly open: number;
  /** Statements held back. */
  readonly waiting: number;
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
  readonly holds: readonly HoldAnswer[];
  /** Why it cannot follow, where it cannot. Then its lease is not renewed. */
  readonly problem: string | undefined;
}

export interface ProxyRow extends ProxyReport {
  /** Milliseconds since its last renewal, by the server's clock. */
  readonly silentMs: number;
  readonly uptimeMs: number;
  /** Counts renewals of its lease; see lease-watch.ts. */
  readonly renewal: number;
}

/** One statement, so that all of it is of one snapshot. */
const STATE = `SELECT revision, map_version,
  (SELECT encode(sha256(convert_to(yaml, 'UTF8')), 'hex') FROM colonnade.map WHERE version = map_version),
  (SELECT coalesce(json_agg(json_build_object('name', name, 'attempt', attempt, 'placements', placements,
    'isStarted', started_at IS NOT NULL, 'remainingMs', extract(epoch FROM deadline - clock_timestamp()) * 1000)
    ORDER BY name), '[]') FROM colonnade.hold WHERE ended_at IS NULL),
  (SELECT coalesce(json_agg(DISTINCT placement), '[]') FROM colonnade.leased),
  (SELECT coalesce(json_agg(json_build_object('id', id, 'transaction', transaction)), '[]') FROM colonnade.ddl)
FROM colonnade.control`;

export async function readFleetState(
  database: ControlDatabase,
  signal?: AbortSignal,
): Promise<FleetState> {
  const [row] = await database.query(STATE, signal);
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
    holds: quoteLiteral(JSON.stringify(report.holds)),
    problem: report.problem === undefined ? "NULL" : quoteLiteral(report.problem),
  };
  const columns = Object.keys(values);
  const [row] = await database.query(
    `INSERT INTO colonnade.proxy AS present (id, ${columns.join(", ")})
VALUES (${quoteLiteral(report.id)}, ${Object.values(values).join(", ")})
ON CONFLICT (id) DO UPDATE SET ${columns.map((column) => `${column} = excluded.${column}`).join(", ")},
  renewal = present.renewal + (excluded.problem IS NULL)::int;
${STATE}`,
    signal,
  );
  return fleetState(row ?? []);
}

/** Whether it has acknowledged a revision, and does not say that it cannot. */
export function follows({ appliedRevision, problem }: ProxyRow, revision: number): boolean {
  return problem === undefined && appliedRevision >= revision;
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
  extract(epoch FROM clock_timestamp() - started_at) * 1000, holds, renewal
FROM colonnade.proxy ORDER BY started_at, id`);
  return rows.map(proxyRow);
}

/** Nobody waits for it. */
export function isSilent({ silentMs }: Pick<ProxyRow, "silentMs">): boolean {
  return silentMs > FLEET_SILENT_MS;
}

/** To be pasted: that a process is gone for good is known to nobody but a person. */
export function whereGoneForGood(silent: readonly ProxyRow[]): string {
  const ids = silent.map(({ id }) => quoteLiteral(id)).join(", ");
  return `Where its process is gone for good, delete its row in the catalog database: DELETE FROM colonnade.proxy WHERE id IN (${ids});`;
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

function fleetState([revision, mapVersion, hash, holds, leased, ddl]: Row): FleetState {
  const intents = JSON.parse(ddl ?? "[]") as readonly {
    readonly id: string;
    readonly transaction: string | null;
  }[];
  return {
    revision: Number(revision),
    map:
      (mapVersion ?? null) === null ? undefined : { version: Number(mapVersion), hash: hash ?? "" },
    holds: JSON.parse(holds ?? "[]") as readonly HoldState[],
    leased: JSON.parse(leased ?? "[]") as readonly string[],
    ddl: intents.map(({ id, transaction }) => ({ id, transaction: transaction ?? undefined })),
  };
}

function proxyRow(row: Row): ProxyRow {
  const [id, name, address, processId, programVersion, leaseMs, mapVersion, applied] = row;
  const [problem, silentMs, uptimeMs, holds, renewal] = row.slice(8);
  return {
    id: id ?? "",
    name: name ?? "",
    address: address ?? "",
    processId: Number(processId),
    programVersion: programVersion ?? "",
    leaseMs: Number(leaseMs),
    mapVersion: Number(mapVersion),
    appliedRevision: Number(applied),
    holds: JSON.parse(holds ?? "[]") as readonly HoldAnswer[],
    problem: problem ?? undefined,
    silentMs: Number(silentMs),
    uptimeMs: Number(uptimeMs),
    renewal: Number(renewal),
  };
}
