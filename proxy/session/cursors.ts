/**
 * Cursors of SQL (manual: DECLARE, FETCH, MOVE, CLOSE). One that a single placement answers is
 * that server's, and what is said of it goes there. Of one over several each server has its part,
 * opened at DECLARE, so that the rows are those of that moment; they come here as they are asked
 * for. What must go back, be put together first, or outlive its transaction is kept here.
 */
import { unreachable } from "../../base/invariant.ts";
import { PORTAL_ROWS_AT_ONCE } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import { quoteIdentifier } from "../../base/sql-quoting.ts";
import { bindAtCursor, bindUpdateCurrent, fetchStatement } from "../../planner/bind-cursor.ts";
import type {
  CursorMove,
  CursorPlan,
  FetchCursor,
  UpdateCurrent,
} from "../../planner/cursor-plan.ts";
import type { PhysicalPlan } from "../../planner/physical-plan.ts";
import type { FragmentProtocol } from "../execution/fragment-request.ts";
import type { ResultEvent, ResultStream } from "../execution/result-event.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import type { FormatCode } from "../protocol/format-code.ts";
import { StreamedRows } from "./cursor-rows.ts";
import { CursorWalk } from "./cursor-walk.ts";
import { refuseOtherSettings, sharedSettings } from "./cursor-settings.ts";
import type { ShownSettings } from "./cursor-settings.ts";
import { declareCursor, drain, inFormats, reading, shownSettings } from "./declared-cursors.ts";
import type { Columns, CursorParts } from "./declared-cursors.ts";
import { heldPlace } from "./held-cursors.ts";
import type { AnyPortal, Cursor, CursorPlace, Portals } from "./portals.ts";
import type { Responder } from "./responder.ts";
import { RowStream } from "./row-stream.ts";
import type { StatementRunner } from "./statement-runner.ts";

export interface CursorRequest {
  readonly plan: CursorPlan;
  readonly protocol: FragmentProtocol;
  /** The client's columns in its formats, where it was told of them (extended protocol). */
  readonly output: readonly ColumnDescription[] | undefined;
  /** The client reads column descriptions with the rows. */
  readonly describe: boolean;
}

export class Cursors {
  readonly #runner: StatementRunner;
  readonly #portals: Portals;
  readonly #responder: Responder;
  readonly #parts: CursorParts;

  constructor(parts: CursorParts) {
    this.#parts = parts;
    this.#runner = parts.runner;
    this.#portals = parts.portals;
    this.#responder = parts.responder;
  }

