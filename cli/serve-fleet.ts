/**
 * `colonnade serve --control`: the shard map comes from the control schema, and follows it.
 * A file is what a proxy starts with where the control schema cannot be reached, or has no map yet.
 */
import { hostname } from "node:os";
import type { Log } from "../base/log.ts";
import type { Metrics } from "../base/metrics.ts";
import { printProblem } from "../base/document/problems.ts";
import { SqlError } from "../base/sql-error.ts";
import { ControlDatabase } from "../control/control-database.ts";
import { listProxies } from "../control/fleet-state.ts";
import { currentMap, mapHash } from "../control/map-versions.ts";
import type { PublishedMap } from "../control/map-versions.ts";
import { summarizeMigrations } from "../control/migration-store.ts";
import { requireControlSchema } from "../control/schema-versions.ts";
import { FLEET_RENEW_TIMEOUT_MS } from "../base/limits.ts";
import type { BackendAddress } from "../proxy/backend/backend-address.ts";
import type { FleetView } from "../proxy/console/console-sources.ts";
import { FleetMember, type FleetMemberOptions } from "../proxy/fleet/fleet-member.ts";
import type { RunningProxy } from "../proxy/running-proxy.ts";
import { parseShardMap } from "../shardmap/schema.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";
import { statementFailure } from "./control-failure.ts";
import { CommandFailure, reasonAndRemedy } from "./failure.ts";

export interface FirstMap {
  readonly map: ShardMap;
  /** Of a published one. */
  readonly hash: string | undefined;
  /** The control schema could be read, so that nothing need be served before it says what may be. */
  readonly isFleetReached: boolean;
}

/** What `--map` names, read before anything else: a file with mistakes is told of while somebody looks. */
export interface MapOfFile {
  readonly path: string;
  readonly map: ShardMap;
}

/** The published map; else the file's, with a word in the log why. */
export async function mapToStartWith(
  control: BackendAddress,
  file: MapOfFile | undefined,
  log: Log,
): Promise<FirstMap> {
  const published = await firstPublished(control);
  if ("map" in published) return published;
  const { reason, remedy, isFleetReached } = published;
  if (file === undefined) throw new CommandFailure(`cannot start: ${reason}. ${remedy}`);
  log.warn({ reason, file: file.path }, "starting with the map of a file");
  return { map: file.map, hash: undefined, isFleetReached };
}

interface NoFirstMap {
  /** Without a full stop. */
  readonly reason: string;
  readonly remedy: string;
  readonly isFleetReached: boolean;
}

const OR_START_WITH_A_FILE = "To start without the control schema, name a file by --map.";

async function firstPublished(control: BackendAddress): Promise<FirstMap | NoFirstMap> {
  let isFleetReached = false;
  const none = (reason: string, remedy: string): NoFirstMap => {
    return { reason: reason.replace(/\.$/, ""), remedy, isFleetReached };
  };
  let database: ControlDatabase;
  try {
    database = await ControlDatabase.open(control);
  } catch (error) {
    return none(reasonAndRemedy(error), OR_START_WITH_A_FILE);
  }
  using opened = database;
  try {
    await requireControlSchema(opened);
    isFleetReached = true;
    const published = await currentMap(opened);
    if (published !== undefined)
      return { map: publishedShardMap(published), hash: mapHash(published.yaml), isFleetReached };
    return none(
      "no shard map is published yet",
      "Publish one (colonnade map publish FILE --control URL), or name a file to start with by --map.",
    );
  } catch (error) {
    return none(await statementFailure(opened, control, "read", error), OR_START_WITH_A_FILE);
  }
}

/** Over a connection of its own for each question: an operator asks now and then, and most when the others are lost. */
export function fleetView(control: BackendAddress, self: string): FleetView {
  const ask = async <T>(question: (database: ControlDatabase) => Promise<T>): Promise<T> => {
    using database = await ControlDatabase.open(control);
    const expiry = setTimeout(() => database.connection.destroy(), FLEET_RENEW_TIMEOUT_MS);
    try {
      return await question(database);
    } finally {
      clearTimeout(expiry);
    }
  };
  const port = (address: string): number => Number(address.slice(address.lastIndexOf(":") + 1));
  return {
    self,
    otherProxies: async () => {
      const all = await ask(listProxies);
      const now = Date.now();
      return all
        .filter(({ id }) => id !== self)
        .map(({ name, processId, programVersion, address, uptimeMs, ...row }) => ({
          ...row,
          host: name,
          pid: processId,
          port: port(address),
          version: programVersion,
          startedAt: new Date(now - uptimeMs),
        }));
    },
    migrations: () => ask(summarizeMigrations),
  };
}

export interface JoiningProxy {
  /** A UUID, new with each start. */
  readonly id: string;
  readonly control: BackendAddress;
  readonly host: string;
  readonly programVersion: string;
  /** What it has started with. */
  readonly first: FirstMap;
  readonly proxy: RunningProxy;
  /** Throws for a map that this command cannot serve. */
  readonly check: (map: ShardMap) => void;
  readonly log: Log;
  readonly metrics: Metrics;
}

export function joinFleet(joining: JoiningProxy): FleetMember {
  const { id, control, host, programVersion, first, proxy, check, log, metrics } = joining;
  let map: ReturnType<FleetMemberOptions["map"]> = { version: first.map.version, hash: first.hash };
  const member = new FleetMember({
    control,
    self: {
      id,
      name: hostname(),
      address: `${host}:${proxy.port}`,
      processId: process.pid,
      programVersion,
    },
    map: () => map,
    apply: async (published) => {
      const next = publishedShardMap(published);
      check(next);
      // What moves no rows was checked when it was published, and what does is a migration's.
      await proxy.reload(next, { hasMovedRows: true });
      map = { version: next.version, hash: mapHash(published.yaml) };
    },
    obeyed: proxy.holds,
    catalog: proxy.catalogTrust,
    log,
    metrics,
  });
  member.start();
  return member;
}

function publishedShardMap({ yaml, version }: PublishedMap): ShardMap {
  const result = parseShardMap(yaml, `version ${version}`);
  if ("map" in result) return result.map;
  throw new SqlError(
    "published_map_unreadable",
    `version ${version} of the shard map has mistakes`,
    {
      detail: result.problems.map(printProblem).join("\n"),
    },
  );
}
