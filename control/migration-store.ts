/**
 * Migrations in the control schema: one row each, replaced by compare-and-set, so that of two
 * orchestrators one acts. What goes with a change (the next map, claims of tables, the log)
 * is in its transaction: the row decides all of it, or nothing of it has happened.
 *
 * It knows no states: the document is the state machine's, and comes and goes as it is.
 */
import { quoteLiteral } from "../base/sql-quoting.ts";
import { SqlError } from "../base/sql-error.ts";
import type { ControlDatabase, Row } from "./control-database.ts";
import { publishMapWithin } from "./map-versions.ts";
import type { NewMap } from "./map-versions.ts";

/** What the state machine decides on, with what the store compares and shows of it. */
export interface MigrationDocument {
  readonly name: string;
  readonly epoch: number;
  readonly ticket: number;
  readonly life: { readonly state: string };
}

export interface StoredMigration<Document extends MigrationDocument> {
  readonly document: Document;
  /** Counts stores; what is compared. */
  readonly version: number;
  /** That of the last change which proxies follow; undefined before the first. */
  readonly revision: number | undefined;
  readonly plan: unknown;
  /** As the server writes it, in UTC. */
  readonly createdAt: string;
  readonly changedAt: string;
  readonly createdBy: string;
}

export interface Change<Document extends MigrationDocument> {
  readonly document: Document;
  /** For the log: the event that led here, in a few words. */
  readonly what: string;
  /** By this server's clock, in milliseconds since 1970; the change comes before it, or not at all. */
  readonly notAfterMs?: number | undefined;
  readonly claims: "keep" | "release" | { readonly objects: readonly string[] };
  /** The switch: the next map is in force exactly when the row says so. */
  readonly publish?: { readonly map: NewMap; readonly base: number } | undefined;
  /** Runs in the transaction, after the comparison: what has to hold or happen with it. */
  readonly within?: (() => Promise<void>) | undefined;
}

export type Stored<Document extends MigrationDocument> =
  | { readonly kind: "stored"; readonly migration: StoredMigration<Document> }
  /** Somebody else has stored another: whoever gets this acts no more. */
  | { readonly kind: "stale" }
  | { readonly kind: "tooLate" };

const COLUMNS =
  "document, version, revision, plan, created_at AT TIME ZONE 'UTC', changed_at AT TIME ZONE 'UTC', created_by";

/** Throws `migration_exists` where the name is taken, also by one that is over. */
export async function createMigration<Document extends MigrationDocument>(
  database: ControlDatabase,
  document: Document,
  more: { readonly plan: unknown; readonly createdBy: string },
): Promise<StoredMigration<Document>> {
  const { name, epoch, ticket, life } = document;
  return await database.transaction(async () => {
    const [row] = await database.query(
      `INSERT INTO colonnade.migration (name, state, epoch, ticket, document, plan, created_by)
VALUES (${quoteLiteral(name)}, ${quoteLiteral(life.state)}, ${epoch}, ${ticket}, ${json(document)}, ${json(more.plan)}, ${quoteLiteral(more.createdBy)})
ON CONFLICT DO NOTHING RETURNING ${COLUMNS}`,
    );
    if (row === undefined)
      throw new SqlError("migration_exists", `there is a migration "${name}" already`);
    await database.query(eventOf(document, "planned"));
    return storedMigration<Document>(row);
  });
}

/** In the order in which they were made. */
export async function listMigrations<Document extends MigrationDocument>(
  database: ControlDatabase,
): Promise<readonly StoredMigration<Document>[]> {
  const rows = await database.query(
    `SELECT ${COLUMNS} FROM colonnade.migration ORDER BY created_at, name`,
  );
  return rows.map((row) => storedMigration<Document>(row));
}

/** What a proxy, which may read no more, tells of a migration. */
export interface MigrationSummary {
  readonly name: string;
  readonly kind: string;
  readonly state: string;
  /** Placements, or tables in their databases. */
  readonly sources: readonly string[];
  readonly targets: readonly string[];
  readonly epoch: number;
  readonly ticket: number;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly changedAt: Date;
}

