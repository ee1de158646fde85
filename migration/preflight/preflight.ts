/**
 * Looks for everything that is known to stop a migration, or to make it lose, before anything is
 * made: all of it in one report. It changes nothing; what it tries, it undoes.
 */
import type { DatabaseName } from "../../base/ids.ts";
import { invariant } from "../../base/invariant.ts";
import { PREFLIGHT_STATEMENT_TIMEOUT_MS, MOVE_CONNECT_TIMEOUT_MS } from "../../base/limits.ts";
import { quoteLiteral, quoteQualified } from "../../base/sql-quoting.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { BackendAddress } from "../../proxy/backend/backend-address.ts";
import { BackendConnection } from "../../proxy/backend/backend-connection.ts";
import { placementId, placementsOf, tableName, targetDatabases } from "../move.ts";
import type { PlannedMove, PlannedTable } from "../move.ts";
import { sourceDatabases, targetDatabasesOf } from "../plan/planned-migration.ts";
import type { PlannedMigration } from "../plan/planned-migration.ts";
import { activityFindings } from "./activity.ts";
import { finding } from "./findings.ts";
import type { Finding } from "./findings.ts";
import { pairFindings, readServerFacts, serverFindings } from "./servers.ts";
import type { ServerFacts } from "./servers.ts";
import { sourceTableReport } from "./source-tables.ts";
import type { TableReport } from "./source-tables.ts";

export interface PreflightOptions {
  readonly migration: Pick<PlannedMigration, "moves">;
  readonly addresses: ReadonlyMap<DatabaseName, BackendAddress>;
  readonly referenceTables: ReadonlySet<string>;
  /** The targets have rows by now, which are the migration's own. */
  readonly isSetUp?: boolean;
  /** Transactions that are open for longer are told; PREFLIGHT_LONG_TRANSACTION_MS unless given. */
  readonly longTransactionMs?: number | undefined;
}

export interface PreflightReport {
  /** Errors first. */
  readonly findings: readonly Finding[];
  /** Of all tables, by the servers' estimates, indexes included. */
  readonly rows: number;
  readonly bytes: number;
}

/** A database that cannot be reached is a finding. Other failures of connections reject. */
export async function preflight(options: PreflightOptions): Promise<PreflightReport> {
  const names = [
    ...new Set([...sourceDatabases(options.migration), ...targetDatabasesOf(options.migration)]),
  ];
  const found: Finding[] = [];
  const connections = new Map<DatabaseName, BackendConnection>();
  try {
    for (const name of names) {
      const opened = await opening(name, options);
      if (opened instanceof BackendConnection) connections.set(name, opened);
      else found.push(opened);
    }
    if (found.length > 0) return { findings: found, rows: 0, bytes: 0 };
    return await inspected(options, connections);
  } finally {
    for (const connection of connections.values()) connection.close();
  }
}

async function opening(
  database: DatabaseName,
  { addresses }: PreflightOptions,
): Promise<BackendConnection | Finding> {
  const address = addresses.get(database);
  invariant(address !== undefined, "every database of a migration has an address");
  try {
    return await BackendConnection.open(address, {
      database,
      connectTimeoutMs: MOVE_CONNECT_TIMEOUT_MS,
      settings: new Map([
        ["application_name", "colonnade preflight"],
        ["search_path", "pg_catalog"],
        ["statement_timeout", String(PREFLIGHT_STATEMENT_TIMEOUT_MS)],
      ]),
    });
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    return finding("server_away", database, "server", error.message);
  }
}

type Connections = ReadonlyMap<DatabaseName, BackendConnection>;

async function inspected(
  options: PreflightOptions,
  connections: Connections,
): Promise<PreflightReport> {
  const { moves } = options.migration;
  const found: Finding[] = [];
  const facts = new Map<DatabaseName, ServerFacts>();
  for (const [name, connection] of connections) facts.set(name, await readServerFacts(connection));
  const reports: TableReport[] = [];
  for (const move of moves) {
    const own = await moveReports(connectionOf(connections, move.source), move, options);
    reports.push(...own);
    for (const target of targetDatabases(move))
      found.push(...targetFindings(move, target, facts, own));
  }
  found.push(...reports.flatMap(({ findings }) => findings));
  const bytes = reports.reduce((sum, report) => sum + report.bytes, 0);
  for (const [name, connection] of connections) {
    const own = facts.get(name);
    invariant(own !== undefined, "facts are read of every connection");
    // A slot for each stream that begins here: its own moves', and those back to others' sources.
    const slots = moves.filter(
      (move) => move.source === name || targetDatabases(move).includes(name),
    ).length;
    const origins = moves.reduce((sum, move) => sum + endingIn(name, move), 0);
    found.push(...(await serverFindings(connection, own, { slots, origins, movedBytes: bytes })));
    found.push(...(await activityFindings(connection, options.longTransactionMs)));
  }
  if (options.isSetUp !== true)
    for (const move of moves) found.push(...(await occupiedTargets(connections, move)));
  found.push(...(await differingSources(connections, moves)));
  return {
    findings: found.toSorted((one, other) => order(one) - order(other)),
    rows: reports.reduce((sum, report) => sum + report.rows, 0),
    bytes,
  };
}

