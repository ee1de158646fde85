/**
 * Markers of the source's log on their way into the targets: who waits for one is told, target
 * by target, when everything before it is durable there, and may hold the target's applier at
 * that place for a moment.
 */
import type { DatabaseName } from "../base/ids.ts";
import type { Lsn } from "../base/lsn.ts";
import { printMarker } from "./target-state.ts";
import type { Marker } from "./target-queue.ts";

/** Called while nothing more is applied in the database; it goes on when this resolves. */
type AtMarker = (database: DatabaseName, position: Lsn) => Promise<void>;

interface Wait {
  readonly left: Set<DatabaseName>;
  readonly at: AtMarker;
  readonly done: PromiseWithResolvers<void>;
}

export class MarkerWaits {
  readonly #databases: readonly DatabaseName[];
  readonly #waits = new Map<string, Wait>();

  constructor(databases: readonly DatabaseName[]) {
    this.#databases = databases;
  }

  /** Asked for before the marker is emitted. Resolves when it has reached every target. */
  async wait(marker: Marker, at: AtMarker, signal: AbortSignal): Promise<void> {
    const name = printMarker(marker);
    const done = Promise.withResolvers<void>();
    const aborted = (): void => done.reject(signal.reason);
    signal.addEventListener("abort", aborted, { once: true });
    this.#waits.set(name, { left: new Set(this.#databases), at, done });
    try {
      signal.throwIfAborted();
      await done.promise;
    } finally {
      signal.removeEventListener("abort", aborted);
      this.#waits.delete(name);
    }
  }

  /** For the appliers. */
  async reached(database: DatabaseName, marker: Marker, position: Lsn): Promise<void> {
    const wait = this.#waits.get(printMarker(marker));
    if (wait === undefined || !wait.left.has(database)) return;
    await wait.at(database, position).catch((error: unknown) => wait.done.reject(error));
    wait.left.delete(database);
    if (wait.left.size === 0) wait.done.resolve();
  }

  /** The move is over. */
  fail(reason: unknown): void {
    for (const { done } of this.#waits.values()) done.reject(reason);
  }
}
