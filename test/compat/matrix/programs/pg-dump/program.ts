import type { CompatProgram } from "../../compat-program.ts";
import { setUpTools, tool18, toolArguments, toolVersion } from "../../tools/postgresql-18.ts";

const ONE_SNAPSHOT =
  "refused, by name: pg_dump reads all within one snapshot, and several databases have several; COPY reads each at its own";

export const program: CompatProgram = {
  name: "pg_dump",
  language: "command line",
  checks: [],
  extraChecks: {
    schema:
      "--schema-only, but for the proxy's own schema `colonnade`, is the schema as one PostgreSQL dumps it",
    restore: "that schema restored into an empty PostgreSQL, and dumped again, is the same",
    "data-by-copy":
      "rows of a sharded table, by psql's \\copy out and into the restored one, are the same",
    "data-of-whole-tables":
      "--data-only of reference tables and tables that are not sharded, as COPY and as --inserts",
    "data-of-sharded-tables":
      "--data-only of a sharded table gives all its rows, or is refused by name",
  },
  differences: {
    "pg_dump --data-only -t accounts": ONE_SNAPSHOT,
    "pg_dump --data-only -t accounts --inserts": ONE_SNAPSHOT,
  },
  setup: setUpTools,
  command: (cacheFolder) => [
    process.execPath,
    "main.ts",
    ...toolArguments(tool18(cacheFolder, "pg_dump")),
    ...toolArguments(tool18(cacheFolder, "psql")),
  ],
  version: async (cacheFolder) => (await toolVersion(tool18(cacheFolder, "pg_dump"))) ?? "",
};
