/**
 * The map that a switch puts in force: the text of the plan's, or of the one before it, under the
 * next number. It may follow only the map that the plan was made for, whatever its number is by now.
 */
import { SqlError } from "../../base/sql-error.ts";
import { currentMap, publishedMapOf } from "../../control/map-versions.ts";
import type { NewMap } from "../../control/map-versions.ts";
import { withVersion } from "../../shardmap/edit.ts";
import { databaseOf } from "./scene.ts";
import type { Scene } from "./scene.ts";
import type { Direction } from "../machine/life.ts";
import { sourceDatabases, targetDatabasesOf } from "../plan/planned-migration.ts";

export interface NextMap {
  readonly map: NewMap;
  /** Of the one in force. */
  readonly base: number;
}

/** Throws `map_version_taken` where another map is in force than the migration leads away from. */
export async function nextMap(scene: Scene, direction: Direction): Promise<NextMap> {
  const { plan, control } = scene;
  const [current, before] = [
    await currentMap(control),
    await publishedMapOf(control, plan.mapFrom),
  ];
  const [due, next] =
    direction === "forward" ? [before.yaml, plan.nextMap] : [plan.nextMap, before.yaml];
  if (current === undefined || withVersion(current.yaml, 0) !== withVersion(due, 0))
    throw new SqlError(
      "map_version_taken",
      `version ${current?.version ?? "none"} of the shard map, which is in force, is not the one that migration "${plan.name}" leads away from`,
    );
  const version = current.version + 1;
  const identities: Record<string, string> = { ...before.identities, ...current.identities };
  for (const name of [...sourceDatabases(plan), ...targetDatabasesOf(plan)])
    identities[name] = await scene.identify(databaseOf(scene, name));
  return {
    map: {
      version,
      yaml: withVersion(next, version),
      author: `migration ${plan.name}`,
      changes: [
        direction === "forward"
          ? `migration ${plan.name}: ${plan.object} has moved`
          : `migration ${plan.name}: ${plan.object} is back`,
      ],
      identities,
    },
    base: current.version,
  };
}
