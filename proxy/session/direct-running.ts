/**
 * What the direct path runs: a client's bytes, read, and bound to the one placement that answers
 * them. What is accepted has done to the session's statements what its messages do.
 */
import { SqlError } from "../../base/sql-error.ts";
import { PIPELINED_STATEMENTS_MAX } from "../../base/limits.ts";
import type { Claiming } from "../execution/claimant.ts";
import type { BoundParameter } from "../../planner/physical-plan.ts";
import { FRONTEND_TYPE } from "../protocol/message-type.ts";
import { othersOf } from "./bound-portal.ts";
import { isSlow } from "./direct-behind.ts";
import { queryEnd, readBatch } from "./direct-batch.ts";
import type { DirectBatch } from "./direct-batch.ts";
import { DirectBlock, placeInBlock, spentPortal } from "./direct-block.ts";
import type { PlaceInBlock } from "./direct-block.ts";
import { DirectColumns } from "./direct-columns.ts";
import { mayBeCommand } from "./direct-command.ts";
import type { DirectCommand } from "./direct-command.ts";
import type { DirectRequest } from "./direct-request.ts";
import type { DirectRoute, DirectTarget, Route } from "./direct-route.ts";
import type { DirectSession } from "./direct-session.ts";
import { DirectStatements } from "./direct-statements.ts";
import type { FoundQuery } from "./direct-statements.ts";
import { TextTarget } from "./direct-text.ts";
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
  readonly asked: Claiming;
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
  readonly #enter: Enter;

  constructor(session: DirectSession) {
    this.#session = session;
    this.#statements = new DirectStatements(session);
    const { runner } = session;
    this.#enter = ({ places }) =>
      runner.binding.use.enter(places, runner.transaction.current !== undefined);
  }

  /** Undefined where the first message is not for the direct path. */
  take(bytes: Buffer, start: number, end: number): Taken | undefined {
    return this.#take(bytes, start, end, this.#enter);
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
    try {
      const type = bytes[start];
      if (type === FRONTEND_TYPE.query) return this.#takeQuery(bytes, start, end, enter);
      if (type !== FRONTEND_TYPE.bind && type !== FRONTEND_TYPE.parse) return undefined;
      return this.#takeBatch(bytes, start, end, enter);
    } catch (error) {
      // The long way comes to the same error, and tells it in its place.
      if (error instanceof SqlError) return undefined;
      throw error;
    }
  }

  #takeQuery(bytes: Buffer, start: number, end: number, enter: Enter): Taken | undefined {
    const frameEnd = queryEnd(bytes, start, end);
    if (frameEnd === undefined) return undefined;
    const found = this.#statements.ofQuery(bytes, start, frameEnd);
    if (found === undefined) return undefined;
    if ("command" in found) {
      const { command: plan, sql } = found;
      return { end: frameEnd, command: { plan, sql, statement: undefined, batch: undefined } };
    }
    const running = this.#runQuery(found, enter);
    if (running === undefined) return undefined;
    this.#session.prepared.close("");
    return { end: frameEnd, running };
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
    const route = this.#statements.routeOf(statement, batch.bind);
    if (route === undefined) {
      const { sql } = statement;
      const plan = mayBeCommand(statement, batch) ? this.#statements.commandOf(sql) : undefined;
      return plan && { end: batch.end, command: { plan, sql, statement, batch } };
    }
    const running = this.#runBatch(route, statement, batch, tellsParse, enter);
    if (running === undefined) return undefined;
    if (tellsParse) prepared.add(statement);
    statement.isTold ||= batch.isDescribed;
    prepared.endBatch();
    return { end: batch.end, running };
  }

  /** Where in the open transaction it goes, undefined outside of one; false where it may not run now, or not here. */
  #placeFor(target: DirectTarget, enter: Enter): PlaceInBlock | undefined | false {
    const open = this.#session.runner.transaction.current?.transaction;
    const place = open && placeInBlock(open, target.database);
    if (open !== undefined && place === undefined) return false;
    return enter(target) ? place : false;
  }

  #runQuery(found: FoundQuery, enter: Enter): Running | undefined {
    const { route } = found;
    // The client is told a view's columns by its own text.
    if (route.readsViews) return undefined;
    const target = found instanceof TextTarget ? found : found.route.bind(NO_PARAMETERS);
    const place = target === undefined ? false : this.#placeFor(target, enter);
    if (target === undefined || place === false) return undefined;
    return {
      route,
      request: this.#requestOf(target, place, undefined, true),
      columns: target.columns,
      batch: undefined,
      tellsParse: false,
      asked: found,
      block: place && new DirectBlock(place, route.plan, undefined),
      startedMs: performance.now(),
      isParsed: false,
      lost: undefined,
    };
  }

  /** Undefined where not one placement answers it alone. */
  #runBatch(
    route: DirectRoute,
    statement: PreparedStatement,
    batch: DirectBatch,
    tellsParse: boolean,
    enter: Enter,
  ): Running | undefined {
    const { description } = statement;
    const target = route.bindBatch(batch.bind, description.parameterTypes);
    const place = target === undefined ? false : this.#placeFor(target, enter);
    if (target === undefined || place === false) return undefined;
    const { scope } = this.#session.runner.transaction;
    const isFree = !statement.isTold && !route.readsViews;
    const portal = place && spentPortal(statement, batch.bind, scope);
    const adopt = isFree ? (portal ? othersOf(portal) : otherColumns(statement)) : undefined;
    return {
      route,
      request: this.#requestOf(target, place, batch, statement.name !== ""),
      columns: new DirectColumns(target.translation, description, batch, adopt),
      batch,
      tellsParse,
      asked: statement,
      block: place && new DirectBlock(place, route.plan, portal),
      startedMs: performance.now(),
      isParsed: false,
      lost: undefined,
    };
  }

  #requestOf(
    target: DirectTarget,
    place: PlaceInBlock | undefined,
    batch: DirectBatch | undefined,
    isKept: boolean,
  ): DirectRequest {
    return {
      target,
      use: this.#session.runner.binding.use,
      bound: batch?.bind.rest,
      isKept,
      isDescribed: target.returnsRows || batch?.isDescribed === true,
      begin: place?.kind === "first" ? place.begin : undefined,
    };
  }
}
