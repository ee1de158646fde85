/** `colonnade migrate throttle`: when copying waits, told and changed while it goes on. */
import type { Throttle } from "../../migration/machine/life.ts";
import { withControl } from "../control-access.ts";
import { printJson, printLines } from "../output.ts";
import type { CommandFlags } from "./command.ts";
import { knownMigration, obey } from "./stored-migrations.ts";

export interface ThrottleFlags extends CommandFlags {
  readonly rowsPerSecond?: number | "none";
  /** In milliseconds. */
  readonly replicaLag?: number;
  readonly activeSessions?: number;
}

/** What is not named stays as it is. */
export async function throttleCommand(name: string, flags: ThrottleFlags): Promise<void> {
  const throttle = await withControl(flags, async (database) => {
    const known = await knownMigration(database, name);
    const before = known.stored.document.policy.throttle;
    const wanted: Throttle = {
      rowsPerSecond:
        flags.rowsPerSecond === "none" ? null : (flags.rowsPerSecond ?? before.rowsPerSecond),
      replicaLagMs: flags.replicaLag ?? before.replicaLagMs,
      activeSessions: flags.activeSessions ?? before.activeSessions,
    };
    const isDry = flags.dryRun === true;
    await obey(database, known, { kind: "throttle", throttle: wanted }, { isDry });
    return wanted;
  });
  if (flags.json === true) return printJson({ name, ...throttle });
  const { rowsPerSecond, replicaLagMs, activeSessions } = throttle;
  printLines([
    `${name} copies ${rowsPerSecond === null ? "as fast as it can" : `at most ${rowsPerSecond} rows a second`}`,
    `  and waits while a standby is more than ${replicaLagMs} ms behind, or more than ${activeSessions} sessions are at work`,
  ]);
}
