/** What the commands `check --live` and `explain` ask of a map's databases: connections of their own, closed at the end. */
import { BACKEND_CONNECT_TIMEOUT_MS, COMMAND_ANSWER_TIMEOUT_MS } from "../base/limits.ts";
import type { DatabaseName } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import type { BackendAddress } from "../proxy/backend/backend-address.ts";
import { BackendConnection } from "../proxy/backend/backend-connection.ts";
import { Backends } from "../proxy/backend/backends.ts";
import { backendAddresses } from "../proxy/topology/backend-addresses.ts";
import { CatalogSource } from "../proxy/topology/catalog-source.ts";
import { readIdentity } from "../proxy/topology/database-identity.ts";
import { checkLive, type LiveFinding } from "../proxy/topology/live-check.ts";
import type { Catalog } from "../shardmap/catalog.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";
import { CommandFailure, reasonAndRemedy } from "./failure.ts";

export async function findLiveProblems(map: ShardMap): Promise<readonly LiveFinding[]> {
  requireUrls(map.databases, "Give it a URL in the map to compare it.");
  return await reached(async () => await checkLive(map, backendAddresses(map)));
}

/** The catalog of the map's catalog database, as the proxy would read it. */
export async function readLiveCatalog(map: ShardMap): Promise<Catalog> {
  const databases = catalogAlone(map);
  requireUrls(databases, "Name a file of CREATE TABLE statements with --schema instead.");
  return await reached(async () => {
    const backends = new Backends(backendAddresses({ databases }), {
      pool: { size: 1 },
      drainMs: 0,
    });
    try {
      return await new CatalogSource(backends).load(map.catalog);
    } finally {
      await backends.close();
    }
  });
}

/** No other database is asked, so where those are is of no matter. */
export function catalogAlone(map: ShardMap): ShardMap["databases"] {
  return new Map([...map.databases].filter(([name]) => name === map.catalog));
}

/** Which databases the addresses lead to: see readIdentity. */
export interface ReadIdentities {
  /** Of those that could be asked. */
  readonly identities: Readonly<Record<string, string>>;
  /** Sentences, of the others. */
  readonly unread: readonly string[];
}

export async function readIdentities(
  addresses: ReadonlyMap<DatabaseName, BackendAddress>,
): Promise<ReadIdentities> {
  const identities: Record<string, string> = {};
  const unread: string[] = [];
  await Promise.all(
    [...addresses].map(async ([database, address]) => {
      try {
        identities[database] = await readIdentity(database, address);
      } catch (error) {
        unread.push(`database ${database} cannot be asked who it is: ${reasonAndRemedy(error)}`);
      }
    }),
  );
  return { identities, unread };
}

/**
 * Asks for each item over a connection to its database, as inDatabases does. A question that has no
 * answer within `limitMs` is given up, and the rest with it.
 */
export async function askDatabases<T, R>(
  map: ShardMap,
  items: readonly T[],
  databaseOf: (item: T) => DatabaseName,
  ask: (connection: BackendConnection, item: T) => Promise<R>,
  limitMs = COMMAND_ANSWER_TIMEOUT_MS,
): Promise<readonly R[]> {
  return await inDatabases(map, items, databaseOf, async (connection, item) => {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      // What runs there is of use to nobody any more.
      void connection.cancel().catch(() => undefined);
      connection.destroy();
    }, limitMs);
    try {
      return await ask(connection, item);
    } catch (cause) {
      if (!isLate) throw cause;
      throw new CommandFailure(
        `database ${connection.database} has not answered within ${limitMs / 1000} s, and was asked no more. ` +
          "See in pg_stat_activity what it does, and whom it waits for, then run the command again",
        2,
        { cause },
      );
    } finally {
      clearTimeout(timer);
    }
  });
}

/**
 * Does `work` for each item over a connection to its database: one connection a database, one
 * item after the other. It may take long: a guard reads whole tables. So nothing but the end of the
 * connection ends it.
 */
export async function inDatabases<T, R>(
  map: ShardMap,
  items: readonly T[],
  databaseOf: (item: T) => DatabaseName,
  work: (connection: BackendConnection, item: T) => Promise<R>,
): Promise<readonly R[]> {
  requireUrls(map.databases, "Give it a URL in the map.");
  const results: R[] = [];
  await reached(async () => {
    const addresses = backendAddresses(map);
    for (const [database, own] of Map.groupBy(items, databaseOf)) {
      const address = addresses.get(database);
      invariant(address !== undefined, "the map's own databases have addresses");
      const connection = await BackendConnection.open(address, {
        database,
        connectTimeoutMs: BACKEND_CONNECT_TIMEOUT_MS,
      });
      try {
        for (const item of own) results.push(await work(connection, item));
      } finally {
        connection.close();
      }
    }
  });
  return results;
}

/** `users0: public.orders.user_id: has type integer, the catalog's bigint. Alter the column's type.` */
export function printFinding({ database, object, message, remedy }: LiveFinding): string {
  return `${database}: ${object}: ${message}. ${remedy}`;
}

/** An embedded server listens where `dev` has put it, which no other command knows. */
function requireUrls(databases: ShardMap["databases"], remedy: string): void {
  for (const { name, server } of databases.values()) {
    if (server.kind === "url") continue;
    throw new CommandFailure(
      `database "${name}" is embedded: where its server listens, colonnade dev alone knows. ${remedy}`,
    );
  }
}

async function reached<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (cause) {
    throw new CommandFailure(reasonAndRemedy(cause), 2, { cause });
  }
}
