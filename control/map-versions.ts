/**
 * Published shard maps: numbered from one to the next without gaps, never changed, one of
 * them in force. Publishing compares and sets, so that of two who edited the same version only
 * one is published and the other is told.
 *
 * Whether a map may take another's place is not judged here: see shardmap/diff.ts.
 */
import { createHash } from "node:crypto";
import { SqlError } from "../base/sql-error.ts";
import { quoteLiteral } from "../base/sql-quoting.ts";
import type { ControlDatabase, Row } from "./control-database.ts";
import { ANNOUNCE_RAISED, raiseRevision } from "./control-schema.ts";

export interface MapRecord {
  readonly version: number;
  readonly author: string;
  /** As the server writes it, in UTC: `2026-11-22 06:12:45.123`. */
  readonly publishedAt: string;
  /** Sentences: what it changed of the version before. */
  readonly changes: readonly string[];
}

export interface PublishedMap extends MapRecord {
  /** The file as it was published, comments and all. */
  readonly yaml: string;
  /** Which database each name stood for when it was published; see readIdentity. */
  readonly identities: Readonly<Record<string, string>>;
}

/** What tells one text from another: after a restore, two maps may have had one number. As `map_hash` of the fleet's state. */
export function mapHash(yaml: string): string {
  return createHash("sha256").update(yaml).digest("hex");
}

export type NewMap = Omit<PublishedMap, "publishedAt">;

const RECORD = "version, author, published_at AT TIME ZONE 'UTC', changes";

/** The one in force; undefined before the first. */
export async function currentMap(database: ControlDatabase): Promise<PublishedMap | undefined> {
  const [row] = await database.query(
    `SELECT ${RECORD}, yaml, identities FROM colonnade.map WHERE version = (SELECT map_version FROM colonnade.control)`,
  );
  return row === undefined ? undefined : publishedMap(row);
}

export async function publishedMapOf(
  database: ControlDatabase,
  version: number,
): Promise<PublishedMap> {
  const [row] = await database.query(
    `SELECT ${RECORD}, yaml, identities FROM colonnade.map WHERE version = ${version}`,
  );
  if (row === undefined)
    throw new SqlError("map_version_unknown", `no shard map of version ${version} was published`);
  return publishedMap(row);
}

/** The last first. */
export async function mapHistory(
  database: ControlDatabase,
  limit: number,
): Promise<readonly MapRecord[]> {
  const rows = await database.query(
    `SELECT ${RECORD} FROM colonnade.map ORDER BY version DESC LIMIT ${limit}`,
  );
  return rows.map(mapRecord);
}

/**
 * Puts `map` in force where `base` still is; undefined says that none is yet. Throws
 * `map_version_taken` where another came first. A lost answer leaves open whether it was
 * published: `currentMap` tells. `lastLook` may throw why it is not to be: meanwhile no proxy
 * announces DDL, and whose comes later finds the new map. Renewals wait for it, so it is a short one.
 */
export async function publishMap(
  database: ControlDatabase,
  map: NewMap,
  base: number | undefined,
  lastLook: () => Promise<void> = async () => undefined,
): Promise<void> {
  await database.transaction(async () => {
    await publishMapWithin(database, map, base);
    await lastLook();
  });
}

/** The same in a transaction of the caller's; gives the revision that proxies then follow. */
export async function publishMapWithin(
  database: ControlDatabase,
  map: NewMap,
  base: number | undefined,
): Promise<number> {
  const [raised, control] = await database.query(
    `${raiseRevision()}; SELECT map_version FROM colonnade.control`,
  );
  const inForce = control?.[0] ?? undefined;
  if (inForce !== base?.toString()) {
    throw new SqlError(
      "map_version_taken",
      `version ${inForce ?? "none"} of the shard map is in force now, and not ${base ?? "none"}`,
    );
  }
  await database.query(
    `INSERT INTO colonnade.map (version, yaml, author, changes, identities) VALUES (${map.version}, ${quoteLiteral(map.yaml)}, ${quoteLiteral(map.author)}, ${quoteLiteral(JSON.stringify(map.changes))}, ${quoteLiteral(JSON.stringify(map.identities))});
UPDATE colonnade.control SET map_version = ${map.version}; ${ANNOUNCE_RAISED}`,
  );
  return Number(raised?.[0]);
}

function publishedMap(row: Row): PublishedMap {
  const [yaml, identities] = row.slice(4);
  return {
    ...mapRecord(row),
    yaml: yaml ?? "",
    identities: JSON.parse(identities ?? "{}") as Readonly<Record<string, string>>,
  };
}

function mapRecord([version, author, publishedAt, changes]: Row): MapRecord {
  return {
    version: Number(version),
    author: author ?? "",
    publishedAt: publishedAt ?? "",
    changes: JSON.parse(changes ?? "[]") as readonly string[],
  };
}
