/**
 * What the direct path runs: a client's bytes, read, and bound to the one placement that answers
 * them. What is accepted has done to the session's statements what its messages do.
 */
import { SqlError } from "../../base/sql-error.ts";
import { PIPELINED_STATEMENTS_MAX } from "../../base/limits.ts";
import type { BoundParameter } from "../../planner/physical-plan.ts";
import { FRONTEND_TYPE } from "../protocol/message-type.ts";
import { othersOf } from "./bound-portal.ts";
import { isSlow } from "./direct-behind.ts";
import { boundParameters, readBatch, readQuery } from "./direct-batch.ts";
import type { DirectBatch } from "./direct-batch.ts";
import { DirectBlock, placeInBlock, spentPortal } from "./direct-block.ts";
import type { PlaceInBlock } from "./direct-block.ts";
import { DirectColumns } from "./direct-columns.ts";
import { mayBeCommand } from "./direct-command.ts";
import type { DirectCommand } from "./direct-command.ts";
import type { DirectRequest } from "./direct-request.ts";
import type { DirectTarget, Route } from "./direct-route.ts";
import type { DirectSession } from "./direct-session.ts";
import { DirectStatements } from "./direct-statements.ts";
import { otherColumns } from "./prepared-statements.ts";
import type { PreparedStatement } from "./prepared-statements.ts";

export interface Running {
  readonly route: Route;
  readonly request: DirectRequest;
  readonly columns: DirectColumns;
  /** Undefined in the simple protocol. */
  readonly batch: DirectBatch | undefined;
  /** The batch has a Parse, which is answered. */
  readonly tellsParse: boolean;
  readonly sql: string;
  /** Undefined outside of a transaction. */
  readonly block: DirectBlock | undefined;
  /** When it was asked for; of one that was sent behind others, when those were answered. */
  startedMs: number;
  isParsed: boolean;
  /** It was sent, or is not to be sent, and this is what its client is told. */
  lost: unknown;
}

/** What was taken off the front of a client's bytes. */
type Taken = TakenStatement | { readonly end: number; readonly command: DirectCommand };

interface TakenStatement {
  readonly end: number;
  readonly running: Running;
}

/** What is to run, before it has a place. */
type Wanted = Pick<Running, "route" | "batch" | "tellsParse" | "sql"> & {
  readonly statement: PreparedStatement | undefined;
};

/** Whether a statement may run where it is bound to; it counts as begun then. Throws what is refused. */
type Enter = (target: DirectTarget) => boolean;

/** What may be sent with a statement before it is answered, in the client's order. */
interface Behind {
  readonly end: number;
  readonly behind: readonly Running[];
}

const NONE: readonly Running[] = [];
const NO_PARAMETERS: readonly BoundParameter[] = [];

export class DirectIntake {
  readonly #session: DirectSession;
  readonly #statements: DirectStatements;

  constructor(session: DirectSession) {
    this.#session = session;
    this.#statements = new DirectStatements(session);
  }

  /** Undefined where the first message is not for the direct path. */
  take(bytes: Buffer, start: number, end: number): Taken | undefined {
    const { binding, transaction } = this.#session.runner;
    const isOpen = transaction.current !== undefined;
    return this.#take(bytes, start, end, ({ places }) => binding.use.enter(places, isOpen));
  }

  /**
   * What follows a statement outside of a transaction, as far as it is for the same database: it
   * may be sent before that one is answered. Nothing where a lease or a hold is to be minded.
   */
  takeBehind(
    bytes: Buffer,
    end: number,
    { running: first, end: firstEnd }: TakenStatement,
  ): Behind {
    const { use, target } = first.request;
    let at = firstEnd;
    if (at === end || first.block !== undefined || !use.isQuiet || isSlow(first))
      return { end: at, behind: NONE };
    const isNear: Enter = ({ database }) => database === target.database;
    const behind: Running[] = [];
    while (at < end && behind.length + 1 < PIPELINED_STATEMENTS_MAX) {
      const taken = this.#take(bytes, at, end, isNear);
      if (taken === undefined || "command" in taken) break;
      behind.push(taken.running);
      at = taken.end;
      if (isSlow(taken.running)) break;
    }
    return { end: at, behind };
  }

