/** Hibernate over pgjdbc: entities of sharded tables. */
import type { CompatProgram } from "../../compat-program.ts";
import { javaProgram } from "../../java/java-program.ts";

export const program: CompatProgram = javaProgram({
  name: "Hibernate",
  package: "hibernate",
  artifact: "hibernate-core",
  checks: ["connect", "transactions", "errors"],
  extraChecks: {
    entities: "batches of accounts with their entries: persisted, changed, removed, merged",
    queries: "pages, join fetch, aggregates, bulk updates and deletes",
    scroll: "a result over all placements scrolled by fetch size",
    schema: "hbm2ddl create, update, validate and drop; sequences; optimistic locks",
  },
});
