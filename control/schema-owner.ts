/**
 * Whose the control schema is. Whoever makes or upgrades it does so as that role, where they are a
 * member of it: tables of a member would shut out the owner, who cannot be made its member in turn.
 */
import { quoteIdentifier } from "../base/sql-quoting.ts";
import type { ControlDatabase } from "./control-database.ts";

/**
 * The owner of the tables, or of the schema where there are none; who asks, where there is no
 * schema either or its owner is somebody they may not stand in for. A schema that was made for
 * the records of transactions alone is the role's that clients' statements run as, which must
 * not own maps.
 */
const OWNER = `
SELECT coalesce(min(o.rolname::pg_catalog.text), current_user), current_user FROM pg_catalog.pg_namespace n
LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = 'control'
JOIN pg_catalog.pg_roles o ON o.oid = coalesce(c.relowner, n.nspowner)
WHERE n.nspname = 'colonnade' AND pg_catalog.pg_has_role(o.oid, 'MEMBER')
  AND pg_catalog.has_schema_privilege(o.oid, n.oid, 'CREATE')
  AND (c.oid IS NOT NULL OR NOT EXISTS (SELECT FROM pg_catalog.pg_class r
    WHERE r.relnamespace = n.oid AND r.relname = 'commit_record' AND r.relowner = n.nspowner))`;

/** The role that owns the control schema, or will once who asks has made it. */
export async function schemaOwner(database: ControlDatabase): Promise<string> {
  return (await ownerAndUser(database)).owner;
}

/** For the rest of the transaction. */
export async function actAsOwner(database: ControlDatabase): Promise<void> {
  const { owner, user } = await ownerAndUser(database);
  if (owner !== user) await database.query(`SET LOCAL ROLE ${quoteIdentifier(owner)}`);
}

async function ownerAndUser(
  database: ControlDatabase,
): Promise<{ readonly owner: string; readonly user: string }> {
  const [row] = await database.query(OWNER);
  const [owner, user] = row ?? [];
  return { owner: owner ?? "", user: user ?? "" };
}
