/**
 * What becomes of a cursor WITH HOLD when its transaction commits: the rows that may still be
 * asked for are read and kept, as PersistHoldablePortal of PostgreSQL's portalcmds.c does.
 */
import { quoteIdentifier, quoteLiteral } from "../../base/sql-quoting.ts";
import type { ResultStream } from "../execution/result-event.ts";
import type { FormatCode } from "../protocol/format-code.ts";
import { KeptRows } from "./cursor-rows.ts";
import { CursorWalk } from "./cursor-walk.ts";
import type { Standing } from "./cursor-walk.ts";
import type { Cursor, CursorPlace } from "./portals.ts";

export type HerePlace = Extract<CursorPlace, { kind: "here" }>;

export interface Holding {
  /** What other cursors of the client keep. */
  readonly othersBytes: number;
  /** Of the rows that are kept. */
  readonly formats: readonly FormatCode[];
  /** A cursor whose rows come to the proxy. */
  readonly opened: () => Promise<HerePlace>;
  /** Puts a text to the server that has the cursor; without formats it gives no rows. */
  readonly at: (sql: string, formats: readonly FormatCode[] | undefined) => ResultStream;
}

export async function heldPlace(cursor: Cursor, holding: Holding): Promise<HerePlace> {
  if (cursor.place.kind === "native") return heldOfServer(cursor.name, holding);
  const place = await holding.opened();
  if (place.streamed === undefined) return place;
  const { standing } = place.walk;
  const rows = new KeptRows(cursor.name, false, holding.othersBytes);
  const rest = place.walk.go({ direction: "forward", count: Number.POSITIVE_INFINITY }, false);
  for await (const run of rest) rows.add(run);
  return placeOf(rows, standing, place.formats);
}

async function heldOfServer(name: string, holding: Holding): Promise<HerePlace> {
  const quoted = quoteIdentifier(name);
  const scrollable = `SELECT FROM pg_catalog.pg_cursors WHERE is_scrollable AND name = ${quoteLiteral(name)}`;
  const goesBackward = (await countOf(holding.at(scrollable, []))) > 0;
  const isOnRow = (await countOf(holding.at(`MOVE RELATIVE 0 FROM ${quoted}`, undefined))) > 0;
  const before = goesBackward
    ? await countOf(holding.at(`MOVE BACKWARD ALL FROM ${quoted}`, undefined))
    : undefined;
  const rows = new KeptRows(name, goesBackward, holding.othersBytes);
  for await (const event of holding.at(`FETCH FORWARD ALL FROM ${quoted}`, holding.formats))
    if (event.kind === "rows") rows.add(event.rows);
  if (before === undefined) return placeOf(rows, standingOnward(isOnRow, rows), holding.formats);
  const isAtEnd = !isOnRow && before > 0;
  rows.standAt(isOnRow ? before + 1 : isAtEnd ? rows.count + 1 : 0);
  const position = isOnRow ? before + 1 : before;
  return placeOf(rows, { isAtStart: position === 0, isAtEnd, position }, holding.formats);
}

/** How far a cursor has come that cannot go back, its server does not tell. */
function standingOnward(isOnRow: boolean, rows: KeptRows): Standing {
  const isAtEnd = !isOnRow && rows.count === 0;
  const isAtStart = !isOnRow && !isAtEnd;
  return { isAtStart, isAtEnd, position: isAtStart ? 0 : Number.POSITIVE_INFINITY };
}

function placeOf(rows: KeptRows, at: Standing, formats: readonly FormatCode[]): HerePlace {
  const walk = new CursorWalk(rows, at);
  return { kind: "here", walk, formats, streamed: undefined, keptBytes: rows.bytes };
}

/** The number in a command tag. */
async function countOf(stream: ResultStream): Promise<number> {
  let count = 0;
  for await (const event of stream)
    if (event.kind === "complete") count = Number(/\d+$/.exec(event.tag)?.[0] ?? 0);
  return count;
}
