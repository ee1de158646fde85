/**
 * Whether a change that the stream tells may be there at all. The fence refuses writes to rows
 * that others own, and lets sessions of a replica pass: appliers, which tag what they write, and
 * whoever else has the right to be one, a subscription among them. What those write is seen here.
 */
import type { Lsn } from "../base/lsn.ts";
import { printLsn } from "../base/lsn.ts";
import { SqlError } from "../base/sql-error.ts";
import { ticketOfMarker } from "./fence.ts";
import { isCopied, tableName, type Move, type MovedTable } from "./move.ts";
import type { Marker } from "./target-queue.ts";

export interface ForeignWritesOptions {
  /** False while nobody else may write to the source: it does not own its rows yet. True unless given. */
  readonly mayBeWritten?: (() => boolean) | undefined;
  /** Of the attempt that has the source fenced, or is about to; undefined where there is none. */
  readonly fenceTicket?: (() => number | undefined) | undefined;
}

export class ForeignWrites {
  readonly #move: Move;
  readonly #options: ForeignWritesOptions;
  /** Of the last fence whose marker the stream has met. */
  #ticket: number | undefined;

  constructor(move: Move, options: ForeignWritesOptions) {
    this.#move = move;
    this.#options = options;
  }

  /** Markers of a transaction that has been met as a whole. */
  pass(markers: readonly Marker[]): void {
    for (const marker of markers)
      this.#ticket = ticketOfMarker(this.#move.name, marker) ?? this.#ticket;
  }

  /** Throws `migration_foreign_write` where nobody may have changed the table in this place of the log. */
  refuse(table: MovedTable, at: Lsn): void {
    const { mayBeWritten, fenceTicket } = this.#options;
    if (mayBeWritten?.() === false) throw this.#foreign(table, at, "does not own its rows yet");
    // Of a table that stays where it is, too, the fence is another one, which this marker is not of.
    if (this.#ticket === undefined || isCopied(table)) return;
    if (fenceTicket?.() === this.#ticket)
      throw this.#foreign(table, at, "is fenced, so that its rows may go");
  }

  /** MIGRATIONS R22, R34: taken for a change that is due, it would be lost, or overwrite what the owner has. */
  #foreign(table: MovedTable, at: Lsn, why: string): SqlError {
    return new SqlError(
      "migration_foreign_write",
      `somebody has written to "${tableName(table)}" of database "${this.#move.source}", which ${why}`,
      { detail: `It is of the transaction committed at ${printLsn(at)}.` },
    );
  }
}