/** In the order in which they were made. */
export async function summarizeMigrations(
  database: ControlDatabase,
): Promise<readonly MigrationSummary[]> {
  const milliseconds = (column: string): string => `(extract(epoch FROM ${column}) * 1000)::int8`;
  const rows = await database.query(
    `SELECT name, kind, state, coalesce(parties, '{}'), epoch, ticket, created_by, ${milliseconds("created_at")}, ${milliseconds("changed_at")} FROM colonnade.migration ORDER BY created_at, name`,
  );
  return rows.map(([name, kind, state, parties, epoch, ticket, createdBy, created, changed]) => {
    const { sources = [], targets = [] } = JSON.parse(parties ?? "{}") as Partial<
      Pick<MigrationSummary, "sources" | "targets">
    >;
    return {
      name: name ?? "",
      kind: kind ?? "",
      state: state ?? "",
      sources,
      targets,
      epoch: Number(epoch),
      ticket: Number(ticket),
      createdBy: createdBy ?? "",
      createdAt: new Date(Number(created)),
      changedAt: new Date(Number(changed)),
    };
  });
}

/** Throws `migration_unknown`. */
export async function readMigration<Document extends MigrationDocument>(
  database: ControlDatabase,
  name: string,
): Promise<StoredMigration<Document>> {
  const [row] = await database.query(
    `SELECT ${COLUMNS} FROM colonnade.migration WHERE name = ${quoteLiteral(name)}`,
  );
  if (row !== undefined) return storedMigration<Document>(row);
  throw new SqlError("migration_unknown", `there is no migration "${name}"`);
}

/**
 * Stores what was decided over `before`, where the row is still that one. A lost answer leaves
 * open whether it was stored: `readMigration` tells. Throws `migration_objects_claimed`, and
 * `map_version_taken` where the map to follow is not the one in force any more.
 */
export async function storeMigration<Document extends MigrationDocument>(
  database: ControlDatabase,
  before: StoredMigration<Document>,
  change: Change<Document>,
): Promise<Stored<Document>> {
  const outcome: { value: Stored<Document> } = { value: { kind: "stale" } };
  await database.transaction(async () => {
    outcome.value = await storeWithin(database, before, change);
  });
  return outcome.value;
}

async function storeWithin<Document extends MigrationDocument>(
  database: ControlDatabase,
  before: StoredMigration<Document>,
  change: Change<Document>,
): Promise<Stored<Document>> {
  const { document, notAfterMs } = change;
  const own = `name = ${quoteLiteral(document.name)} AND version = ${before.version} AND epoch = ${before.document.epoch}`;
  const [present] = await database.query(
    `SELECT ${notAfterMs === undefined ? "true" : `${NOW_MS} < ${notAfterMs}`} FROM colonnade.migration WHERE ${own} FOR UPDATE`,
  );
  if (present === undefined) return { kind: "stale" };
  if (present[0] !== "t") return { kind: "tooLate" };
  await change.within?.();
  await claim(database, document.name, change.claims);
  const revision =
    change.publish === undefined
      ? "revision"
      : await publishMapWithin(database, change.publish.map, change.publish.base);
  const [row] = await database.query(
    `WITH stored AS (
  UPDATE colonnade.migration SET state = ${quoteLiteral(document.life.state)}, epoch = ${document.epoch}, ticket = ${document.ticket}, document = ${json(document)}, version = version + 1, revision = ${revision}, changed_at = clock_timestamp() WHERE ${own} RETURNING *
), logged AS (${eventOf(document, change.what)} FROM stored)
SELECT ${COLUMNS} FROM stored`,
  );
  if (row === undefined) return { kind: "stale" };
  return { kind: "stored", migration: storedMigration<Document>(row) };
}

