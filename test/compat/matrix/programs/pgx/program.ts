/** pgx v5: its own interface, its pool, and pgconn beneath. */
import type { CompatProgram } from "../../compat-program.ts";
import { goProgram } from "../../go/go-program.ts";

export const program: CompatProgram = goProgram({
  name: "pgx",
  folder: "pgx",
  module: "github.com/jackc/pgx/v5",
  extraChecks: {
    "query-exec-modes": "each QueryExecMode, with caches that are too small",
    "pipeline-mode":
      "pgconn's pipelines: several Syncs under way, a Flush between, an error in one",
    pool: "pgxpool: 16 goroutines over 6 connections; DISCARD ALL",
    "channel-binding": "SCRAM-SHA-256-PLUS, required",
  },
});
