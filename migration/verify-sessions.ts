/**
 * The connections of one verification, and how they come to see the same: a snapshot of the source,
 * and one of each target taken when its applier is at a marker that came behind the first.
 */
import { randomUUID } from "node:crypto";
import { invariant } from "../base/invariant.ts";
import type { DatabaseName } from "../base/ids.ts";
import { VERIFY_ALIGN_TIMEOUT_MS } from "../base/limits.ts";
import { quoteLiteral } from "../base/sql-quoting.ts";
import type { BackendConnection } from "../proxy/backend/backend-connection.ts";
import type { MarkerWaits } from "./marker-waits.ts";
import { openSource, openTarget, type MoveDatabase } from "./sessions.ts";

/** Takes each side's snapshot, when it is asked to. */
export interface Looks {
  readonly source: () => Promise<void>;
  readonly target: (database: DatabaseName) => Promise<void>;
}

export type Align = (looks: Looks, signal: AbortSignal) => Promise<void>;

export interface VerifySides {
  readonly source: MoveDatabase;
  readonly targets: readonly MoveDatabase[];
  /** Of the mover that applies the stream; undefined where neither side changes, or another process applies it. */
  readonly markers: MarkerWaits | undefined;
  /** Instead of markers: has every session look when both sides have the same. */
  readonly align?: Align | undefined;
  /** Sessions of the caller's, who closes them; else there are own ones. Without markers only. */
  readonly lent?: Lent | undefined;
}

export interface Lent {
  readonly source: BackendConnection;
  readonly targets: ReadonlyMap<DatabaseName, BackendConnection>;
}

/** The prefix of messages in the source's log that verification waits for. */
const VERIFY_MARKER = "colonnade_verify";

/** No more groups than VERIFY_BUCKETS, which the planner cannot know: it would sort all rows, on disk. */
const BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL enable_sort = off";
/** Takes the snapshot, which BEGIN does not. */
const LOOK = "SELECT pg_current_snapshot()";

async function takeSnapshot(session: BackendConnection): Promise<void> {
  await session.query(BEGIN);
  await session.query(LOOK);
}

/** Connections of one verification: two to the source where there are markers, which come from outside the snapshot. */
export class VerifySessions implements Disposable {
  readonly source: BackendConnection;
  readonly #marking: BackendConnection | undefined;
  readonly #targets: ReadonlyMap<DatabaseName, BackendConnection>;
  readonly #markers: MarkerWaits | undefined;
  readonly #alignBy: Align | undefined;
  readonly #isLent: boolean;
  #interruption: AbortSignal | undefined;
  readonly #destroy = (): void => {
    this.#marking?.destroy();
    for (const session of [this.source, ...this.#targets.values()]) session.destroy();
  };

  static async open(
    { source, targets, markers, align, lent }: VerifySides,
    signal: AbortSignal,
  ): Promise<VerifySessions> {
    if (lent !== undefined)
      return new VerifySessions(lent.source, undefined, lent.targets, { isLent: true });
    const opened: BackendConnection[] = [];
    const keep = async (opening: Promise<BackendConnection>): Promise<BackendConnection> => {
      const connection = await opening;
      opened.push(connection);
      return connection;
    };
    const all = await Promise.allSettled([
      keep(openSource(source, signal)),
      markers === undefined ? undefined : keep(openSource(source, signal)),
      ...targets.map((target) => keep(openTarget(target, signal))),
    ]);
    const failed = all.find(({ status }) => status === "rejected");
    if (failed?.status === "rejected") {
      for (const connection of opened) connection.destroy();
      throw failed.reason;
    }
    const [reading, marking, ...others] = all.map((each) =>
      each.status === "fulfilled" ? each.value : undefined,
    );
    invariant(reading !== undefined, "what was opened is there");
    const byName = new Map<DatabaseName, BackendConnection>();
    for (const [index, connection] of others.entries()) {
      const target = targets[index];
      if (target !== undefined && connection !== undefined) byName.set(target.name, connection);
    }
    const sessions = new VerifySessions(reading, marking, byName, {
      markers,
      align,
      isLent: false,
    });
    // A long query is not waited for: a cutover may be what has come instead.
    sessions.#interruption = signal;
    signal.addEventListener("abort", sessions.#destroy, { once: true });
    if (signal.aborted) sessions.#destroy();
    return sessions;
  }

  constructor(
    source: BackendConnection,
    marking: BackendConnection | undefined,
    targets: ReadonlyMap<DatabaseName, BackendConnection>,
    more: Partial<Pick<VerifySides, "markers" | "align">> & { readonly isLent: boolean },
  ) {
    this.source = source;
    this.#marking = marking;
    this.#targets = targets;
    this.#markers = more.markers;
    this.#alignBy = more.align;
    this.#isLent = more.isLent;
  }

  target(database: DatabaseName): BackendConnection {
    const target = this.#targets.get(database);
    invariant(target !== undefined, "every target of a move has a session");
    return target;
  }

  /** Runs `work` while every session sees the same of the source's transactions, but for the latest few. */
  async aligned(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    if (this.#alignBy !== undefined)
      await this.#alignBy(
        {
          source: async () => await takeSnapshot(this.source),
          target: async (database) => await takeSnapshot(this.target(database)),
        },
        AbortSignal.any([signal, AbortSignal.timeout(VERIFY_ALIGN_TIMEOUT_MS)]),
      );
    else if (this.#markers === undefined) await this.#onEach(BEGIN);
    else await this.#align(this.#markers, signal);
    await work();
    await this.#onEach("COMMIT");
  }

  async #onEach(sql: string): Promise<void> {
    await Promise.all([this.source, ...this.#targets.values()].map((each) => each.query(sql)));
  }

  async #align(markers: MarkerWaits, signal: AbortSignal): Promise<void> {
    const marking = this.#marking;
    invariant(marking !== undefined, "who waits for markers can put them");
    const content = randomUUID();
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(VERIFY_ALIGN_TIMEOUT_MS)]);
    const look = async (database: DatabaseName): Promise<void> =>
      await takeSnapshot(this.target(database));
    const reached = markers.wait({ prefix: VERIFY_MARKER, content }, look, deadline);
    reached.catch(() => undefined);
    await takeSnapshot(this.source);
    // The commit of an id is flushed, and the message before it.
    await marking.query(
      `SELECT pg_logical_emit_message(false, ${quoteLiteral(VERIFY_MARKER)}, ${quoteLiteral(content)}), pg_current_xact_id()`,
    );
    await reached;
  }

  [Symbol.dispose](): void {
    if (this.#isLent) return;
    this.#interruption?.removeEventListener("abort", this.#destroy);
    this.#destroy();
  }
}
