/**
 * What the direct path has to know of a transaction block, and what a block has to know of a
 * statement that was made there. A block is plain while one database has joined it, its backend is
 * at rest, and the session reads names and settings in it as it does outside. Anything else is
 * the long way's, which finds the block as it would after a statement of its own.
 */
import type { DatabaseName } from "../../base/ids.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import { BeginAnswer } from "../execution/begin-ahead.ts";
import { markWritten } from "../execution/scatter.ts";
import type { Participant } from "../execution/participant.ts";
import type { Transaction } from "../execution/transaction.ts";
import { encodeReadyForQuery } from "../protocol/backend/ready-for-query.ts";
import type { TransactionStatus } from "../protocol/backend/ready-for-query.ts";
import { encodeToBuffer } from "../protocol/frame-writer.ts";
import { inFormats } from "./bound-portal.ts";
import type { DirectBind } from "./direct-batch.ts";
import type { DirectPlan } from "./direct-route.ts";
import type { Portal, Portals } from "./portals.ts";
import type { PreparedStatement } from "./prepared-statements.ts";
import type { Scope } from "./session-transaction.ts";
import type { StatementRunner } from "./statement-runner.ts";

/** Nothing is to be settled before or after a statement, outside of a transaction or in a plain block. */
export function isPlain({ transaction, pins, view }: StatementRunner, portals: Portals): boolean {
  if (transaction.mayHaveChangedSettings || !pins.areNone) return false;
  const open = transaction.current;
  if (open === undefined) return portals.isEmpty;
  return (
    open.isExplicit &&
    !open.isFailed &&
    !view.hasOwnCatalog &&
    open.outerEnvironment === view.environmentNow &&
    portals.areSpent
  );
}

/** Where in a transaction a statement goes: to its one part, or, with its BEGIN, to what becomes its first. */
export type PlaceInBlock =
  | { readonly kind: "part"; readonly part: Participant }
  | { readonly kind: "first"; readonly transaction: Transaction; readonly begin: string };

/** Undefined where it is not for the direct path. */
export function placeInBlock(
  transaction: Transaction,
  database: DatabaseName,
): PlaceInBlock | undefined {
  const begin = transaction.beginAhead;
  if (begin !== undefined) return { kind: "first", transaction, begin };
  const part = transaction.onlyPart(database);
  return part && { kind: "part", part };
}

/** One statement of a block. */
export class DirectBlock {
  readonly #place: PlaceInBlock;
  readonly #isWrite: boolean;
  readonly #portal: Portal | undefined;
  #part: Participant | undefined;
  #begin: BeginAnswer | undefined;

  /** `portal`: undefined in the simple protocol. */
  constructor(place: PlaceInBlock, plan: DirectPlan, portal: Portal | undefined) {
    this.#place = place;
    this.#part = place.kind === "part" ? place.part : undefined;
    this.#isWrite = plan.access === "write";
    this.#portal = portal;
  }

  /** Undefined while its database has not joined the transaction. */
  get connection(): BackendConnection | undefined {
    return this.#part?.connection;
  }

  /** The statement is the session's from here on. */
  begun(portals: Portals): void {
    if (this.#portal === undefined) portals.close("");
    else portals.replace(this.#portal);
  }

  /** It is about to be sent: from here on the transaction may have written. */
  sending(connection: BackendConnection): void {
    if (this.#place.kind === "first") {
      this.#part = this.#place.transaction.joinFirst(connection);
      this.#begin = new BeginAnswer();
    }
    if (this.#isWrite) markWritten(this.#part, undefined);
  }

  /** The message answers the BEGIN that was sent with it. */
  takes(type: number): boolean {
    const connection = this.#part?.connection;
    if (this.#begin === undefined || connection === undefined) return false;
    return this.#begin.takes(type, connection, this.#portal === undefined);
  }

  /** A CommandComplete, `bytes[start, end)` its text. Of what a read says, nobody asks later. */
  completed(bytes: Buffer, start: number, end: number): void {
    if (!this.#isWrite) return;
    const tag = bytes.toString("latin1", start, end);
    markWritten(this.#part, tag);
    if (this.#portal !== undefined) this.#portal.progress = { kind: "done", tag };
  }
}

/** What a client is told for a server's ReadyForQuery: as it is, or in its place what the session is in. */
export function readyIn(block: DirectBlock | undefined, status: TransactionStatus): true | Buffer {
  const isAsSession = status === (block === undefined ? "idle" : "inTransaction");
  if (isAsSession) return true;
  return block === undefined ? READY : READY_IN_BLOCK;
}

function ready(status: TransactionStatus): Buffer {
  return encodeToBuffer(encodeReadyForQuery, { kind: "readyForQuery", status });
}

const READY = ready("idle");
const READY_IN_BLOCK = ready("inTransaction");

/** As a Bind of the unnamed portal leaves it in a block once it has been executed to its end. Its values are of no more use. */
export function spentPortal(
  statement: PreparedStatement,
  { resultFormats }: DirectBind,
  scope: Scope,
): Portal {
  const { columns: inText } = statement.description;
  const columns = resultFormats.length === 0 ? inText : inFormats(inText, resultFormats);
  return {
    kind: "bound",
    name: "",
    statement,
    parameters: [],
    resultFormats,
    columns,
    scope,
    mayEndFailed: false,
    progress: { kind: "done", tag: "SELECT 0" },
  };
}