/** Which store of the row is the last, and the time as `controlNowMs` has it: cheap, for those who look often. */
export async function migrationVersion(
  database: ControlDatabase,
  name: string,
): Promise<{
  /** Undefined where there is no such migration. */
  readonly version: number | undefined;
  readonly nowMs: number;
}> {
  const [row] = await database.query(
    `SELECT ${NOW_MS}, (SELECT version FROM colonnade.migration WHERE name = ${quoteLiteral(name)})`,
  );
  const [nowMs, version] = row ?? [];
  return {
    version: (version ?? null) === null ? undefined : Number(version),
    nowMs: Number(nowMs),
  };
}

/** Milliseconds since 1970 by the server's clock: what a state machine is told the time is. */
export async function controlNowMs(database: ControlDatabase): Promise<number> {
  const [row] = await database.query(`SELECT ${NOW_MS}`);
  return Number(row?.[0]);
}

const NOW_MS = "floor(extract(epoch FROM clock_timestamp()) * 1000)::int8";

/** All or none. Those of one migration are its own, however often it claims them. */
async function claim(
  database: ControlDatabase,
  name: string,
  claims: Change<MigrationDocument>["claims"],
): Promise<void> {
  if (claims === "keep") return;
  const migration = quoteLiteral(name);
  if (claims === "release") {
    await database.query(`DELETE FROM colonnade.migration_claim WHERE migration = ${migration}`);
    return;
  }
  // In one order, so that two who claim the same wait for each other instead of dying.
  const objects = [...new Set(claims.objects)].toSorted();
  for (const object of objects)
    await database.query(
      `INSERT INTO colonnade.migration_claim (object, migration) VALUES (${quoteLiteral(object)}, ${migration}) ON CONFLICT DO NOTHING`,
    );
  const [taken] = await database.query(
    `SELECT object, migration FROM colonnade.migration_claim WHERE object IN (${objects.map(quoteLiteral).join(", ")}) AND migration <> ${migration} ORDER BY object LIMIT 1`,
  );
  if (taken === undefined) return;
  throw new SqlError(
    "migration_objects_claimed",
    `migration "${taken[1]}" moves ${taken[0]}, so migration "${name}" cannot`,
  );
}

export interface LoggedEvent {
  readonly at: string;
  readonly state: string;
  readonly epoch: number;
  readonly ticket: number;
  readonly what: string;
}

/** The last `limit` ones, the oldest of them first. */
export async function readEvents(
  database: ControlDatabase,
  name: string,
  limit: number,
): Promise<readonly LoggedEvent[]> {
  const rows = await database.query(
    `SELECT at AT TIME ZONE 'UTC', state, epoch, ticket, what FROM colonnade.migration_event WHERE migration = ${quoteLiteral(name)} ORDER BY number DESC LIMIT ${limit}`,
  );
  return rows.toReversed().map(([at, state, epoch, ticket, what]) => ({
    at: at ?? "",
    state: state ?? "",
    epoch: Number(epoch),
    ticket: Number(ticket),
    what: what ?? "",
  }));
}

/** For the log; a FROM may follow. */
function eventOf({ name, life, epoch, ticket }: MigrationDocument, what: string): string {
  return `INSERT INTO colonnade.migration_event (migration, state, epoch, ticket, what) SELECT ${[name, life.state].map(quoteLiteral).join(", ")}, ${epoch}, ${ticket}, ${quoteLiteral(what)}`;
}

function json(value: unknown): string {
  return quoteLiteral(JSON.stringify(value));
}

function storedMigration<Document extends MigrationDocument>(row: Row): StoredMigration<Document> {
  const [document, version, revision, plan, createdAt, changedAt, createdBy] = row;
  return {
    document: JSON.parse(document ?? "null") as Document,
    version: Number(version),
    revision: (revision ?? null) === null ? undefined : Number(revision),
    plan: JSON.parse(plan ?? "null") as unknown,
    createdAt: createdAt ?? "",
    changedAt: changedAt ?? "",
    createdBy: createdBy ?? "",
  };
}
