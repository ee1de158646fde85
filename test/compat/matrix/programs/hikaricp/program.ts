/** HikariCP over pgjdbc: what a pool asks beyond statements, which the program jdbc checks. */
import type { CompatProgram } from "../../compat-program.ts";
import { javaProgram } from "../../java/java-program.ts";

export const program: CompatProgram = javaProgram({
  name: "HikariCP",
  package: "hikari",
  artifact: "HikariCP",
  checks: ["connect", "transactions", "reconnect"],
  extraChecks: {
    threads: "12 threads over 5 connections",
    state: "schema, isolation, read-only and timeouts are set, and set back for the next borrower",
  },
});
