/** asyncpg: a protocol implementation of its own, binary, with a cache of prepared statements. */
import type { CompatProgram } from "../../compat-program.ts";
import { pythonProgram } from "../../python/virtual-environment.ts";

export const program: CompatProgram = pythonProgram({
  name: "asyncpg",
  folder: "asyncpg",
  distribution: "asyncpg",
  extraChecks: {
    introspection: "types of the application, arrays and composites of them, looked up in pg_type",
    pool: "30 tasks over 4 connections, each reset when it is given back; none leaks a setting",
    "statement-cache":
      "more texts than the cache of prepared statements keeps; and without a cache",
  },
});
