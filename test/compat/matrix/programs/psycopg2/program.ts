/** psycopg2: values merged by the client, the simple protocol alone. */
import type { CompatProgram } from "../../compat-program.ts";
import { pythonProgram } from "../../python/virtual-environment.ts";

export const program: CompatProgram = pythonProgram({
  name: "psycopg2",
  folder: "psycopg2",
  distribution: "psycopg2-binary",
  extraChecks: {
    "named-cursor": "named cursors: scrolled, and held over a commit",
    "execute-values": "execute_values and execute_batch over all placements, with RETURNING",
    pool: "ThreadedConnectionPool: 8 threads, each connection reset when it is given back",
  },
});
