/**
 * What a client has sent behind the statement that runs, and is taken with it: statements outside
 * of a transaction, for the same database. As many as may be are sent at once, and are answered one
 * after the other; the rest is sent when these are.
 */
import { PIPELINED_STATEMENT_SLOW_MS } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import { unknownWhereLost } from "../execution/executor.ts";
import { isPrepared } from "../execution/prepared-texts.ts";
import { SlowStatements } from "../execution/shared-reads/slow-statements.ts";
import type { FrameWriter } from "../protocol/frame-writer.ts";
import { encodeDirect } from "./direct-request.ts";
import type { DirectRequest } from "./direct-request.ts";
import type { DirectPlan } from "./direct-route.ts";
import type { Running } from "./direct-running.ts";

/** What each takes of its server, by plans, which all sessions share. */
const PACES = new SlowStatements(PIPELINED_STATEMENT_SLOW_MS);

export class DirectBehind {
  /** In the client's order. */
  #waiting: Running[] = [];
  /** How many of them, from the first on, are under way with the one that runs. */
  #sentCount = 0;

  get isAny(): boolean {
    return this.#waiting.length > 0;
  }

  add(behind: readonly Running[]): void {
    const [first] = behind;
    if (first === undefined) return;
    this.#waiting = [...behind];
    const places = new Set(behind.flatMap(({ request }) => request.target.places));
    first.request.use.enterBehind([...places]);
  }

  /**
   * Writes those that may be sent with `running`, which was written: gives how many. What only
   * an answer before it makes sure to be prepared waits for that one.
   */
  encode(connection: BackendConnection, running: Running, writer: FrameWriter): number {
    this.#sentCount = 0;
    if (isToBePrepared(running)) return 0;
    for (const each of this.#waiting) {
      if (each.lost !== undefined || !this.#encodes(connection, each, writer)) break;
      this.#sentCount += 1;
    }
    return this.#sentCount;
  }

  #encodes(connection: BackendConnection, running: Running, writer: FrameWriter): boolean {
    running.isParsed = isParsedOn(connection, running);
    if (isToBePrepared(running)) return false;
    try {
      encodeDirect(connection, running.request, writer);
      return true;
    } catch (error) {
      // It is told so in its turn.
      if (error instanceof SqlError) return false;
      throw error;
    }
  }

  /** The first of those that were sent, which counts as begun; undefined where there is none, or it may not. */
  begin(): Running | undefined {
    const [next] = this.#waiting;
    if (next === undefined || refusal(next) !== undefined) return undefined;
    this.#leave(next);
    return next;
  }

  /** The next one, which was not sent, and counts as begun where nothing says that it is lost. */
  take(): Running | undefined {
    const [next] = this.#waiting;
    if (next === undefined) return undefined;
    next.lost ??= refusal(next);
    this.#leave(next);
    return next;
  }

  #leave(next: Running): void {
    this.#waiting.shift();
    this.#sentCount = Math.max(0, this.#sentCount - 1);
    if (this.#waiting.length === 0) next.request.use.endBehind();
  }

  /** Those that were sent are not answered. What is proven to read only is sent again; of the rest nobody knows. */
  lose(error: unknown): void {
    for (const running of this.#waiting.slice(0, this.#sentCount)) {
      const { plan } = running.route;
      if (isProvenRead(plan)) continue;
      const { database } = running.request.target;
      running.lost = plan.access === "write" ? unknownWhereLost(error, database) : error;
    }
    this.#sentCount = 0;
  }

  /** Nobody is to be told of them. */
  drop(): void {
    this.#waiting[0]?.request.use.endBehind();
    this.#waiting = [];
    this.#sentCount = 0;
  }
}

/** Before it ends with those behind it: who is held back later waits for all of them. */
function refusal({ request: { use, target } }: Running): unknown {
  try {
    use.enter(target.places, false);
    return undefined;
  } catch (error) {
    if (error instanceof SqlError) return error;
    throw error;
  }
}

/** Where more are not to wait for one: each keeps those behind it waiting, and the connection from others. */
export function isSlow({ route: { plan } }: Running): boolean {
  return PACES.isSlow(plan, performance.now());
}

/** What one of several has taken from when its server could begin it. */
export function observe({ route: { plan }, startedMs }: Running, now: number): void {
  PACES.observe(plan, now - startedMs, 0, now);
}

/** The backend has the statement under a name, and what is sent names it. */
export function isParsedOn(connection: BackendConnection, { request }: Running): boolean {
  return isNamed(request) && isPrepared(connection, request.target.prepared);
}

function isToBePrepared({ request, isParsed }: Running): boolean {
  return isNamed(request) && !isParsed;
}

function isNamed({ bound, isKept }: DirectRequest): boolean {
  return bound !== undefined && isKept;
}

function isProvenRead(plan: DirectPlan): boolean {
  return plan.kind === "query" && plan.sharing !== undefined;
}
