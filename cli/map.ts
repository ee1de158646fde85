/**
 * `colonnade map diff|publish|history|show|rollback`: from one version of the shard map to the
 * next, for a fleet of proxies. What would leave rows where no proxy looks for them, or give them
 * two owners, is not published.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { userInfo } from "node:os";
import type { ControlDatabase } from "../control/control-database.ts";
import { ddlUnderWay } from "../control/ddl-intents.ts";
import type { NamedDdl } from "../control/ddl-intents.ts";
import { readFleetState } from "../control/fleet-state.ts";
import { currentMap, mapHistory, publishedMapOf, publishMap } from "../control/map-versions.ts";
import type { MapRecord, NewMap, PublishedMap } from "../control/map-versions.ts";
import {
  MAP_HISTORY_MAX,
  PUBLISH_POLL_MS,
  PUBLISH_WAIT_MS,
  PUBLISH_WARNINGS_SHOWN_MAX,
} from "../base/limits.ts";
import { SqlError } from "../base/sql-error.ts";
import { printProblem } from "../base/document/problems.ts";
import { withVersion } from "../shardmap/edit.ts";
import { mapChanges, printChange } from "../shardmap/map-changes.ts";
import type { MapChange } from "../shardmap/map-changes.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";
import { withControl } from "./control-access.ts";
import type { ControlFlags } from "./control-access.ts";
import { CommandFailure } from "./failure.ts";
import { printJson, printLines } from "./output.ts";
import { readInput, readMapText, readPublishedMap, requireMap } from "./input-files.ts";
import type { MapFile } from "./input-files.ts";
import { movedRows } from "./moved-rows.ts";
import type { MovedRows } from "./moved-rows.ts";
import { checkPublication, LastLook } from "./publication-checks.ts";
import { followerLine, lateProxies, untilFollowed } from "./publication-followers.ts";
import { readersOfMaps } from "./proxy-role.ts";
import { tableLines } from "./table-lines.ts";
import { tableExistence } from "./unlisted-tables.ts";

export interface MapDiffFlags {
  /** Ask the old map's databases how many rows would have to move. */
  readonly live?: true;
  readonly json?: true;
}

/** Exit code 1 where the new map cannot take over at once, 2 where rows were to be counted and could not be. */
export async function mapDiff(
  oldPath: string,
  newPath: string,
  flags: MapDiffFlags,
): Promise<void> {
  const before = requireMap(oldPath);
  const next = requireMap(newPath);
  const seen = flags.live === true ? await lookAtRows(before, next) : { rows: [] };
  const changes = seen.changes ?? mapChanges(before, next);
  const needsMigration = changes.some(({ needs }) => needs === "migration");
  if (flags.json === true) {
    printJson({
      from: before.version,
      to: next.version,
      needsMigration,
      changes: changes.map((change) => ({ ...change, move: undefined })),
      rows: seen.rows,
    });
  } else {
    printLines([
      `from version ${before.version} to version ${next.version}:`,
      ...changeLines(changes),
      ...rowLines(seen.rows),
      ...versionLines(before, next, newPath),
    ]);
  }
  if (seen.failure !== undefined) throw seen.failure;
  const other = changes.flatMap((change) => (change.instead === undefined ? [] : [change]));
  if (other.length > 0) throw new CommandFailure(other.map(insteadOf).join("\n"), 1);
  if (needsMigration)
    throw new CommandFailure(`rows would have to move first: ${planCommand(newPath)}`, 1);
  if (changes.some(({ needs }) => needs === "drop"))
    throw new CommandFailure(
      "a table that has rows elsewhere would be looked for in the catalog database: keep it listed, or DROP TABLE it through a proxy first",
      1,
    );
}

interface SeenRows {
  readonly rows: readonly MovedRows[];
  /** By what tables there are; undefined where that cannot be asked. */
  readonly changes?: readonly MapChange[];
  /** What changes is told all the same. */
  readonly failure?: CommandFailure;
}

async function lookAtRows(before: ShardMap, next: ShardMap): Promise<SeenRows> {
  let changes: readonly MapChange[] | undefined;
  try {
    changes = mapChanges(before, next, await tableExistence(before, next));
    return { changes, rows: await movedRows(before, changes) };
  } catch (cause) {
    if (!(cause instanceof CommandFailure)) throw cause;
    const failure = new CommandFailure(
      `the rows that would have to move are not counted: ${cause.message}`,
      2,
      { cause },
    );
    return { rows: [], failure, ...(changes !== undefined && { changes }) };
  }
}

function insteadOf(change: MapChange): string {
  return `${printChange(change)}: ${change.instead}`;
}

function changeLines(changes: readonly MapChange[]): readonly string[] {
  if (changes.length === 0) return ["  nothing that matters to a proxy changes"];
  const needed = {
    nothing: "at once",
    "no table": "at once, if it is yet to be made",
    "another map": "not by a migration",
    migration: "needs a migration",
    drop: "not while the table exists",
  };
  return changes.map((change) => `  ${needed[change.needs]}: ${printChange(change)}`);
}

