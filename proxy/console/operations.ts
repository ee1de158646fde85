/**
 * What the console's users may do to the proxy. Each either has happened when its promise
 * resolves, or rejects and has changed nothing.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { databaseName } from "../../base/ids.ts";
import type { DatabaseName } from "../../base/ids.ts";
import { PAUSE_POLL_MS } from "../../base/limits.ts";
import { unreachable } from "../../base/invariant.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { LockHolders } from "../execution/lock-holders.ts";
import type { Pauses } from "../execution/pauses.ts";
import type { OtherWorkers, SharedCommand, WorkerCommand } from "./other-workers.ts";

/** The parts that are acted on, as far as they are. */
export interface OperatedParts {
  readonly databases: () => readonly DatabaseName[];
  readonly pauses: Pauses;
  readonly holders: LockHolders;
  /** How long PAUSE waits for running transactions. */
  readonly pauseWaitMs: number;
  readonly sessions: {
    using(database: DatabaseName): readonly number[];
    kill(id: number, error: SqlError): Promise<boolean>;
  };
  readonly closeIdle: (database: DatabaseName) => void;
  /** Reads the map again; undefined where it is not from a file. */
  readonly reload: (() => Promise<void>) | undefined;
  readonly drain: () => void;
}

export class Operations {
  readonly #parts: OperatedParts;

  constructor(parts: OperatedParts) {
    this.#parts = parts;
  }

  async reload(): Promise<void> {
    const { reload } = this.#parts;
    if (reload === undefined) {
      throw new SqlError("console_not_supported", "there is no file to read the shard map from");
    }
    await reload();
  }

  /** Once it is answered: a proxy without clients ends at once. */
  drain(): void {
    setImmediate(this.#parts.drain);
  }

  /** In this process and in the others of its address. A pause that one cannot bring about is nowhere. */
  async everywhere(
    command: WorkerCommand,
    others: OtherWorkers,
    signal: AbortSignal,
  ): Promise<void> {
    if (command.kind === "killClient") return await this.#killSomewhere(command.id, others);
    try {
      await Promise.all([this.here(command, signal), others.command(command)]);
    } catch (error) {
      if (command.kind === "pause") await this.#undoPause(command.database, others);
      throw error;
    }
  }

  async #killSomewhere(id: number, others: OtherWorkers): Promise<void> {
    if ((await this.kill(id)) || (await others.kill(id))) return;
    throw new SqlError("console_object_unknown", `there is no client ${id}`);
  }

  async #undoPause(database: string | undefined, others: OtherWorkers): Promise<void> {
    this.#resume(database);
    await others.command({ kind: "resume", database }).catch(() => undefined);
  }

  /** In this process alone. */
  async here(command: SharedCommand, signal: AbortSignal): Promise<void> {
    switch (command.kind) {
      case "pause":
        return await this.#pause(command.database, signal);
      case "resume":
        return this.#resume(command.database);
      case "killDatabase":
        return await this.#killDatabase(command.database);
      default:
        return unreachable(command);
    }
  }

  /** All databases where none is named. Aborted or out of time, those it has paused resume. */
  async #pause(name: string | undefined, signal: AbortSignal): Promise<void> {
    const { pauses, holders, closeIdle, pauseWaitMs } = this.#parts;
    const databases = this.#named(name);
    const holdNumber = holders.nextHoldNumber();
    const added = databases.filter((database) => pauses.pause(database, holdNumber));
    try {
      await this.#untilUnused(databases, AbortSignal.timeout(pauseWaitMs), signal);
    } catch (error) {
      for (const database of added) pauses.resume(database);
      throw error;
    }
    for (const database of databases) closeIdle(database);
  }

  async #untilUnused(
    databases: readonly DatabaseName[],
    deadline: AbortSignal,
    signal: AbortSignal,
  ): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const users = new Set(databases.flatMap((each) => this.#parts.sessions.using(each)));
      if (users.size === 0) return;
      if (deadline.aborted) {
        const [first] = users;
        throw new SqlError(
          "pause_timeout",
          `transactions of ${users.size} clients have not ended within ${this.#parts.pauseWaitMs} ms`,
          { detail: `The first of these clients is ${first}.` },
        );
      }
      await sleep(PAUSE_POLL_MS);
    }
  }

  /** A database that the map no longer names may still be paused. */
  #resume(name: string | undefined): void {
    const { pauses } = this.#parts;
    const isPaused = name !== undefined && pauses.isPaused(databaseName(name));
    const databases = name === undefined ? pauses.databases : this.#resumable(name, isPaused);
    for (const database of databases) pauses.resume(database);
  }

  #resumable(name: string, isPaused: boolean): readonly DatabaseName[] {
    return isPaused ? [databaseName(name)] : this.#named(name);
  }

  /** False where there is no such client here. */
  kill(id: number): Promise<boolean> {
    return this.#parts.sessions.kill(id, killed());
  }

  async #killDatabase(name: string): Promise<void> {
    const { sessions } = this.#parts;
    const ids = new Set(this.#named(name).flatMap((database) => sessions.using(database)));
    await Promise.all([...ids].map(async (id) => await sessions.kill(id, killed())));
  }

  #named(name: string | undefined): readonly DatabaseName[] {
    const databases = this.#parts.databases();
    if (name === undefined) return databases;
    const found = databases.filter((database) => database === name);
    if (found.length > 0) return found;
    throw new SqlError("console_object_unknown", `database "${name}" is not in the shard map`);
  }
}

function killed(): SqlError {
  return new SqlError("client_killed", "terminating connection due to administrator command");
}
