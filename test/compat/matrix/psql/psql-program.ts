/** psql as programs of the matrix: one for each version, of the same checks. */
import type { CompatProgram } from "../compat-program.ts";
import {
  installedTool,
  setUpTools,
  tool18,
  toolArguments,
  toolVersion,
  type Tool,
} from "../tools/postgresql-18.ts";
import { DIFFERENCES } from "./differences.ts";

const COMMON = {
  language: "command line",
  checks: [
    "connect",
    "types-text",
    "prepared",
    "pipeline",
    "copy",
    "cursor",
    "cancel",
    "transactions",
    "listen",
    "errors",
    "reconnect",
    "large",
  ],
  extraChecks: {
    "meta-commands":
      "every meta-command prints what it prints on PostgreSQL, but for the differences listed below",
  },
  differences: DIFFERENCES,
  timeoutMs: 300_000,
} as const satisfies Partial<CompatProgram>;

const command = (tool: Tool): readonly [string, ...string[]] => [
  process.execPath,
  "../../psql/main.ts",
  ...toolArguments(tool),
];

export function installedPsql(): CompatProgram {
  const tool = installedTool("psql");
  return {
    ...COMMON,
    name: "psql, as installed",
    setup: async () => ((await toolVersion(tool)) === undefined ? { missing: "psql" } : {}),
    command: () => command(tool),
    version: async () => (await toolVersion(tool)) ?? "",
  };
}

export function psql18(): CompatProgram {
  return {
    ...COMMON,
    name: "psql, of the server's version",
    setup: setUpTools,
    command: (cacheFolder) => command(tool18(cacheFolder, "psql")),
    version: async (cacheFolder) => (await toolVersion(tool18(cacheFolder, "psql"))) ?? "",
  };
}