function rowLines(rows: readonly MovedRows[]): readonly string[] {
  if (rows.length === 0) return [];
  return [
    "rows that would have to move, by the servers' own estimate:",
    ...tableLines(
      ["table", "from", "to", "rows", "bytes"],
      rows.map(({ table, from, to, rows: count, bytes }) =>
        [table, from, to, count, bytes].map(String),
      ),
    ),
  ];
}

/** Any two versions may be compared; only the next one can be published. */
function versionLines(before: ShardMap, next: ShardMap, path: string): readonly string[] {
  const wanted = before.version + 1;
  if (next.version === wanted) return [];
  return [`to be published over version ${before.version}, ${path} has to say version: ${wanted}`];
}

/** To be pasted: `--control` is what only who runs it knows. */
function planCommand(path: string): string {
  return `colonnade migrate plan --to ${path} --control URL`;
}

export interface MapPublishFlags extends ControlFlags {
  readonly author?: string;
  /** `--no-wait` makes it false. */
  readonly wait: boolean;
}

export async function mapPublish(path: string, flags: MapPublishFlags): Promise<void> {
  await publish(readInput(path, "map"), { fileName: path, toMove: planCommand(path) }, flags);
}

/** The text of an older version under the next number, with the same checks as any other. */
export async function mapRollback(version: number, flags: MapPublishFlags): Promise<void> {
  const { text, inForce } = await withControl(flags, async (database) => {
    const [old, current] = [
      await publishedMapOf(database, version),
      await requireCurrent(database),
    ];
    return { text: old.yaml, inForce: current.version };
  });
  if (inForce === version)
    throw new CommandFailure(`version ${version} of the shard map is in force`, 1);
  const origin = {
    fileName: `version ${version}`,
    rollbackOf: version,
    toMove: `colonnade map show ${version} --control URL > FILE, write version: ${inForce + 1} in it, and ${planCommand("FILE")}`,
  };
  await publish(withVersion(text, inForce + 1), origin, flags);
}

/** Where a text to publish comes from. */
interface MapOrigin {
  /** What problems name. */
  readonly fileName: string;
  /** The version whose text it is. */
  readonly rollbackOf?: number;
  /** What a person does where it asks for rows to be moved. */
  readonly toMove: string;
}

async function publish(text: string, origin: MapOrigin, flags: MapPublishFlags): Promise<void> {
  const { fileName } = origin;
  const next = soundMap(readMapText(text, fileName));
  const published = await withControl(flags, async (database) => {
    const current = await currentMap(database);
    refuseVersion(current, next, fileName);
    const before = current === undefined ? undefined : soundMap(readPublishedMap(current));
    const checked = await checkPublication(before, current?.identities, next);
    const { problems, warnings, identities, changes } = checked;
    if (problems.length > 0)
      throw notPublished(fileName, [...problems, ...remedies(changes, origin)]);
    const author = flags.author ?? userInfo().username;
    const rollback =
      origin.rollbackOf === undefined ? [] : [`rollback to version ${origin.rollbackOf}`];
    const sentences = [...rollback, ...changes.map(printChange)];
    const { version } = next;
    const map = { version, yaml: text, author, changes: sentences, identities };
    try {
      if (before === undefined) await publishMap(database, map, undefined);
      else await publishBesideDdl(database, map, { before, next, origin });
    } catch (error) {
      throw await unlessOvertaken(database, error, fileName);
    }
    const proxies = flags.wait ? await untilFollowed(database) : [];
    const isFirst = before === undefined;
    return {
      version,
      isFirst,
      changes: sentences,
      warnings: [...warnings, ...(await readersOfMaps(database, next))],
      proxies,
    };
  });
  const late = lateProxies(published.proxies);
  if (flags.json === true) printJson(published);
  else
    printLines([
      `version ${published.version} of the shard map is published`,
      ...publishedChanges(published),
      ...warningLines(published.warnings),
      ...published.proxies.map(followerLine),
    ]);
  if (late.length > 0)
    throw new CommandFailure(
      `published, but ${late.length} of ${published.proxies.filter(({ isAwaited }) => isAwaited).length} proxies do not serve it yet; colonnade control status tells when they do`,
      1,
    );
}

function publishedChanges(published: {
  readonly isFirst: boolean;
  readonly changes: readonly string[];
}): readonly string[] {
  if (!published.isFirst && published.changes.length === 0) return changeLines([]);
  return published.changes.map((change) => `  ${change}`);
}

function warningLines(warnings: readonly string[]): readonly string[] {
  const lines = warnings.map((warning) => `warning: ${warning}`);
  const more = lines.length - PUBLISH_WARNINGS_SHOWN_MAX;
  if (more <= 0) return lines;
  return [
    ...lines.slice(0, PUBLISH_WARNINGS_SHOWN_MAX),
    `and ${more} more warnings: colonnade check --live tells them all`,
  ];
}

