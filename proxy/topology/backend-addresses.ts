/**
 * Where each database of the shard map listens. Databases that are embedded have no URL in
 * the map: whoever started their servers says where they are.
 */
import type { DatabaseName } from "../../base/ids.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import { parseBackendAddress } from "../backend/backend-address.ts";
import type { BackendAddress } from "../backend/backend-address.ts";

/** The primaries' addresses. Throws `backend_url_invalid`, which names the database. */
export function backendAddresses(
  map: Pick<ShardMap, "databases">,
  embedded: ReadonlyMap<DatabaseName, BackendAddress> = new Map(),
): ReadonlyMap<DatabaseName, BackendAddress> {
  const addresses = new Map<DatabaseName, BackendAddress>();
  for (const { name, server } of map.databases.values()) {
    if (server.kind === "url") addresses.set(name, parseNamed(name, server.primary));
    else {
      const address = embedded.get(name);
      if (address === undefined) {
        throw new SqlError(
          "backend_url_invalid",
          `database "${name}" is embedded, and no server was started for it`,
          { hint: "Start it with colonnade dev, or give the database a URL." },
        );
      }
      addresses.set(name, address);
    }
  }
  return addresses;
}

function parseNamed(database: DatabaseName, url: string): BackendAddress {
  try {
    return parseBackendAddress(url);
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    throw new SqlError(error.id, `database "${database}": ${error.message}`, {
      hint: error.hint,
      cause: error,
    });
  }
}