  async *run(request: CursorRequest, signal: AbortSignal): ResultStream {
    this.#runner.transaction.refuseWhenFailed();
    const { action, sql } = request.plan;
    if (!readsAtBind(request)) tellBound(request);
    switch (action.kind) {
      case "declare":
        await declareCursor({ action, sql, protocol: request.protocol }, this.#parts, signal);
        yield { kind: "complete", tag: "DECLARE CURSOR" };
        break;
      case "fetch":
        yield* this.#fetch(action, sql, request, signal);
        break;
      case "updateCurrent":
        yield* this.#updateCurrent(action, request, signal);
        break;
      case "close":
        if (action.name === undefined) await this.#closeAll(signal);
        else await this.closePortal(this.#cursor(action.name), signal);
        yield {
          kind: "complete",
          tag: action.name === undefined ? "CLOSE CURSOR ALL" : "CLOSE CURSOR",
        };
        break;
      default:
        unreachable(action);
    }
  }

  /** Of what a FETCH from it gives, in text format; undefined where there is no such cursor. */
  async columns(name: string): Promise<Columns | undefined> {
    const portal = this.#portals.find(name);
    return portal?.kind === "cursor" ? portal.columns() : portal?.columns;
  }

  /** Execute of a cursor by its name: rows in text format, as PostgreSQL gives them. */
  async *execute(cursor: Cursor, rowLimit: number, signal: AbortSignal): ResultStream {
    const count = rowLimit > 0 ? rowLimit : Number.POSITIVE_INFINITY;
    const move = { direction: "forward", count } as const;
    const action: FetchCursor = { kind: "fetch", name: cursor.name, isMove: false, ...move };
    const sql = fetchStatement(cursor.name, action);
    const protocol = reading(SIMPLE, []);
    const plan = { kind: "cursor", sql, action } as const;
    const output = await cursor.columns();
    const request: CursorRequest = { plan, protocol, output, describe: false };
    for await (const event of this.run(request, signal)) {
      if (event.kind !== "complete") yield event;
      else if (event.tag === `FETCH ${rowLimit}` && rowLimit > 0) yield { kind: "suspended" };
      else yield { kind: "complete", tag: event.tag.replace("FETCH", "SELECT") };
    }
  }

  /** A cursor, or a portal of Bind. What servers keep of it is closed, unless the transaction's end does that. */
  async closePortal(portal: AnyPortal, signal: AbortSignal): Promise<void> {
    this.#portals.close(portal.name);
    if (portal.kind === "bound") {
      if (portal.progress.kind === "suspended") await portal.progress.rows.close();
      return;
    }
    if (portal.holding === "held" || this.#runner.transaction.isFailed) return;
    for (const plan of closing(portal)) await drain(plan, SIMPLE, this.#parts, signal);
  }

  async #closeAll(signal: AbortSignal): Promise<void> {
    for (const name of this.#portals.names) {
      const portal = this.#portals.find(name);
      // The unnamed one may be the one that says so.
      if (portal !== undefined && name !== "") await this.closePortal(portal, signal);
    }
  }

  /** Before a commit: rows of cursors WITH HOLD outlive their transaction. */
  async hold(signal: AbortSignal): Promise<void> {
    for (const cursor of this.#portals.cursors) {
      if (cursor.holding !== "wanted" || cursor.place.kind === "failed") continue;
      const columns = await cursor.columns();
      const formats = columns.map(() => cursor.format);
      const readUnder = await this.#heldUnder(cursor, signal);
      const place = await heldPlace(cursor, {
        othersBytes: this.#portals.keptBytes(cursor),
        formats,
        opened: () => this.#opened(cursor, formats, signal),
        at: (sql, wanted) => this.#atServer(cursor, sql, wanted, signal),
      });
      this.#portals.replace({
        ...cursor,
        scope: { outer: undefined, isUndone: false },
        columns: async () => columns,
        holding: "held",
        place,
        readUnder,
      });
    }
  }

  /** What is still to be read of it is read now. */
  async #heldUnder({ place, readUnder }: Cursor, signal: AbortSignal): Promise<ShownSettings> {
    const isKept = place.kind === "here" && place.streamed === undefined;
    if (isKept && readUnder !== undefined) return readUnder;
    const now = await shownSettings(this.#parts, signal);
    return readUnder === undefined ? now : sharedSettings(readUnder, now);
  }

  #cursor(name: string): Cursor {
    const portal = this.#portals.find(name);
    if (portal === undefined)
      throw new SqlError("cursor_unknown", `cursor "${name}" does not exist`);
    if (portal.kind === "cursor") return portal;
    throw new SqlError(
      "cursor_not_supported",
      `portal "${name}" of the extended query protocol cannot be used as a cursor`,
    );
  }

