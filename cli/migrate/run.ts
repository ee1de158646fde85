/**
 * The process that moves: in the foreground with `colonnade migrate start`, or as a daemon with
 * `colonnade orchestrate`. Either may be killed; the next one goes on from what is stored.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { MIGRATION_WATCH_MS } from "../../base/limits.ts";
import { runMigration } from "../../migration/orchestrator/run-migration.ts";
import type { Report } from "../../migration/orchestrator/orchestrator.ts";
import type { RunOptions } from "../../migration/orchestrator/run-migration.ts";
import { backendAddresses } from "../../proxy/topology/backend-addresses.ts";
import { readIdentity } from "../../proxy/topology/database-identity.ts";
import { controlAddress, withControl } from "../control-access.ts";
import type { ControlFlags } from "../control-access.ts";
import { printLines } from "../output.ts";
import { knownMigrations } from "./stored-migrations.ts";

export function runOptions(flags: ControlFlags, migration: string): RunOptions {
  return {
    migration,
    control: controlAddress(flags.control),
    addressesOf: backendAddresses,
    identify: async ({ name, address }) => await readIdentity(name, address),
    report: flags.json === true ? reportJson : reportLine,
  };
}

const reportLine: Report = ({ migration, state, because }) => {
  printLines([`${new Date().toISOString()} ${migration}: ${state} (${because})`]);
};

/** One document a line: it has no end. */
const reportJson: Report = (what) => {
  printLines([JSON.stringify({ at: new Date().toISOString(), ...what })]);
};

/** All that are under way, each by one process at a time, until it is told to stop. */
export async function orchestrateCommand(flags: ControlFlags): Promise<void> {
  using interruption = new Interruption();
  const { signal } = interruption;
  const running = new Map<string, Promise<void>>();
  try {
    while (!signal.aborted) {
      for (const name of await underWay(flags))
        if (!running.has(name)) running.set(name, runOne(flags, name, signal, running));
      await sleep(MIGRATION_WATCH_MS, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    interruption.stop();
    await Promise.all(running.values());
  }
}

async function runOne(
  flags: ControlFlags,
  name: string,
  signal: AbortSignal,
  running: Map<string, Promise<void>>,
): Promise<void> {
  try {
    await runMigration(runOptions(flags, name), signal);
  } catch (error) {
    if (!signal.aborted) process.stderr.write(`colonnade: ${name}: ${String(error)}\n`);
  } finally {
    running.delete(name);
  }
}

/** A control schema that is away for a moment has no migrations for that moment. */
async function underWay(flags: ControlFlags): Promise<readonly string[]> {
  const known = await withControl(flags, async (database) => await knownMigrations(database)).catch(
    (error: unknown) => {
      process.stderr.write(`colonnade: ${String(error)}\n`);
      return [];
    },
  );
  return known
    .map(({ stored }) => stored.document)
    .filter(({ life }) => !["planned", "completed", "cancelled"].includes(life.state))
    .map(({ name }) => name);
}

/** Ctrl-C and SIGTERM end the process; what is stored stays, for the next one. */
export class Interruption implements Disposable {
  readonly #controller = new AbortController();

  constructor() {
    process.on("SIGINT", this.stop);
    process.on("SIGTERM", this.stop);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  readonly stop = (): void => this.#controller.abort();

  [Symbol.dispose](): void {
    process.off("SIGINT", this.stop);
    process.off("SIGTERM", this.stop);
  }
}
