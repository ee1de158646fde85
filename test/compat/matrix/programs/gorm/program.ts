/** GORM over pgx: models on sharded tables. What lies beneath is checked by the program pgx. */
import type { CompatProgram } from "../../compat-program.ts";
import { goProgram } from "../../go/go-program.ts";

export const program: CompatProgram = goProgram({
  name: "GORM",
  folder: "gorm",
  module: "gorm.io/gorm",
  checks: ["connect", "prepared", "transactions", "errors"],
  extraChecks: {
    models: "Create, Find, Updates, Delete, aggregates and DISTINCT over all placements",
    associations: "accounts with their entries: created, preloaded, joined, counted, deleted",
    upsert: "ON CONFLICT over several placements, RETURNING, FOR UPDATE",
    batches: "CreateInBatches, FindInBatches, Rows",
    migrator: "HasTable, ColumnTypes, AutoMigrate twice, AddColumn, DropTable",
  },
});
