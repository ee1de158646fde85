/**
 * What `check --live` compares: one database's catalog, and what its server is set to. Read
 * in one transaction; nothing is changed.
 */
import type { DatabaseName } from "../../base/ids.ts";
import { BACKEND_CONNECT_TIMEOUT_MS, CATALOG_LOAD_TIMEOUT_MS } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { Catalog } from "../../shardmap/catalog.ts";
import type { BackendAddress } from "../backend/backend-address.ts";
import { BackendConnection } from "../backend/backend-connection.ts";
import { buildCatalog } from "./catalog-build.ts";
import {
  CHECKS_QUERY,
  COLLATION_VERSIONS_QUERY,
  RECORDS_QUERY,
  RIGHTS_QUERY,
} from "./catalog-queries.ts";
import { inSnapshot, readCatalogRows } from "./catalog-source.ts";
import { buildRights } from "./live-rights.ts";
import type { TableRights } from "./live-rights.ts";

export interface CheckFacts {
  /** The rows that are there are known to keep it. */
  readonly isValidated: boolean;
  /** Neither NO INHERIT, which lets rows into inheriting tables, nor NOT ENFORCED. */
  readonly isBinding: boolean;
}

export interface DatabaseFacts {
  readonly kind: "read";
  readonly catalog: Catalog;
  readonly encoding: string;
  /** `libc en_US.UTF-8`: provider and locale of the default collation. */
  readonly defaultLocale: string;
  /** Versions of the default collation: as recorded when the database was made, and as the library has it now. */
  readonly recordedVersion: string | null;
  readonly actualVersion: string | null;
  readonly maxPreparedTransactions: number;
  /** The URL's role may make temporary tables. */
  readonly mayMakeTemporaryTables: boolean;
  /** The URL's role may make tables in the schema "colonnade", and the schema where there is none. */
  readonly mayKeepRecords: boolean;
  /** Named collations whose recorded version is not the library's any more. */
  readonly outdatedCollations: ReadonlySet<number>;
  /** CHECK constraints by relation OID and name. */
  readonly checks: ReadonlyMap<number, ReadonlyMap<string, CheckFacts>>;
  /** What the URL's role may do with tables, by their OIDs. */
  readonly rights: ReadonlyMap<number, TableRights>;
}

export interface UnreachableDatabase {
  readonly kind: "unreachable";
  readonly error: SqlError;
}

export async function readDatabaseFacts(
  database: DatabaseName,
  address: BackendAddress,
): Promise<DatabaseFacts | UnreachableDatabase> {
  let connection: BackendConnection | undefined;
  try {
    connection = await BackendConnection.open(address, {
      database,
      connectTimeoutMs: BACKEND_CONNECT_TIMEOUT_MS,
    });
    return await readFacts(connection, AbortSignal.timeout(CATALOG_LOAD_TIMEOUT_MS));
  } catch (error) {
    if (error instanceof SqlError) return { kind: "unreachable", error };
    throw error;
  } finally {
    connection?.close();
  }
}

const PROVIDERS: Readonly<Record<string, string>> = { c: "libc", i: "icu", b: "builtin" };

async function readFacts(
  connection: BackendConnection,
  signal: AbortSignal,
): Promise<DatabaseFacts> {
  return await inSnapshot(connection, signal, async (ask) => {
    const rows = await readCatalogRows(ask);
    const [, encoding, provider, collate, locale, recorded, actual, prepared, temporary] =
      rows.database[0] ?? [];
    const checks = new Map<number, Map<string, CheckFacts>>();
    for (const [relation, name, validated, binding] of await ask(CHECKS_QUERY)) {
      const own = checks.get(Number(relation)) ?? new Map<string, CheckFacts>();
      const check = { isValidated: validated === "t", isBinding: binding === "t" };
      checks.set(Number(relation), own.set(name ?? "", check));
    }
    const outdated = await ask(COLLATION_VERSIONS_QUERY);
    return {
      kind: "read",
      catalog: buildCatalog(rows, 1),
      encoding: encoding ?? "",
      defaultLocale: `${PROVIDERS[provider ?? ""] ?? provider} ${locale ?? collate}`,
      recordedVersion: recorded ?? null,
      actualVersion: actual ?? null,
      maxPreparedTransactions: Number(prepared),
      mayMakeTemporaryTables: temporary === "t",
      mayKeepRecords: (await ask(RECORDS_QUERY))[0]?.[0] === "t",
      outdatedCollations: new Set(outdated.map(([oid]) => Number(oid))),
      checks,
      rights: buildRights(await ask(RIGHTS_QUERY)),
    };
  });
}
