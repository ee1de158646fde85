import type { CompatProgram } from "../../compat-program.ts";
import { packageVersion } from "../../node/package-version.ts";

export const program: CompatProgram = {
  name: "postgres.js",
  language: "JavaScript",
  setup: async () => await Promise.resolve({}),
  command: () => [process.execPath, "main.ts"],
  version: async () => await packageVersion("postgres"),
};
