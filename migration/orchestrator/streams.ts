/**
 * The streams of one direction: a mover for each move, all of them or none. Who needs them waits
 * until they run; who copies opens the gate that the copy waits at.
 */
import type { DatabaseName } from "../../base/ids.ts";
import { MIGRATION_COPY_WORKERS } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { Direction, Throttle } from "../machine/life.ts";
import { tableFingerprint, targetDatabases } from "../move.ts";
import type { Move, PlannedMove } from "../move.ts";
import { Mover } from "../mover.ts";
import { openSource } from "../sessions.ts";
import { streamNames } from "../stream-setup.ts";
import { CopyThrottle } from "../throttle.ts";
import { describeMove } from "../source-tables.ts";
import { withSignal } from "../with-signal.ts";
import { databaseOf, movesOf } from "./scene.ts";
import type { Scene } from "./scene.ts";
import { readFingerprints } from "./stream-state.ts";

export interface RunningMove {
  readonly move: Move;
  readonly mover: Mover;
  readonly throttle: CopyThrottle;
}

/** How fast rows are copied: asked again before each chunk, for operators may change it. */
export interface Pace {
  readonly limits: () => Throttle;
  /** Why copying waits from now on; undefined: it goes on. */
  readonly tell: (because: string | undefined) => void;
}

export interface Attempt {
  readonly direction: Direction;
  readonly ticket: number;
}

export class Streams {
  readonly #scene: Scene;
  readonly #pace: Pace;
  readonly #running = new Map<Direction, PromiseWithResolvers<readonly RunningMove[]>>();
  /** Directions in which nothing is due yet. */
  readonly #armed = new Set<Direction>();
  #attempt: Attempt | undefined;
  #isComparing = false;
  #gate = Promise.withResolvers<void>();

  constructor(scene: Scene, pace: Pace) {
    this.#scene = scene;
    this.#pace = pace;
  }

  /** Told before anybody may write where the direction begins, and also of streams that run already. */
  setArmed(direction: Direction, isArmed: boolean): void {
    if (isArmed) this.#armed.add(direction);
    else this.#armed.delete(direction);
  }

  /** The ticket of the attempt that takes rows the one way; told before its fence, and before that is taken away. */
  setAttempt(attempt: Attempt | undefined): void {
    this.#attempt = attempt;
  }

  /** Until the signal aborts; rejects with what ended one of them. Nothing of them runs afterwards. */
  async run(direction: Direction, signal: AbortSignal): Promise<void> {
    const started: RunningMove[] = [];
    const present = this.#present(direction);
    let isComplete = false;
    try {
      for (const planned of movesOf(this.#scene, direction))
        started.push(await this.#start(planned, direction, signal));
      present.resolve(started);
      isComplete = true;
      await withSignal(Promise.race(started.map(({ mover }) => mover.ended)), signal);
    } finally {
      // Who waits for streams that never came waits for the next ones.
      if (isComplete) this.#running.delete(direction);
      for (const { mover, throttle } of started) {
        await mover[Symbol.asyncDispose]();
        throttle[Symbol.dispose]();
      }
    }
  }

  /** Does it with the streams that run, and once more with the next ones where they end meanwhile. */
  async using<T>(
    direction: Direction,
    signal: AbortSignal,
    work: (moves: readonly RunningMove[]) => Promise<T>,
  ): Promise<T> {
    for (;;) {
      const moves = await withSignal(this.#present(direction).promise, signal);
      let hasEnded = false;
      const ended = Promise.race(moves.map(({ mover }) => mover.ended)).finally(() => {
        hasEnded = true;
      });
      ended.catch(() => undefined);
      const working = work(moves);
      try {
        return await withSignal(working, signal);
      } catch (error) {
        signal.throwIfAborted();
        // The mover's end is told a moment after what it made fail.
        await Promise.race([
          ended.catch(() => undefined),
          new Promise((then) => setImmediate(then)),
        ]);
        if (!hasEnded) throw error;
      }
    }
  }

  /**
   * Rows are copied from now on, until the signal aborts: then no chunk is begun any more.
   * `isComparing`: the targets may have some of them already.
   */
  allowCopy(isComparing: boolean, signal: AbortSignal): void {
    this.#isComparing = isComparing;
    this.#gate.resolve();
    signal.addEventListener("abort", () => (this.#gate = Promise.withResolvers<void>()), {
      once: true,
    });
  }

  #present(direction: Direction): PromiseWithResolvers<readonly RunningMove[]> {
    const known = this.#running.get(direction);
    if (known !== undefined) return known;
    const made = Promise.withResolvers<readonly RunningMove[]>();
    this.#running.set(direction, made);
    return made;
  }

  async #start(
    planned: PlannedMove,
    direction: Direction,
    signal: AbortSignal,
  ): Promise<RunningMove> {
    const scene = this.#scene;
    const source = databaseOf(scene, planned.source);
    const move = await described(scene, planned, signal);
    const targets = targetDatabases(planned).map((name: DatabaseName) => databaseOf(scene, name));
    const throttle = new CopyThrottle({
      source,
      targets,
      slot: streamNames(planned).slot,
      ...this.#pace,
    });
    const mover = await Mover.start(
      {
        move,
        source,
        targets,
        epoch: scene.epoch,
        workerCount: MIGRATION_COPY_WORKERS,
        mayBeWritten: () => !this.#armed.has(direction),
        fenceTicket: () =>
          this.#attempt?.direction === direction ? this.#attempt.ticket : undefined,
        isComparing: () => this.#isComparing,
        mayCopy: async (rowCount, ended) => {
          await withSignal(this.#gate.promise, ended);
          await throttle.pass(rowCount, ended);
        },
      },
      signal,
    );
    return { move, mover, throttle };
  }
}

/** As its tables are now, which is as they were when the stream was set up. */
async function described(scene: Scene, planned: PlannedMove, signal: AbortSignal): Promise<Move> {
  const connection = await openSource(databaseOf(scene, planned.source), signal);
  try {
    const move = await describeMove(connection, planned);
    const known = await readFingerprints(connection, planned.name);
    const altered = move.tables.find((table) => !known.has(tableFingerprint(table)));
    if (altered === undefined) return move;
    throw new SqlError(
      "migration_schema_changed",
      `table "${altered.schema}.${altered.name}" is not what it was when the migration was set up`,
      { detail: `It is ${tableFingerprint(altered)} now.` },
    );
  } finally {
    connection.close();
  }
}
