/**
 * The log: JSON lines, one event each, through pino.
 *
 * SQL text and parameters are a client's data. They may be given under `sql` and
 * `parameters`, and they are written where the level is debug or lower, and never else:
 * the logger removes them itself, so that no caller can forget it.
 */
import { type DestinationStream, type Logger, pino } from "pino";

export type Log = Logger;
export type LogLevel = "fatal" | "error" | "warn" | "info" | "debug" | "trace";

/** Removed wherever they stand, at the top of an event or one level below. */
const CLIENT_DATA = ["sql", "parameters", "*.sql", "*.parameters"];
/** Removed at every level. A connection URL carries its password. */
const SECRETS = ["password", "url", "*.password", "*.url"];

/** `destination` is standard output where it is absent. */
export function createLog(level: LogLevel, destination?: DestinationStream): Log {
  const isClientDataShown = level === "debug" || level === "trace";
  const options = {
    level,
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: {
      paths: isClientDataShown ? SECRETS : [...CLIENT_DATA, ...SECRETS],
      remove: true,
    },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}
