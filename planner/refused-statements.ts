/**
 * The statements that are refused whatever they say, by the names PostgreSQL has for them (its command
 * tags). Nothing of what they are about is known here.
 */
import type { Node, ObjectType } from "@pgsql/types";
import { unwrap } from "./ast.ts";
import { refuse } from "./refusal.ts";

const DEFAULTS_HINT =
  "Run it in every database, past the proxy, and restart the proxy: it reads the defaults of sessions when it starts.";

/** What would leave something on a backend that the next client of the pool must not find, or cannot be split. */
const REFUSED: ReadonlyMap<string, { readonly command: string; readonly hint?: string }> = new Map([
  [
    "DoStmt",
    { command: "DO", hint: "Its statements cannot be seen by the proxy: send them one by one." },
  ],
  [
    "CallStmt",
    { command: "CALL", hint: "Its statements cannot be seen by the proxy: send them one by one." },
  ],
  [
    "ConstraintsSetStmt",
    {
      command: "SET CONSTRAINTS",
      hint: "Declare the constraint INITIALLY DEFERRED where it is to be checked at COMMIT.",
    },
  ],
  ["CheckPointStmt", { command: "CHECKPOINT" }],
  ["LoadStmt", { command: "LOAD" }],
  ["AlterSystemStmt", { command: "ALTER SYSTEM" }],
  ["CreatedbStmt", { command: "CREATE DATABASE" }],
  ["DropdbStmt", { command: "DROP DATABASE" }],
  ["AlterDatabaseStmt", { command: "ALTER DATABASE" }],
  ["AlterDatabaseSetStmt", { command: "ALTER DATABASE ... SET", hint: DEFAULTS_HINT }],
  ["AlterRoleSetStmt", { command: "ALTER ROLE ... SET", hint: DEFAULTS_HINT }],
  ["AlterDatabaseRefreshCollStmt", { command: "ALTER DATABASE" }],
  ["CreateTableSpaceStmt", { command: "CREATE TABLESPACE" }],
  ["DropTableSpaceStmt", { command: "DROP TABLESPACE" }],
  ["AlterTableSpaceOptionsStmt", { command: "ALTER TABLESPACE" }],
  ["CreatePublicationStmt", { command: "CREATE PUBLICATION" }],
  ["AlterPublicationStmt", { command: "ALTER PUBLICATION" }],
  ["CreateSubscriptionStmt", { command: "CREATE SUBSCRIPTION" }],
  ["AlterSubscriptionStmt", { command: "ALTER SUBSCRIPTION" }],
  ["DropSubscriptionStmt", { command: "DROP SUBSCRIPTION" }],
]);

export function refuseSessionBound(node: Node): void {
  const refused = REFUSED.get(unwrap(node)?.kind ?? "");
  if (refused !== undefined) {
    refuse("statement_not_supported", `${refused.command} is not supported`, {
      hint: refused.hint,
    });
  }
}

/** Objects that nothing here keeps alike in all databases: CREATE and ALTER of them are other kinds each. */
const COMMANDS: ReadonlyMap<string, string> = new Map([
  ["AlterEventTrigStmt", "ALTER EVENT TRIGGER"],
  ["AlterFdwStmt", "ALTER FOREIGN DATA WRAPPER"],
  ["AlterForeignServerStmt", "ALTER SERVER"],
  ["AlterObjectDependsStmt", "ALTER ... DEPENDS ON EXTENSION"],
  ["AlterOwnerStmt", "ALTER DATABASE"],
  ["AlterPolicyStmt", "ALTER POLICY"],
  ["AlterStatsStmt", "ALTER STATISTICS"],
  ["AlterTableMoveAllStmt", "ALTER TABLE ALL IN TABLESPACE"],
  ["AlterUserMappingStmt", "ALTER USER MAPPING"],
  ["CreateAmStmt", "CREATE ACCESS METHOD"],
  ["CreateEventTrigStmt", "CREATE EVENT TRIGGER"],
  ["CreateFdwStmt", "CREATE FOREIGN DATA WRAPPER"],
  ["CreateForeignServerStmt", "CREATE SERVER"],
  ["CreateForeignTableStmt", "CREATE FOREIGN TABLE"],
  ["CreatePLangStmt", "CREATE LANGUAGE"],
  ["CreateStatsStmt", "CREATE STATISTICS"],
  ["CreateUserMappingStmt", "CREATE USER MAPPING"],
  ["DropOwnedStmt", "DROP OWNED"],
  ["DropUserMappingStmt", "DROP USER MAPPING"],
  ["ImportForeignSchemaStmt", "IMPORT FOREIGN SCHEMA"],
  ["ReassignOwnedStmt", "REASSIGN OWNED"],
  ["SecLabelStmt", "SECURITY LABEL"],
]);

const DROPPED: ReadonlyMap<ObjectType, string> = new Map([
  ["OBJECT_ACCESS_METHOD", "DROP ACCESS METHOD"],
  ["OBJECT_EVENT_TRIGGER", "DROP EVENT TRIGGER"],
  ["OBJECT_FDW", "DROP FOREIGN DATA WRAPPER"],
  ["OBJECT_FOREIGN_SERVER", "DROP SERVER"],
  ["OBJECT_FOREIGN_TABLE", "DROP FOREIGN TABLE"],
  ["OBJECT_LANGUAGE", "DROP LANGUAGE"],
  ["OBJECT_POLICY", "DROP POLICY"],
  ["OBJECT_PUBLICATION", "DROP PUBLICATION"],
  ["OBJECT_STATISTIC_EXT", "DROP STATISTICS"],
]);

/** Of a statement that no part of the planner has taken. */
export function refuseStatement(node: Node): never {
  const command =
    "DropStmt" in node
      ? DROPPED.get(node.DropStmt.removeType ?? "OBJECT_TABLE")
      : COMMANDS.get(unwrap(node)?.kind ?? "");
  return refuse(
    "statement_not_supported",
    `${command ?? "this kind of statement"} is not supported`,
  );
}