  async *#fetch(
    action: FetchCursor,
    sql: string,
    { protocol, output, describe }: CursorRequest,
    signal: AbortSignal,
  ): ResultStream {
    const cursor = this.#cursor(action.name);
    const { place } = cursor;
    if (place.kind === "native") {
      const told = output ?? (place.isOfView ? await this.#columnsOf(cursor) : undefined);
      const plan = bindAtCursor(sql, place.bound, !action.isMove);
      const request = { plan, protocol, output: action.isMove ? undefined : told, describe };
      yield* this.#runner.runBound(request, signal);
      return;
    }
    const columns = output ?? (await this.#columnsOf(cursor));
    yield* held(this.#walk(cursor, action, columns, signal), describe && !action.isMove, columns);
  }

  async #columnsOf({ columns, format }: Cursor): Promise<Columns> {
    return (await columns()).map((column) => ({ ...column, format }));
  }

  async *#walk(
    cursor: Cursor,
    action: CursorMove & { readonly isMove: boolean },
    columns: Columns,
    signal: AbortSignal,
  ): ResultStream {
    const { isMove } = action;
    const formats = columns.map(({ format }) => format);
    await this.#refuseOtherSettings(cursor, isMove, signal);
    try {
      const place = await this.#opened(cursor, formats, signal);
      if (!isMove && formats.some((format, index) => format !== place.formats[index])) {
        throw new SqlError(
          "cursor_format_fixed",
          `rows of cursor "${cursor.name}" cannot be fetched in another format than they are read in`,
        );
      }
      const rows = place.walk.go(action, isMove);
      for (;;) {
        const { done, value } = await rows.next();
        if (done === true) {
          yield { kind: "complete", tag: `${isMove ? "MOVE" : "FETCH"} ${value}` };
          return;
        }
        if (!isMove) yield { kind: "rows", rows: value };
      }
    } catch (error) {
      cursor.place = FAILED;
      throw error;
    }
  }

  /** To move over rows that are yet to be read is to read them. */
  async #refuseOtherSettings(
    { name, place, readUnder }: Cursor,
    isMove: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const isReading = place.kind === "here" && place.streamed !== undefined;
    if (readUnder === undefined || (isMove && !isReading)) return;
    refuseOtherSettings(name, readUnder, await shownSettings(this.#parts, signal));
  }

  /** The first FETCH from a cursor over several servers says in which formats its rows are read. */
  async #opened(
    cursor: Cursor,
    formats: readonly FormatCode[],
    signal: AbortSignal,
  ): Promise<Extract<CursorPlace, { kind: "here" }>> {
    const { place, name } = cursor;
    if (place.kind === "here") return place;
    if (place.kind !== "declared")
      throw new SqlError("portal_not_runnable", `portal "${name}" cannot be run`);
    cursor.readUnder = await shownSettings(this.#parts, signal);
    const stream = this.#runner.runBound(
      {
        plan: place.bound.rows,
        protocol: {
          ...reading(SIMPLE, formats),
          fetch: { kind: "cursor", rows: PORTAL_ROWS_AT_ONCE },
        },
        output: inFormats(await cursor.columns(), formats),
        describe: false,
      },
      signal,
    );
    const rows = new RowStream(
      stream,
      (event) => this.#responder.event(event),
      () => this.#runner.portalsRest(),
    );
    const walk = new CursorWalk(new StreamedRows(rows));
    const here = { kind: "here", walk, formats, streamed: place.bound, keptBytes: 0 } as const;
    cursor.place = here;
    return here;
  }

  async *#updateCurrent(
    action: UpdateCurrent,
    { protocol, output, describe }: CursorRequest,
    signal: AbortSignal,
  ): ResultStream {
    const { place } = this.#cursor(action.name);
    if (place.kind !== "native") {
      throw new SqlError(
        "current_of_not_supported",
        `WHERE CURRENT OF is not supported for cursor "${action.name}"`,
        {
          detail: "Its rows come from several placements, or the proxy keeps them.",
        },
      );
    }
    const plan = bindUpdateCurrent(action, place.bound, this.#runner.map);
    yield* this.#runner.runBound({ plan, protocol, output, describe }, signal);
  }

  /** A text about a cursor that one server keeps; without formats it gives no rows. */
  async *#atServer(
    { place }: Cursor,
    sql: string,
    formats: readonly FormatCode[] | undefined,
    signal: AbortSignal,
  ): ResultStream {
    if (place.kind !== "native") return;
    const plan = bindAtCursor(sql, place.bound, formats !== undefined);
    const protocol = reading(SIMPLE, formats ?? []);
    yield* this.#runner.runBound({ plan, protocol, output: undefined, describe: false }, signal);
  }
}

/** What a server reads parameters' values for, is bound once it has. */
function readsAtBind({ plan, protocol }: CursorRequest): boolean {
  const { kind } = plan.action;
  if (kind === "updateCurrent") return true;
  return kind === "declare" && protocol.kind === "extended" && protocol.parameters.length > 0;
}

function tellBound({ protocol }: CursorRequest): void {
  if (protocol.kind === "extended") protocol.onBound();
}

const SIMPLE = { kind: "simple" } as const;

const FAILED = { kind: "failed" } as const;

/** What closes the cursors that servers have. */
function closing({ name, place }: Cursor): readonly PhysicalPlan[] {
  switch (place.kind) {
    case "native":
      return [bindAtCursor(`CLOSE ${quoteIdentifier(name)}`, place.bound, false)];
    case "declared":
      return place.bound.close;
    case "here":
      return place.streamed?.close ?? [];
    case "failed":
      return [];
  }
}

/** PostgreSQL describes the rows of a FETCH once it has some: what fails before tells no columns. */
async function* held(stream: ResultStream, describe: boolean, columns: Columns): ResultStream {
  let isTold = !describe;
  for await (const event of stream) {
    if (!isTold) {
      const told: ResultEvent = { kind: "columns", columns };
      yield told;
    }
    isTold = true;
    yield event;
  }
}
