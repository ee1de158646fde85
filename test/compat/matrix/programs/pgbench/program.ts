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
      "pgbench -i -I dtGvp: all rows by one INSERT ... SELECT generate_series, or its refusal by name",
    "tpcb-simple":
      "TPC-B-like transactions over up to three databases, simple protocol; balances agree afterwards",
    "tpcb-extended": "the same, extended protocol",
    "tpcb-prepared": "the same, prepared statements",
    "select-only": "-S in all three protocols",
    "simple-update": "-N in all three protocols",
    "custom-script": "a script with \\gset, \\if, a pipeline and joins, prepared",
  },
  differences: {
    "pgbench -i -I dtGvp":
      "refused, by name: the rows of one INSERT ... SELECT into a sharded table go through the proxy's memory, which has a bound; -i with -I dtgvp, its default, uses COPY",
  },
  timeoutMs: 240_000,
  setup: setUpTools,
  command: (cacheFolder) => [
    process.execPath,
    "main.ts",
    ...toolArguments(tool18(cacheFolder, "pgbench")),
  ],
  version: async (cacheFolder) => (await toolVersion(tool18(cacheFolder, "pgbench"))) ?? "",
};
