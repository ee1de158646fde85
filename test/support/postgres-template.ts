/** Vitest's global setup: one initialised data directory for all servers of a test run. */
export { setup } from "../../cli/dev/server-template.ts";
