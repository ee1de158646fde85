import type { CompatProgram } from "../../compat-program.ts";
import { setUpTools, tool18, toolArguments, toolVersion } from "../../tools/postgresql-18.ts";

export const program: CompatProgram = {
  name: "pgbench",
  language: "command line",
  checks: [],
  extraChecks: {
    initialize:
      "pgbench -i: its four tables, sharded each by its own key, made and filled by COPY, then VACUUM and the primary keys",
    "initialize-server-side":
      "pgbench -i -I dtGvp: the rows made by INSERT ... SELECT generate_series",
    "tpcb-simple":
      "TPC-B-like transactions over up to three databases, simple protocol; balances agree afterwards",
    "tpcb-extended": "the same, extended protocol",
    "tpcb-prepared": "the same, prepared statements",
    "select-only": "-S in all three protocols",
    "simple-update": "-N in all three protocols",
    "custom-script": "a script with \\gset, \\if, a pipeline and joins, prepared",
  },
  setup: setUpTools,
  command: (cacheFolder) => [
    process.execPath,
    "main.ts",
    ...toolArguments(tool18(cacheFolder, "pgbench")),
  ],
  version: async (cacheFolder) => (await toolVersion(tool18(cacheFolder, "pgbench"))) ?? "",
};
