/** `colonnade migrate cancel`: what was planned is given up. What is over already stays as it is. */
import { withControl } from "../control-access.ts";
import type { ControlFlags } from "../control-access.ts";
import { printJson, printLines } from "../output.ts";
import { knownMigrations, obey } from "./stored-migrations.ts";

export interface CancelFlags extends ControlFlags {
  readonly dryRun?: true;
}

/** Exit code 1 where one of them is past its switch. */
export async function cancelCommand(names: readonly string[], flags: CancelFlags): Promise<void> {
  const isDry = flags.dryRun === true;
  const results = await withControl(flags, async (database) => {
    const done: { readonly name: string; readonly state: string; readonly changed: boolean }[] = [];
    for (const known of await knownMigrations(database, names)) {
      const { migration, changed } = await obey(database, known, { kind: "cancel" }, { isDry });
      done.push({ name: migration.name, state: migration.life.state, changed });
    }
    return done;
  });
  if (flags.json === true) return printJson(results);
  printLines(
    results.map(({ name, state, changed }) =>
      changed ? `${name} ${isDry ? "would be" : "is"} ${state}` : `${name} is ${state} already`,
    ),
  );
}
