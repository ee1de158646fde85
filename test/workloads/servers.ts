/** The databases of a workload's map. */
import type { Workload } from "./workload.ts";

export const DATABASES = ["main", "east", "west"] as const;

/** `urlOf` gives the address of a database; a plan needs none that answers. */
export function mapYaml({ map }: Workload, urlOf: (database: string) => string): string {
  const databases = DATABASES.map(
    (name) => `  ${name}: { primary: ${JSON.stringify(urlOf(name))} }`,
  );
  return ["version: 1", "catalog: main", "databases:", ...databases, map, ""].join("\n");
}