/** Streams: to a target, and back to the source from each target. */
function endingIn(database: DatabaseName, move: PlannedMove): number {
  const targets = targetDatabases(move);
  return (move.source === database ? targets.length : 0) + (targets.includes(database) ? 1 : 0);
}

function order({ severity }: Finding): number {
  return severity === "error" ? 0 : 1;
}

async function moveReports(
  connection: BackendConnection,
  move: PlannedMove,
  { referenceTables }: PreflightOptions,
): Promise<readonly TableReport[]> {
  const reports: TableReport[] = [];
  for (const table of move.tables) {
    const tables = new Set(
      move.tables.filter(({ schema }) => schema === table.schema).map(({ name }) => name),
    );
    reports.push(await sourceTableReport(connection, table, { tables, referenceTables }));
  }
  return reports;
}

function targetFindings(
  { source }: PlannedMove,
  target: DatabaseName,
  facts: ReadonlyMap<DatabaseName, ServerFacts>,
  reports: readonly TableReport[],
): readonly Finding[] {
  const [from, to] = [facts.get(source), facts.get(target)];
  invariant(from !== undefined && to !== undefined, "facts are read of both sides");
  const needed = new Set(reports.flatMap(({ extensions }) => extensions));
  const missing = [...needed].filter((extension) => !to.extensions.has(extension));
  return [
    ...pairFindings(from, to),
    ...missing.map((extension) =>
      finding(
        "extension_missing",
        target,
        `extension ${extension}`,
        "is not there, and moved columns have types of it",
      ),
    ),
  ];
}

/** A table with rows where rows are to go: they would be taken for moved ones. */
async function occupiedTargets(
  connections: Connections,
  { tables }: PlannedMove,
): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  for (const { name, destination } of tables)
    for (const { database, schema } of placementsOf(destination)) {
      const table = quoteQualified(schema, name);
      const connection = connectionOf(connections, database);
      const { rows } = await connection.query(
        `SELECT to_regclass(${quoteLiteral(table)}) IS NOT NULL`,
      );
      if (rows[0]?.[0] !== "t") continue;
      const first = await connection.query(`SELECT FROM ${table} LIMIT 1`);
      if (first.rows.length > 0)
        found.push(finding("target_not_empty", database, `${schema}.${name}`, "has rows already"));
    }
  return found;
}

/** Rows of several tables in one: they have to be of one shape. */
async function differingSources(
  connections: Connections,
  moves: readonly PlannedMove[],
): Promise<readonly Finding[]> {
  const shapes = new Map<string, { readonly shape: string; readonly table: string }>();
  const found: Finding[] = [];
  for (const { source, tables } of moves)
    for (const table of tables.filter(({ home }) => home !== undefined)) {
      const { rows } = await connectionOf(connections, source).query(tableShape(table));
      const shape = rows[0]?.[0] ?? "";
      for (const placement of placementsOf(table.destination)) {
        const target = `${placementId(placement)}.${table.name}`;
        const other = shapes.get(target);
        shapes.set(target, { shape, table: `${source}.${tableName(table)}` });
        if (other === undefined || other.shape === shape) continue;
        const message = `is (${shape}), and ${other.table}, whose rows come to ${target} as well, is (${other.shape})`;
        found.push(finding("sources_differ", source, tableName(table), message));
        break;
      }
    }
  return found;
}

function tableShape({ schema, name }: PlannedTable): string {
  return `
SELECT (SELECT string_agg(format('%I %s%s', a.attname, format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN ' not null' END), ', ' ORDER BY a.attname)
    FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped)
  || coalesce((SELECT ', ' || pg_get_constraintdef(k.oid) FROM pg_constraint k WHERE k.conrelid = t.oid AND k.contype = 'p'), '')
FROM (SELECT to_regclass(${quoteLiteral(quoteQualified(schema, name))})::oid AS oid) t`;
}

function connectionOf(connections: Connections, database: DatabaseName): BackendConnection {
  const connection = connections.get(database);
  invariant(connection !== undefined, "every database of a migration is connected to");
  return connection;
}
