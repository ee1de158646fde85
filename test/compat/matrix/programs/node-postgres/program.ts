import { readFile } from "node:fs/promises";
import type { CompatProgram } from "../../compat-program.ts";

export const program: CompatProgram = {
  name: "node-postgres",
  language: "JavaScript",
  setup: async () => await Promise.resolve({}),
  command: () => [process.execPath, "main.ts"],
  version: async () => {
    const file = new URL(import.meta.resolve("pg/package.json"));
    return String((JSON.parse(await readFile(file, "utf8")) as { version: unknown }).version);
  },
};
