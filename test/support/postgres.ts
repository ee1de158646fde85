/** Real PostgreSQL servers for tests: `await using server = await startPostgres(...)`. */
export { startThrowAwayServer as startPostgres } from "../../cli/dev/throw-away-server.ts";
export type { ThrowAwayServer as TestPostgres } from "../../cli/dev/throw-away-server.ts";
