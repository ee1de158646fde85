/**
 * The backends of one statement's fragments, taken together and given back together: one a
 * database, always in the same order, so that statements never wait for each other in a circle.
 * It knows fragments and their databases, not what becomes of the rows.
 */
import type { DatabaseName } from "../../base/ids.ts";
import type { Fragment } from "../../planner/physical-plan.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import { DatabaseRows } from "./database-rows.ts";
import type { DatabaseFragment } from "./database-rows.ts";
import type { FragmentRequest } from "./fragment-request.ts";
import { inLockOrder } from "./lock-order.ts";
import type { SessionBackends } from "./session-backends.ts";
import type { Participant } from "./participant.ts";
import type { Transaction } from "./transaction.ts";
import { rollback } from "./two-phase-commit.ts";

export interface ScatterFragment {
  readonly fragment: Fragment;
  readonly request: FragmentRequest;
}

export interface ScatterOptions {
  readonly backends: SessionBackends;
  readonly transaction: Transaction | undefined;
  readonly catalog: DatabaseName;
  readonly access: "read" | "write";
  /**
   * Outside a transaction: a database with several fragments answers them all as of one
   * instant, at the cost of a transaction block around them.
   */
  readonly isOneSnapshot: boolean;
  readonly onNotice: (bytes: Buffer) => void;
  readonly signal: AbortSignal;
}

/** `stopped`: nothing more is wanted, and the client's transaction, where there is one, must stay usable. */
export type ScatterEnd = "done" | "stopped" | "failed";

interface Opened {
  readonly connection: BackendConnection;
  readonly participant: Participant | undefined;
  readonly rows: DatabaseRows;
}

export class Scatter {
  readonly #options: ScatterOptions;
  readonly #opened: Opened[] = [];

  /** Rejects with what kept a backend from being had; then none is held. */
  static async open(
    fragments: readonly ScatterFragment[],
    options: ScatterOptions,
  ): Promise<Scatter> {
    const scatter = new Scatter(options);
    try {
      await scatter.#open(fragments);
      return scatter;
    } catch (error) {
      await scatter.close("failed");
      throw error;
    }
  }

  private constructor(options: ScatterOptions) {
    this.#options = options;
  }

  /** In lock order. */
  get databases(): readonly DatabaseRows[] {
    return this.#opened.map(({ rows }) => rows);
  }

  async #open(fragments: readonly ScatterFragment[]): Promise<void> {
    const { backends, transaction, access, signal, onNotice } = this.#options;
    const byDatabase = Map.groupBy(fragments, ({ fragment }) => fragment.database);
    for (const database of inLockOrder([...byDatabase.keys()], this.#options.catalog)) {
      const own = (byDatabase.get(database) ?? []).map(databaseFragment);
      const participant = await transaction?.join(database, signal);
      if (access === "write") markWritten(participant, undefined);
      const connection = participant?.connection ?? (await backends.acquire(database, signal));
      this.#opened.push({
        connection,
        participant,
        rows: new DatabaseRows(connection, own, onNotice),
      });
    }
    if (this.#options.isOneSnapshot) await this.#holdSnapshots();
  }

  async #holdSnapshots(): Promise<void> {
    const begun = await Promise.allSettled(
      this.#opened
        .filter(({ participant, rows }) => participant === undefined && rows.results.length > 1)
        .map(({ connection }) => connection.query("BEGIN ISOLATION LEVEL REPEATABLE READ")),
    );
    // Only once all have answered: none may be used while its answer is outstanding.
    for (const each of begun) if (each.status === "rejected") throw each.reason;
  }

  /**
   * Gives back every backend, idle or broken. A second call does nothing. Rejects with a server's error alone,
   * where the client's transaction should have stayed usable and a fragment failed
   * after nothing more was wanted of it: that database has given the transaction up.
   */
  async close(end: ScatterEnd): Promise<void> {
    const { backends, transaction, access } = this.#options;
    if (end === "done" && access === "write")
      for (const { participant, rows } of this.#opened)
        for (const { tag } of rows.results) markWritten(participant, tag);
    const mayCancel = transaction === undefined || end === "failed";
    const failures = await Promise.all(
      this.#opened.splice(0).map(async ({ connection, participant, rows }) => {
        const failure = await rows.abandon(mayCancel);
        if (participant !== undefined) return failure;
        // A block of ours has only read: how it ends makes no difference.
        if (connection.pendingReadyForQuery === 0) await rollback(connection);
        backends.release(connection);
        return undefined;
      }),
    );
    const failure = failures.find((each) => each !== undefined);
    if (failure !== undefined && end !== "failed") throw failure;
  }
}

function databaseFragment({ fragment, request }: ScatterFragment): DatabaseFragment {
  return {
    placementId: fragment.placementIds.join(", "),
    request,
    rowIndexes: fragment.rowIndexes,
  };
}

/** "UPDATE 0" leaves open whether a trigger wrote; anything that is not a count of zero has written. */
export function markWritten(participant: Participant | undefined, tag: string | undefined): void {
  if (participant === undefined || participant.wrote === "yes") return;
  participant.wrote = tag === undefined || tag.endsWith(" 0") ? "maybe" : "yes";
}
