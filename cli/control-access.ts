/** How commands reach the control schema: its URL, one connection, and failures in words. */
import { ControlDatabase } from "../control/control-database.ts";
import { requireControlSchema } from "../control/schema-versions.ts";
import { parseBackendAddress } from "../proxy/backend/backend-address.ts";
import type { BackendAddress } from "../proxy/backend/backend-address.ts";
import { statementFailure } from "./control-failure.ts";
import type { ControlNeed } from "./control-failure.ts";
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

export interface ControlUse {
  /** There may be no control schema, or one of another version. */
  readonly mayBeMissing?: boolean;
  /** `write` unless given. */
  readonly need?: ControlNeed;
}

/** Runs `work` with a connection; the schema is there and of this program's version unless `mayBeMissing`. */
export async function withControl<T>(
  { control }: ControlFlags,
  work: (database: ControlDatabase) => Promise<T>,
  { mayBeMissing = false, need = "write" }: ControlUse = {},
): Promise<T> {
  const address = controlAddress(control);
  using database = await openControl(address);
  try {
    if (!mayBeMissing) await requireControlSchema(database);
    return await work(database);
  } catch (cause) {
    if (cause instanceof CommandFailure) throw cause;
    throw new CommandFailure(await statementFailure(database, address, need, cause), 2, { cause });
  }
}

async function openControl(address: BackendAddress): Promise<ControlDatabase> {
  try {
    return await ControlDatabase.open(address);
  } catch (cause) {
    throw new CommandFailure(reasonAndRemedy(cause), 2, { cause });
  }
}
