/**
 * The map that guards are made of. Where a fleet has a map in force, a guard of any other would
 * refuse right rows, or take wrong ones: so a file is compared with the published map first, in
 * what guards depend on and in which databases it means. A proxy that is given a file, and whose
 * catalog database holds no control schema, has no other map than the file.
 *
 * A control schema in another database than the catalog is found by `--control` alone.
 */
import { currentMap } from "../control/map-versions.ts";
import type { PublishedMap } from "../control/map-versions.ts";
import { ControlDatabase } from "../control/control-database.ts";
import { controlSchemaVersion } from "../control/schema-versions.ts";
import { BackendError } from "../proxy/backend/backend-connection.ts";
import { backendAddresses } from "../proxy/topology/backend-addresses.ts";
import { guardsOf } from "../proxy/topology/guards.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";
import { withControl } from "./control-access.ts";
import { CommandFailure, reasonAndRemedy } from "./failure.ts";
import { mapOf, readPublishedMap, requireMap } from "./input-files.ts";
import { catalogAlone, readIdentities } from "./live-databases.ts";

export interface GuardMapFlags {
  readonly map?: string;
  /** URL of the database of the control schema. */
  readonly control?: string;
  /** The file as it is, whatever is published. */
  readonly unpublished?: true;
}

export interface GuardMap {
  readonly map: ShardMap;
  /** Why the guards in force may be other ones by now; undefined where they are those of `map`. */
  readonly overtaken: () => Promise<string | undefined>;
}

/** Throws CommandFailure where the file is not the map in force. */
export async function guardMap(flags: GuardMapFlags): Promise<GuardMap> {
  const { map: path, control, unpublished } = flags;
  if (path === undefined && control === undefined)
    throw new CommandFailure(
      "give --control URL for the map that a fleet has in force, or --map FILE where there is no fleet",
    );
  if (unpublished === true && path === undefined)
    throw new CommandFailure("--unpublished takes a file as it is: name it by --map");
  const file = path === undefined ? undefined : requireMap(path);
  if (file !== undefined && unpublished === true)
    return { map: file, overtaken: async () => undefined };
  const ask = (): Promise<PublishedMap | undefined> =>
    control === undefined ? publishedBeside(file) : publishedIn(control);
  const published = await ask();
  if (published === undefined) {
    if (file === undefined)
      throw new CommandFailure(
        "no shard map is published in this control schema: colonnade map publish, or name a file by --map",
      );
    return { map: file, overtaken: async () => await overtakenBy(file, await ask()) };
  }
  const inForce = shardMapOf(published);
  if (file !== undefined && path !== undefined)
    await refuseOtherThan(inForce, published, file, path);
  const map = file ?? inForce;
  return { map, overtaken: async () => await overtakenBy(map, await ask()) };
}

async function publishedIn(control: string): Promise<PublishedMap | undefined> {
  return await withControl({ control }, currentMap);
}

/** In the control schema of the map's own catalog database, where there is one. */
async function publishedBeside(map: ShardMap | undefined): Promise<PublishedMap | undefined> {
  // An embedded server has no control schema, and cannot be reached from here.
  if (map === undefined || map.databases.get(map.catalog)?.server.kind !== "url") return undefined;
  const { catalog } = map;
  const address = backendAddresses({ databases: catalogAlone(map) }).get(catalog);
  if (address === undefined) return undefined;
  try {
    using database = await ControlDatabase.openNamed(catalog, address);
    if ((await controlSchemaVersion(database)) === undefined) return undefined;
    return await currentMap(database);
  } catch (cause) {
    if (!(cause instanceof BackendError))
      throw new CommandFailure(reasonAndRemedy(cause), 2, { cause });
    throw new CommandFailure(
      `database ${catalog} holds a control schema whose map in force cannot be read: ${cause.message}. ` +
        "Name it by --control with a role that may read it, or take the file as it is by --unpublished",
      2,
      { cause },
    );
  }
}

function shardMapOf(published: PublishedMap): ShardMap {
  return mapOf(readPublishedMap(published));
}

async function refuseOtherThan(
  inForce: ShardMap,
  { version, identities }: PublishedMap,
  file: ShardMap,
  path: string,
): Promise<void> {
  const differences = [
    ...otherGuards(inForce, file).map((place) => `${place} has another guard`),
    ...(await otherDatabases(identities, file)),
  ];
  const [first] = differences;
  if (first === undefined) return;
  const more = differences.length - 1;
  throw new CommandFailure(
    `${path} is not the map in force, which is version ${version} of the control schema: ${first}${more > 0 ? `, and ${more} more` : ""}. ` +
      "Leave --map out and name the control schema by --control to use the published map; --unpublished takes the file all the same",
  );
}

/** A URL may differ, in its role above all; the database it leads to may not. */
async function otherDatabases(
  identities: PublishedMap["identities"],
  file: ShardMap,
): Promise<readonly string[]> {
  const embedded = [...file.databases.values()].some(({ server }) => server.kind !== "url");
  // Nothing is done in these, as whoever does it will say.
  if (embedded) return [];
  const published = [...backendAddresses(file)].filter(([name]) => identities[name] !== undefined);
  const { identities: own, unread } = await readIdentities(new Map(published));
  const [unknown] = unread;
  if (unknown !== undefined) throw new CommandFailure(unknown, 2);
  return published
    .filter(([name]) => own[name] !== identities[name])
    .map(([name]) => `database ${name} of the file is another one`);
}

async function overtakenBy(
  map: ShardMap,
  published: PublishedMap | undefined,
): Promise<string | undefined> {
  if (published === undefined || otherGuards(shardMapOf(published), map).length === 0)
    return undefined;
  return `version ${published.version} of the shard map was published meanwhile, and asks for other guards: run it again, with that map`;
}

/** Places where the two maps do not ask for the same guard. */
function otherGuards(left: ShardMap, right: ShardMap): readonly string[] {
  const [mine, theirs] = [conditions(left), conditions(right)];
  const places = new Set([...mine.keys(), ...theirs.keys()]);
  return [...places].filter((place) => mine.get(place) !== theirs.get(place));
}

function conditions(map: ShardMap): ReadonlyMap<string, string> {
  return new Map(guardsOf(map).map((guard) => [placeName(guard), guard.condition]));
}

/** `users0: public.users`. */
export function placeName({
  database,
  schema,
  table,
}: Readonly<Record<"database" | "schema" | "table", string>>): string {
  return `${database}: ${schema}.${table}`;
}
