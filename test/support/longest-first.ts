/**
 * The order of the test files: the few that take minutes begin first, so that a second worker
 * has the others to do meanwhile, and does not wait at the end for one that began last.
 */
import { BaseSequencer } from "vitest/node";
import type { TestSpecification } from "vitest/node";

/** Longest first, by the ends of their paths. */
const LONG_FILES = [
  "test/differential/differential.postgres.test.ts",
  "test/cli/dev.postgres.test.ts",
  "test/fleet/fleet.postgres.test.ts",
  "test/fuzz/sql.postgres.test.ts",
  "test/tpch/tpch.postgres.test.ts",
  "test/pgbench/tpcb.postgres.test.ts",
  "test/cli/map.postgres.test.ts",
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    // oxlint-disable-next-line unicorn/no-array-sort -- the base class's method, not an array's
    const others = await super.sort(files);
    return others.toSorted((a, b) => rank(a) - rank(b));
  }
}

function rank({ moduleId }: TestSpecification): number {
  const index = LONG_FILES.findIndex((path) => moduleId.endsWith(path));
  return index < 0 ? LONG_FILES.length : index;
}
