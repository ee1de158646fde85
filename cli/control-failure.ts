/**
 * Why a command cannot use the control schema, and what to do: in terms of `--control` and of
 * the roles there. The servers of a map's databases have remedies of their own, which are not these.
 */
import { quoteIdentifier } from "../base/sql-quoting.ts";
import type { ControlDatabase } from "../control/control-database.ts";
import type { BackendAddress } from "../proxy/backend/backend-address.ts";
import { BackendError } from "../proxy/backend/backend-connection.ts";
import { reasonAndRemedy } from "./failure.ts";

/** What a command does with the control schema: reads it, as proxies do, publishes and the like, or changes its tables. */
export type ControlNeed = "read" | "write" | "own";

/** Of a statement there; asks the server what the remedy takes, where the connection still serves. */
export async function statementFailure(
  database: ControlDatabase,
  address: BackendAddress,
  need: ControlNeed,
  error: unknown,
): Promise<string> {
  if (!(error instanceof BackendError)) return reasonAndRemedy(error);
  const { M: message = "", D: detail, H: hint } = error.fields;
  const remedy = await remedyOf(database, address, need, error).catch(() => undefined);
  const sentences = [`control schema: ${message}.`, detail, hint, remedy];
  return sentences.filter((part) => part !== undefined).join(" ");
}

async function remedyOf(
  database: ControlDatabase,
  address: BackendAddress,
  need: ControlNeed,
  { fields }: BackendError,
): Promise<string | undefined> {
  switch (fields.C) {
    case "42501":
      return await remedyOfRights(database, address, need);
    case "42704":
      return "Create the role first, for example with CREATE ROLE ... LOGIN PASSWORD '...', or correct --proxy-role.";
    case "25006":
      return "--control names a standby: name its primary.";
    default:
      return undefined;
  }
}

async function remedyOfRights(
  database: ControlDatabase,
  address: BackendAddress,
  need: ControlNeed,
): Promise<string> {
  const role = quoteIdentifier(address.user);
  const [owners] = await database.query(
    `SELECT n.nspowner::regrole, c.relowner::regrole, pg_catalog.pg_has_role(c.relowner, current_user, 'MEMBER'), pg_catalog.pg_has_role(n.nspowner, 'MEMBER') FROM pg_catalog.pg_namespace n
LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = 'control'
WHERE n.nspname = 'colonnade'`,
  );
  const [ofSchema, ofTables, isMemberOfUser, mayStandIn] = owners ?? [];
  if ((ofSchema ?? null) === null)
    return `Making it needs a right on the database: GRANT CREATE ON DATABASE ${quoteIdentifier(address.database)} TO ${role}.`;
  if ((ofTables ?? null) === null && mayStandIn === "t")
    return `Its schema is there, and is ${ofSchema}'s, and this role may not act as it (SET ROLE): use that role in --control.`;
  if ((ofTables ?? null) === null)
    return `Its schema is there, and is ${ofSchema}'s: ALTER SCHEMA colonnade OWNER TO ${role}. Databases of a shard map have that schema for records of transactions: where this is not the catalog database, correct --control.`;
  if (need === "read")
    return `Let the role read it, as ${ofTables}, whose it is: colonnade control init --proxy-role ${role} --control URL. Where it is the role of a URL in the shard map, which clients' statements run as, name another one in --control instead.`;
  const whose = `It is ${ofTables}'s: use that role in --control`;
  // Nobody is to be made a superuser for a map's sake, who is a member of every role; nor can two be each other's members.
  if (isMemberOfUser !== "t")
    return `${whose}, or make this one its member: GRANT ${ofTables} TO ${role}.`;
  if (need === "own") return `${whose}.`;
  return `${whose}, or let this one publish: GRANT USAGE ON SCHEMA colonnade TO ${role}; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA colonnade TO ${role}.`;
}
