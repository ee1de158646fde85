/** psycopg 3, with the libpq of its binary package, its asyncio side and its pool. */
import type { CompatProgram } from "../../compat-program.ts";
import { pythonProgram } from "../../python/virtual-environment.ts";

export const program: CompatProgram = pythonProgram({
  name: "psycopg 3",
  folder: "psycopg3",
  distribution: "psycopg",
  extraChecks: {
    "server-cursor": "named cursors: scrolled, held over a commit, in binary",
    "binary-cursor": "rows and aggregates over all placements in binary",
    executemany: "executemany, also with RETURNING, over all placements",
    "client-cursor": "values merged by the client; several statements in one text",
    pool: "psycopg_pool: 8 threads over 4 connections, and one that the server closed",
    asyncio: "AsyncConnection: pipeline, server cursor, a cancelled task, LISTEN, COPY",
  },
});
