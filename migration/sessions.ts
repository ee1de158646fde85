/**
 * Sessions of a migration on the source and on the targets. Values travel as text, so every
 * setting that words a value is the same on both sides, whatever the servers' own are.
 */
import type { DatabaseName } from "../base/ids.ts";
import { MOVE_CONNECT_TIMEOUT_MS } from "../base/limits.ts";
import type { BackendAddress } from "../proxy/backend/backend-address.ts";
import { BackendConnection } from "../proxy/backend/backend-connection.ts";

/** A database of the map with its address, as whoever runs the migration enters it. */
export interface MoveDatabase {
  readonly name: DatabaseName;
  readonly address: BackendAddress;
}

const WORDING: readonly (readonly [string, string])[] = [
  ["client_encoding", "UTF8"],
  ["DateStyle", "ISO, YMD"],
  ["IntervalStyle", "postgres"],
  ["TimeZone", "UTC"],
  // Shortest text that reads back as the very same float.
  ["extra_float_digits", "3"],
  ["bytea_output", "hex"],
  ["lc_monetary", "C"],
  ["lc_numeric", "C"],
  ["xmlbinary", "base64"],
  ["xmloption", "content"],
  ["search_path", "pg_catalog"],
  ["standard_conforming_strings", "on"],
];

const ENDLESS: readonly (readonly [string, string])[] = [
  ["statement_timeout", "0"],
  ["idle_in_transaction_session_timeout", "0"],
  // Rows that a policy hides would be lost: better an error than fewer rows.
  ["row_security", "off"],
];

/** Reads rows and snapshots of the source. */
export function openSource(
  { name, address }: MoveDatabase,
  signal?: AbortSignal,
): Promise<BackendConnection> {
  return BackendConnection.open(address, {
    database: name,
    connectTimeoutMs: MOVE_CONNECT_TIMEOUT_MS,
    settings: new Map([
      ...WORDING,
      ...ENDLESS,
      ["application_name", "colonnade copy"],
      ["synchronize_seqscans", "off"],
    ]),
    signal,
  });
}

/** Writes to a target: no trigger fires and no foreign key is checked, for the source's did. */
export function openTarget(
  { name, address }: MoveDatabase,
  signal?: AbortSignal,
): Promise<BackendConnection> {
  return BackendConnection.open(address, {
    database: name,
    connectTimeoutMs: MOVE_CONNECT_TIMEOUT_MS,
    settings: new Map([
      ...WORDING,
      ...ENDLESS,
      ["application_name", "colonnade apply"],
      ["session_replication_role", "replica"],
      // What is reported to the source as durable must be, or a crash here loses it.
      ["synchronous_commit", "on"],
      // An index that is built holds its table for as long as that takes.
      ["lock_timeout", "0"],
    ]),
    signal,
  });
}

/** Receives the stream; its own settings word the values in it. */
export function openReplication(
  { name, address }: MoveDatabase,
  signal?: AbortSignal,
): Promise<BackendConnection> {
  return BackendConnection.open(address, {
    database: name,
    connectTimeoutMs: MOVE_CONNECT_TIMEOUT_MS,
    settings: new Map([
      ...WORDING,
      ["application_name", "colonnade stream"],
      ["replication", "database"],
      ["statement_timeout", "0"],
    ]),
    signal,
  });
}