  #take(bytes: Buffer, start: number, end: number, enter: Enter): Taken | undefined {
    const type = bytes[start];
    if (type === FRONTEND_TYPE.query) return this.#takeQuery(bytes, start, end, enter);
    if (type !== FRONTEND_TYPE.bind && type !== FRONTEND_TYPE.parse) return undefined;
    return this.#takeBatch(bytes, start, end, enter);
  }

  #takeQuery(bytes: Buffer, start: number, end: number, enter: Enter): Taken | undefined {
    const query = readQuery(bytes, start, end);
    if (query === undefined) return undefined;
    const { sql } = query;
    const found = this.#statements.ofText(sql);
    if (found === undefined) return undefined;
    if ("command" in found) {
      const command = { plan: found.command, sql, statement: undefined, batch: undefined };
      return { end: query.end, command };
    }
    const { route } = found;
    // The client is told a view's columns by its own text.
    if (route.readsViews) return undefined;
    const wanted = { route, batch: undefined, tellsParse: false, statement: undefined, sql };
    const running = this.#bind(wanted, enter);
    if (running === undefined) return undefined;
    this.#session.prepared.close("");
    return { end: query.end, running };
  }

  #takeBatch(bytes: Buffer, start: number, end: number, enter: Enter): Taken | undefined {
    const batch = readBatch(bytes, start, end);
    if (batch === undefined) return undefined;
    const { prepared } = this.#session;
    const tellsParse = batch.parseEnd > start;
    const statement = tellsParse
      ? this.#statements.parsed(bytes, start, batch.parseEnd)
      : prepared.find(batch.bind.statement);
    if (statement === undefined) return undefined;
    const { sql } = statement;
    const route = this.#statements.routeOf(statement, batch.bind);
    if (route === undefined) {
      const plan = mayBeCommand(statement, batch) ? this.#statements.commandOf(sql) : undefined;
      return plan && { end: batch.end, command: { plan, sql, statement, batch } };
    }
    const running = this.#bind({ route, batch, tellsParse, statement, sql }, enter);
    if (running === undefined) return undefined;
    if (tellsParse) prepared.add(statement);
    statement.isTold ||= batch.isDescribed;
    prepared.endBatch();
    return { end: batch.end, running };
  }

  /** Undefined where not one placement answers it alone, or something is to be refused. */
  #bind(wanted: Wanted, enter: Enter): Running | undefined {
    const { route, statement, batch } = wanted;
    const isOfStatement = statement !== undefined && batch !== undefined;
    const parameters = isOfStatement
      ? boundParameters(batch.bind, statement.description.parameterTypes)
      : NO_PARAMETERS;
    try {
      const target = route.bind(parameters);
      const open = this.#session.runner.transaction.current?.transaction;
      const place = open && target && placeInBlock(open, target.database);
      if (target === undefined || (open !== undefined && place === undefined)) return undefined;
      return enter(target) ? this.#runningOf(wanted, target, place) : undefined;
    } catch (error) {
      // The long way comes to the same error, and tells it in its place.
      if (error instanceof SqlError) return undefined;
      throw error;
    }
  }

  /** `place`: in the open transaction, undefined outside of one. */
  #runningOf(
    { route, batch, tellsParse, statement, sql }: Wanted,
    target: DirectTarget,
    place: PlaceInBlock | undefined,
  ): Running {
    const { scope } = this.#session.runner.transaction;
    const request: DirectRequest = {
      target,
      use: this.#session.runner.binding.use,
      bound: batch?.bind.rest,
      isKept: statement?.name !== "",
      isDescribed: target.returnsRows || batch?.isDescribed === true,
      begin: place?.kind === "first" ? place.begin : undefined,
    };
    const isFree = statement?.isTold === false && !route.readsViews;
    const portal =
      place && statement && batch ? spentPortal(statement, batch.bind, scope) : undefined;
    const block = place && new DirectBlock(place, route.plan, portal);
    const adopt = isFree ? (portal ? othersOf(portal) : otherColumns(statement)) : undefined;
    const { translation } = target;
    const columns = new DirectColumns(translation, statement?.description, batch, adopt);
    const startedMs = performance.now();
    return {
      route,
      request,
      columns,
      batch,
      tellsParse,
      sql,
      block,
      startedMs,
      isParsed: false,
      lost: undefined,
    };
  }
}
