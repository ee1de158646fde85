/** How commands reach the control schema: its URL, one connection, and failures in words. */
import { ControlDatabase } from "../control/control-database.ts";
import { requireControlSchema } from "../control/schema-versions.ts";
import { BackendError } from "../proxy/backend/backend-connection.ts";
import { parseBackendAddress } from "../proxy/backend/backend-address.ts";
import type { BackendAddress } from "../proxy/backend/backend-address.ts";
import { CommandFailure, reasonAndRemedy } from "./failure.ts";

export interface ControlFlags {
  /** URL of the catalog database, where the control schema is. */
  readonly control: string;
  readonly json?: true;
}

export function controlAddress(url: string): BackendAddress {
  try {
    return parseBackendAddress(url);
  } catch (cause) {
    throw new CommandFailure(`--control: ${reasonAndRemedy(cause)}`, 2, { cause });
  }
}

/** Runs `work` with a connection; the schema is there and of this program's version unless `mayBeMissing`. */
export async function withControl<T>(
  { control }: ControlFlags,
  work: (database: ControlDatabase) => Promise<T>,
  { mayBeMissing = false } = {},
): Promise<T> {
  const address = controlAddress(control);
  try {
    using database = await ControlDatabase.open(address);
    if (!mayBeMissing) await requireControlSchema(database);
    return await work(database);
  } catch (cause) {
    if (cause instanceof CommandFailure) throw cause;
    throw new CommandFailure(controlReason(cause), 2, { cause });
  }
}

function controlReason(error: unknown): string {
  if (!(error instanceof BackendError)) return reasonAndRemedy(error);
  const { M: message = "", D: detail, H: hint } = error.fields;
  const parts = [`control schema: ${message}.`, detail, hint];
  return parts.filter((part) => part !== undefined).join(" ");
}
