/** SQLAlchemy 2 over psycopg 3: its sessions, its reflection of the schema, its pool. */
import type { CompatProgram } from "../../compat-program.ts";
import { pythonProgram } from "../../python/virtual-environment.ts";

export const program: CompatProgram = pythonProgram({
  name: "SQLAlchemy 2",
  folder: "sqlalchemy",
  distribution: "SQLAlchemy",
  checks: ["connect", "transactions", "errors", "reconnect"],
  extraChecks: {
    orm: "a session: relationships, eager loading by join and by IN, unit of work, bulk insert",
    core: "joins, aggregates, upserts, RETURNING of many rows in order, expressions of JSON and arrays",
    reflection:
      "tables, columns, keys, indexes, enums, domains and comments, read from the catalog",
    ddl: "metadata.create_all() and drop_all() with types, indexes and foreign keys",
    stream: "rows streamed by a server-side cursor (stream_results, yield_per)",
    asyncio: "AsyncSession and its streams",
  },
});