/**
 * A table may be in the making while it is checked that there is none. DDL that a proxy has announced
 * is waited for; whoever announces some later finds the new map.
 */
async function publishBesideDdl(
  database: ControlDatabase,
  map: NewMap,
  {
    before,
    next,
    origin,
  }: { readonly before: ShardMap; readonly next: ShardMap; readonly origin: MapOrigin },
): Promise<void> {
  const { fileName } = origin;
  using look = await LastLook.open(before, next);
  const end = performance.now() + PUBLISH_WAIT_MS;
  for (;;) {
    let busy: NamedDdl | undefined;
    try {
      return await publishMap(database, map, before.version, async () => {
        for (const ddl of await ddlUnderWay(database))
          if (await look.isInProgress(ddl.transaction)) busy = ddl;
        if (busy !== undefined)
          throw new CommandFailure(
            `${fileName} is not published: ${busy.proxy} is committing DDL. Publish it again`,
            1,
          );
        const { problems, changes } = await look.leftBehind();
        if (problems.length > 0)
          throw notPublished(fileName, [...problems, ...remedies(changes, origin)]);
      });
    } catch (error) {
      if (busy === undefined || performance.now() >= end) throw error;
      await sleep(PUBLISH_POLL_MS);
    }
  }
}

function notPublished(fileName: string, problems: readonly string[]): CommandFailure {
  return new CommandFailure(
    [`${fileName} is not published:`, ...problems.map((problem) => `  ${problem}`)].join("\n"),
    1,
  );
}

function soundMap(file: MapFile): ShardMap {
  if (file.kind === "valid") return file.map;
  throw new CommandFailure(file.problems.map(printProblem).join("\n"), 1);
}

/** One more than the one in force, so that whoever edits the same version notices. */
function refuseVersion(
  current: PublishedMap | undefined,
  { version }: ShardMap,
  fileName: string,
): void {
  if (current === undefined || version === current.version + 1) return;
  const problem = `${fileName} is version ${version}, and the next one is ${current.version + 1}: `;
  throw new CommandFailure(
    version <= current.version
      ? `${problem}${publicationOf(current)}. ${onTopOf(current)}`
      : `${problem}write version: ${current.version + 1} in it`,
    1,
  );
}

/** Of two who edited the same version, the one who was slower learns of the other. */
async function unlessOvertaken(
  database: ControlDatabase,
  error: unknown,
  fileName: string,
): Promise<unknown> {
  if (!(error instanceof SqlError) || error.id !== "map_version_taken") return error;
  const current = await requireCurrent(database);
  return new CommandFailure(
    `${fileName} is not published: ${publicationOf(current)} meanwhile. ${onTopOf(current)}`,
    1,
    { cause: error },
  );
}

function publicationOf({ version, author, publishedAt }: PublishedMap): string {
  return `version ${version} was published by ${author} on ${publishedAt} UTC`;
}

function onTopOf({ version }: PublishedMap): string {
  return `Put your change on top of it (colonnade map show ${version} --control URL), write version: ${version + 1} in it, and publish that.`;
}

/** What a person does next, beyond what each problem says. */
function remedies(changes: readonly MapChange[], { toMove }: MapOrigin): readonly string[] {
  const needed = new Set(changes.map(({ needs }) => needs));
  return needed.has("migration") && !needed.has("another map")
    ? [`to move the rows: ${toMove}`]
    : [];
}

export async function mapShow(version: number | undefined, flags: ControlFlags): Promise<void> {
  const map = await withControl(
    flags,
    async (database) =>
      version === undefined
        ? await requireCurrent(database)
        : await publishedMapOf(database, version),
    { need: "read" },
  );
  if (flags.json === true) printJson(withZone(map));
  else process.stdout.write(map.yaml.endsWith("\n") ? map.yaml : `${map.yaml}\n`);
}

/** For programs: ISO 8601. */
function withZone<T extends MapRecord>(map: T): T {
  return { ...map, publishedAt: `${map.publishedAt.replace(" ", "T")}Z` };
}

async function requireCurrent(database: ControlDatabase): Promise<PublishedMap> {
  const current = await currentMap(database);
  if (current !== undefined) return current;
  throw new CommandFailure("no shard map is published yet: colonnade map publish FILE", 1);
}

export async function mapVersions(flags: ControlFlags): Promise<void> {
  const { maps, inForce } = await withControl(
    flags,
    async (database) => ({
      maps: await mapHistory(database, MAP_HISTORY_MAX),
      inForce: (await readFleetState(database)).map?.version,
    }),
    { need: "read" },
  );
  if (flags.json === true) return printJson({ inForce: inForce ?? null, maps: maps.map(withZone) });
  if (maps.length === 0) return printLines(["no shard map is published yet"]);
  printLines(
    maps.flatMap(({ version, author, publishedAt, changes }) => [
      `version ${version}, ${publishedAt} UTC, by ${author}${version === inForce ? " (in force)" : ""}`,
      ...changes.map((change) => `  ${change}`),
    ]),
  );
}
