/**
 * The map that a switch puts in force: the text of the plan's, or of the one before it, under the
 * next number. It may follow only the map that the plan was made for, whatever its number is by now.
 */
import { invariant } from "../../base/invariant.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { ControlDatabase } from "../../control/control-database.ts";
import { currentMap, publishedMapOf } from "../../control/map-versions.ts";
import type { NewMap } from "../../control/map-versions.ts";
import { withVersion } from "../../shardmap/edit.ts";
import { databaseOf } from "./scene.ts";
import type { Scene } from "./scene.ts";
import type { Direction } from "../machine/life.ts";
import type { StoredPlan } from "../plan/plan-document.ts";
import { sourceDatabases, targetDatabasesOf } from "../plan/planned-migration.ts";

export interface NextMap {
  readonly map: NewMap;
  /** Of the one in force. */
  readonly base: number;
}

/** A sentence where another map is in force than the migration leads away from. */
export async function otherMapInForce(
  control: ControlDatabase,
  plan: StoredPlan,
  direction: Direction,
): Promise<string | undefined> {
  const [current, before] = [
    await currentMap(control),
    await publishedMapOf(control, plan.mapFrom),
  ];
  const due = direction === "forward" ? before.yaml : plan.nextMap;
  if (current !== undefined && withVersion(current.yaml, 0) === withVersion(due, 0))
    return undefined;
  return `version ${current?.version ?? "none"} of the shard map, which is in force, is not the one that migration "${plan.name}" leads away from${direction === "forward" ? ": cancel it, and plan it again from there" : ""}`;
}

/** Throws `map_version_taken` where another map is in force than the migration leads away from. */
export async function nextMap(scene: Scene, direction: Direction): Promise<NextMap> {
  const { plan, control } = scene;
  const inTheWay = await otherMapInForce(control, plan, direction);
  if (inTheWay !== undefined) throw new SqlError("map_version_taken", inTheWay);
  const [current, before] = [
    await currentMap(control),
    await publishedMapOf(control, plan.mapFrom),
  ];
  invariant(current !== undefined, "it was there a moment ago, and maps stay");
  const next = direction === "forward" ? plan.nextMap : before.yaml;
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
