/** Who may read published maps: the proxies' own role, and not the one that clients' statements run as. */
import { quoteIdentifier, quoteLiteral } from "../base/sql-quoting.ts";
import type { ControlDatabase } from "../control/control-database.ts";
import { currentMap } from "../control/map-versions.ts";
import { controlSchemaVersion } from "../control/schema-versions.ts";
import { schemaOwner } from "../control/schema-owner.ts";
import { backendAddresses } from "../proxy/topology/backend-addresses.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";
import { CommandFailure } from "./failure.ts";
import { mapOf, readPublishedMap } from "./input-files.ts";

const REMEDY =
  "Name a role of the proxies' own, for example one of CREATE ROLE fleet LOGIN PASSWORD '...'.";

/** Throws CommandFailure. That the role does not exist, or who asks may not say who may read, the server itself says. */
export async function refuseProxyRole(database: ControlDatabase, role: string): Promise<void> {
  const owner = await schemaOwner(database);
  const [row] = await database.query(
    `SELECT pg_catalog.pg_has_role(p.oid, ${quoteLiteral(owner)}, 'MEMBER'),
       EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = pg_catalog.to_regnamespace('colonnade')
         AND c.relname = 'commit_record' AND c.relowner = p.oid),
       EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = pg_catalog.to_regnamespace('colonnade')
         AND c.relname = 'control' AND NOT pg_catalog.pg_has_role(c.relowner, 'MEMBER'))
     FROM pg_catalog.pg_roles p WHERE p.rolname = ${quoteLiteral(role)}`,
  );
  if (row === undefined) return;
  const [isOwner, keepsRecords, isAnothers] = row;
  if (isAnothers === "t") return;
  if (isOwner === "t")
    throw refused(
      role,
      `has all rights of ${quoteIdentifier(owner)}, whose the control schema is, and proxies need few of them`,
    );
  if (keepsRecords === "t" || (await rolesOfUrls(database)).has(role))
    throw refused(
      role,
      "is the role of a database's URL, which clients' statements run as: they could read the maps, and the passwords in them",
    );
}

async function rolesOfUrls(database: ControlDatabase): Promise<ReadonlySet<string>> {
  if ((await controlSchemaVersion(database)) === undefined) return new Set();
  const published = await currentMap(database);
  if (published === undefined) return new Set();
  return usersOf(mapOf(readPublishedMap(published)));
}

function usersOf(map: ShardMap): ReadonlySet<string> {
  return new Set([...backendAddresses(map).values()].map(({ user }) => user));
}

/** Sentences. A superuser, who may do anything anyway, is not told of. */
export async function readersOfMaps(
  database: ControlDatabase,
  map: ShardMap,
): Promise<readonly string[]> {
  const users = [...usersOf(map)].map(quoteLiteral).join(", ");
  const rows = await database.query(
    `SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN (${users}) AND NOT rolsuper
       AND pg_catalog.has_table_privilege(oid, 'colonnade.map', 'SELECT') ORDER BY 1`,
  );
  return rows.map(
    ([role]) =>
      `clients' statements run as role ${quoteIdentifier(role ?? "")}, which may read published maps, and the passwords in them: give the proxies a role of their own (control init --proxy-role), and take the rights on schema colonnade away from this one`,
  );
}

function refused(role: string, reason: string): CommandFailure {
  return new CommandFailure(`--proxy-role: ${quoteIdentifier(role)} ${reason}. ${REMEDY}`);
}
