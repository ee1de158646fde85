/** What the commands `check --live` and `explain` ask of a map's databases: connections of their own, closed at the end. */
import { Backends } from "../proxy/backend/backends.ts";
import { backendAddresses } from "../proxy/topology/backend-addresses.ts";
import { CatalogSource } from "../proxy/topology/catalog-source.ts";
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
  // No other database is asked, so where those are is of no matter.
  const databases = new Map([...map.databases].filter(([name]) => name === map.catalog));
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
