/** Users' secrets, as the catalog database tells them by the statement of the configuration. */
import { SECRET_QUERY_TIMEOUT_MS } from "../../base/limits.ts";
import { quoteLiteral } from "../../base/sql-quoting.ts";
import type { Backends } from "../backend/backends.ts";
import type { LiveTopology } from "./live-topology.ts";

/** `query` gives one row: (name, secret). */
export function secretQuery(
  query: string,
  backends: Backends,
  topology: LiveTopology,
): (user: string) => Promise<string | null> {
  return async (user) => {
    const signal = AbortSignal.timeout(SECRET_QUERY_TIMEOUT_MS);
    const connection = await backends.acquireOwn(topology.current.map.catalog, signal);
    try {
      // A function, since "$" has a meaning in a replacement string.
      const { rows } = await connection.query(
        query.replaceAll(/\$1(?!\d)/g, () => quoteLiteral(user)),
        signal,
      );
      return rows[0]?.[1] ?? null;
    } finally {
      backends.release(connection);
    }
  };
}
