/** What `colonnade dev` prints when it is ready: where it listens, and what to try first. */
import type { ShardMap } from "../../shardmap/shard-map.ts";
import type { DevServers } from "./dev-servers.ts";

export interface Welcome {
  /** Of the proxy. */
  readonly url: string;
  readonly port: number;
  readonly adminPort: number;
  readonly map: ShardMap;
  readonly servers: DevServers;
  /** The map with the servers' URLs. */
  readonly mapFile: string;
  /** The sample's tables are there to be tried. */
  readonly isSample: boolean;
}

/** Each is run by a test, so that what is promised here is true. */
export const STATEMENTS_TO_TRY = [
  {
    sql: "SELECT u.name, o.id, o.total FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = 42 ORDER BY o.id",
    shows: "One user: the statement goes to the one database that holds user 42, join and all.",
  },
  {
    sql: "SELECT status, count(*), sum(total) FROM orders GROUP BY status ORDER BY status",
    shows: "All users: every database counts its own orders, and the counts become one answer.",
  },
  {
    sql: "SELECT w.name, d.title FROM workspaces w JOIN users u ON u.id = d.number JOIN documents d ON d.workspace_id = w.id",
    shows:
      "Refused: users and workspaces are kept apart by different keys, so no database could answer.",
  },
] as const;

export function printWelcome(welcome: Welcome): void {
  process.stdout.write(welcomeText(welcome));
}

function welcomeText({ url, adminPort, map, servers, mapFile, isSample, port }: Welcome): string {
  const lines = [
    "",
    `Ready: ${map.databases.size} databases look like one, on 127.0.0.1:${port}.`,
    "",
    `  psql    psql "${url}"`,
    `  URL     ${url}`,
    `  health  http://127.0.0.1:${adminPort}/readyz   metrics  http://127.0.0.1:${adminPort}/metrics`,
    "",
    "The databases behind it, past the proxy:",
    "",
    ...[...servers.urls].map(([name, direct]) => `  ${name.padEnd(10)} ${direct}`),
    "",
    `  The map, with these URLs, for other commands: ${mapFile}`,
    "",
  ];
  if (isSample) {
    lines.push("Try:", "");
    for (const { sql, shows } of STATEMENTS_TO_TRY) lines.push(`  ${sql};`, `      ${shows}`, "");
  }
  lines.push("Ctrl-C stops everything; the next start finds the data again.", "");
  return lines.join("\n");
}
