/**
 * Compares what a shard map says with what the databases hold: servers that can work
 * together, and tables that are alike in the canonical schema and every placement. What it
 * calls an error would make answers wrong or transactions fail; a warning is a risk that
 * somebody may have chosen. It changes nothing.
 */
import type { DatabaseName } from "../../base/ids.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import type { BackendAddress } from "../backend/backend-address.ts";
import { readDatabaseFacts } from "./live-facts.ts";
import type { DatabaseFacts } from "./live-facts.ts";
import { checkSchemas } from "./live-schemas.ts";
import { checkTables } from "./live-tables.ts";

export interface LiveFinding {
  readonly severity: "error" | "warning";
  readonly database: DatabaseName;
  /** `schema.table`, `schema.table.column`, or the setting or server it is about. */
  readonly object: string;
  readonly message: string;
  readonly remedy: string;
}

/** Connects to every database of the map at once. A database that cannot be reached is a finding. */
export async function checkLive(
  map: ShardMap,
  addresses: ReadonlyMap<DatabaseName, BackendAddress>,
): Promise<readonly LiveFinding[]> {
  const reached = new Map<DatabaseName, DatabaseFacts>();
  const findings: LiveFinding[] = [];
  await Promise.all(
    [...addresses].map(async ([database, address]) => {
      const facts = await readDatabaseFacts(database, address);
      if (facts.kind === "read") reached.set(database, facts);
      else {
        const { message, hint } = facts.error;
        const remedy = hint ?? "Check the database's URL in the shard map.";
        findings.push({ severity: "error", database, object: "server", message, remedy });
      }
    }),
  );
  return [...findings, ...compareDatabases(map, reached)];
}

/** The comparison alone, of the databases that were reached. Pure. */
function compareDatabases(
  map: ShardMap,
  facts: ReadonlyMap<DatabaseName, DatabaseFacts>,
): readonly LiveFinding[] {
  const catalog = facts.get(map.catalog);
  const findings = [...facts].flatMap(([database, own]) => [
    ...checkServer(database, own, map.databases.size),
    ...(catalog === undefined || database === map.catalog
      ? []
      : compareServers(database, own, map.catalog, catalog)),
  ]);
  findings.push(...checkSchemas(map, facts));
  if (catalog === undefined) return findings;
  return [...findings, ...checkGathers(map, catalog), ...checkTables(map, facts, catalog)];
}

/** Rows that the proxy cannot combine itself are copied into temporary tables of the catalog database. */
function checkGathers(map: ShardMap, catalog: DatabaseFacts): readonly LiveFinding[] {
  if (map.colocations.size === 0 || catalog.mayMakeTemporaryTables) return [];
  return [
    {
      severity: "warning",
      database: map.catalog,
      object: "temporary tables",
      message:
        "the role may not make temporary tables, so statements whose rows are gathered there fail",
      remedy: "GRANT TEMPORARY ON DATABASE ... to the role of the database's URL.",
    },
  ];
}

/** What findings about the record of transactions over several databases are about. */
export const RECORDS = "schema colonnade";

/** PostgreSQL 15: the oldest this is tested with. */
const OLDEST_VERSION = 150_000;

function checkServer(
  database: DatabaseName,
  facts: DatabaseFacts,
  databaseCount: number,
): readonly LiveFinding[] {
  const findings: LiveFinding[] = [];
  const { serverVersion } = facts.catalog;
  if (serverVersion < OLDEST_VERSION) {
    findings.push({
      severity: "error",
      database,
      object: "server_version",
      message: `server is PostgreSQL ${majorVersion(serverVersion)}, older than 15`,
      remedy: "Upgrade the server to PostgreSQL 15 or later.",
    });
  }
  if (databaseCount > 1 && facts.maxPreparedTransactions === 0) {
    findings.push({
      severity: "error",
      database,
      object: "max_prepared_transactions",
      message:
        "max_prepared_transactions is 0, so no transaction over several databases can commit",
      remedy:
        "Set max_prepared_transactions to at least the pool sizes of all proxies together, and restart the server.",
    });
  }
  if (databaseCount > 1 && !facts.mayKeepRecords) {
    findings.push({
      severity: "warning",
      database,
      object: RECORDS,
      message:
        "the role of the database's URL may not keep the record of transactions over several databases, DDL among them: their COMMIT is refused",
      remedy:
        "CREATE SCHEMA IF NOT EXISTS colonnade; GRANT USAGE, CREATE ON SCHEMA colonnade TO that role, in this database; where another role has made the table colonnade.commit_record, GRANT SELECT, INSERT, DELETE on it as well.",
    });
  }
  if (facts.recordedVersion !== facts.actualVersion) {
    findings.push({
      severity: "warning",
      database,
      object: "default collation",
      message: `default collation was made with version ${facts.recordedVersion ?? "none"}, but the server's library has ${facts.actualVersion ?? "none"}`,
      remedy: "Rebuild indexes on text, then ALTER DATABASE ... REFRESH COLLATION VERSION.",
    });
  }
  return findings;
}

function compareServers(
  database: DatabaseName,
  own: DatabaseFacts,
  catalogName: DatabaseName,
  catalog: DatabaseFacts,
): readonly LiveFinding[] {
  const findings: LiveFinding[] = [];
  const [version, catalogVersion] = [own, catalog].map((each) =>
    majorVersion(each.catalog.serverVersion),
  );
  if (version !== catalogVersion) {
    findings.push({
      severity: "warning",
      database,
      object: "server_version",
      message: `server is PostgreSQL ${version}, that of database "${catalogName}" ${catalogVersion}`,
      remedy: "Run one major version everywhere: functions and settings differ between them.",
    });
  }
  if (own.encoding !== catalog.encoding) {
    findings.push({
      severity: "error",
      database,
      object: "encoding",
      message: `encoding is ${own.encoding}, that of database "${catalogName}" ${catalog.encoding}`,
      remedy: "Create all databases with the same ENCODING; UTF8 holds every text.",
    });
  }
  if (own.defaultLocale !== catalog.defaultLocale) {
    findings.push({
      severity: "error",
      database,
      object: "default collation",
      message: `default collation is ${own.defaultLocale}, that of database "${catalogName}" ${catalog.defaultLocale}`,
      remedy:
        "Create all databases with the same LOCALE_PROVIDER and LOCALE, or text sorts and compares differently on each.",
    });
  } else if (own.actualVersion !== catalog.actualVersion) {
    findings.push({
      severity: "warning",
      database,
      object: "default collation",
      message: `collation library has version ${own.actualVersion ?? "none"}, that of database "${catalogName}" ${catalog.actualVersion ?? "none"}`,
      remedy:
        "Run servers with the same version of ICU or the C library: versions may order text differently.",
    });
  }
  return findings;
}

function majorVersion(serverVersion: number): number {
  return Math.floor(serverVersion / 10_000);
}
