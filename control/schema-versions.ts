/**
 * Makes the control schema, brings it up to date, and says what is there. Every step may be
 * run again, and by several at once.
 */
import { SqlError } from "../base/sql-error.ts";
import type { ControlDatabase } from "./control-database.ts";
import {
  CONTROL_SCHEMA_VERSION,
  CONTROL_TABLE_EXISTS,
  CONTROL_UPGRADES,
  grantToProxies,
  LOCK_CONTROL_SCHEMA,
  setSchemaVersion,
} from "./control-schema.ts";
import { actAsOwner } from "./schema-owner.ts";

export interface SchemaChange {
  /** 0 where there was none. */
  readonly from: number;
  readonly to: number;
}

/** Undefined where there is no control schema. */
export async function controlSchemaVersion(database: ControlDatabase): Promise<number | undefined> {
  const [exists] = await database.query(CONTROL_TABLE_EXISTS);
  if (exists?.[0] !== "t") return undefined;
  const [row] = await database.query("SELECT schema_version FROM colonnade.control");
  return Number(row?.[0]);
}

/** For whoever is about to use it: refused where it is missing, or not of this program's version. */
export async function requireControlSchema(database: ControlDatabase): Promise<void> {
  const version = await controlSchemaVersion(database);
  if (version === CONTROL_SCHEMA_VERSION) return;
  if (version === undefined)
    throw new SqlError("control_schema_missing", "the database has no control schema");
  throw new SqlError(
    version < CONTROL_SCHEMA_VERSION ? "control_schema_old" : "control_schema_new",
    `the control schema is of version ${version}, and this program uses version ${CONTROL_SCHEMA_VERSION}`,
  );
}

/**
 * Makes it where it is missing (`init`), and brings it to this program's version. All or nothing,
 * and all of it the owner's.
 * `proxyRole` is given what proxies need, also where nothing else changes.
 */
export async function upgradeControlSchema(
  database: ControlDatabase,
  proxyRole: string | undefined,
): Promise<SchemaChange> {
  return await database.transaction(async () => {
    await database.query(LOCK_CONTROL_SCHEMA);
    await actAsOwner(database);
    const from = (await controlSchemaVersion(database)) ?? 0;
    if (from > CONTROL_SCHEMA_VERSION) await requireControlSchema(database);
    for (const upgrade of CONTROL_UPGRADES.slice(from)) await database.query(upgrade);
    if (from < CONTROL_SCHEMA_VERSION)
      await database.query(setSchemaVersion(CONTROL_SCHEMA_VERSION));
    if (proxyRole !== undefined) await database.query(grantToProxies(proxyRole));
    return { from, to: CONTROL_SCHEMA_VERSION };
  });
}
