/** tokio-postgres over rustls. */
import type { CompatProgram } from "../../compat-program.ts";
import { rustProgram } from "../../rust/rust-program.ts";

export const program: CompatProgram = rustProgram({
  name: "tokio-postgres",
  package: "compat-tokio-postgres",
  crate: "tokio-postgres",
  extraChecks: {
    "query-typed": "statements with their types, unprepared",
    "simple-query": "several statements in one text: their messages, and one implicit transaction",
    "channel-binding": "SCRAM-SHA-256-PLUS, required",
  },
});
