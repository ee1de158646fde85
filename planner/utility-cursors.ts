/**
 * Cursors of SQL: DECLARE, FETCH, MOVE, CLOSE, and writes to a cursor's current row. The query of
 * a cursor is planned as if it stood alone; what stands before it is put before the one text that
 * is sent where one placement answers, and that server then keeps the cursor.
 */
import type { ClosePortalStmt, DeclareCursorStmt, FetchStmt, Node } from "@pgsql/types";
import { invariant } from "../base/invariant.ts";
import type { CursorMove, CursorPlan, DeclareCursor } from "./cursor-plan.ts";
import type { HomeReason, LogicalPlan, QueryPlan } from "./logical-plan.ts";
import type { ParsedStatement } from "./parse.ts";
import { refuse } from "./refusal.ts";
import { afterIdentifier } from "./rewrite.ts";
import { statementWithin } from "./statement-within.ts";

/** Bits of a DECLARE's options (parsenodes.h). */
const BINARY = 0x01;
const SCROLL = 0x02;
const NO_SCROLL = 0x04;
const HOLD = 0x20;

export function planDeclare(
  statement: ParsedStatement,
  declare: DeclareCursorStmt,
  planQuery: (query: ParsedStatement) => LogicalPlan,
): LogicalPlan {
  const { query, portalname: name = "", options = 0 } = declare;
  invariant(query !== undefined, "a cursor has a query");
  const { text, tokens } = statement;
  const words = tokens.map(({ start, end }) => text.slice(start, end).toLowerCase());
  const before = words.indexOf("for", afterIdentifier(statement, 1));
  const found = statementWithin(statement, query, [tokens[before + 1]?.start ?? 0]);
  if (found === undefined) {
    return refuse("cursor_not_supported", "the query of the cursor cannot be told apart");
  }
  // What is no query is the server's to refuse.
  const hasTarget = "SelectStmt" in query && query.SelectStmt.intoClause !== undefined;
  const plan = hasTarget ? undefined : planQuery(found.within);
  if (plan?.kind !== "query") return { kind: "rejected", sql: text };
  refuseSessionState(plan);
  const isHeld = (options & HOLD) !== 0;
  const prefix = text.slice(0, found.start);
  return cursorPlan(text, {
    kind: "declare",
    name,
    isBinary: (options & BINARY) !== 0,
    isHeld,
    scroll: scrollOf(options),
    prefix: isHeld ? withoutHold(prefix, tokens.slice(before - 2, before)) : prefix,
    querySql: found.within.text,
    query: plan,
  });
}

/** What it does to the session, or asks of it, the proxy would have to know of each row. */
function refuseSessionState({ routing }: QueryPlan): void {
  if (routing.kind !== "home" || !OF_THE_SESSION.has(routing.because)) return;
  refuse(
    "cursor_not_supported",
    "a cursor over session state (setval, nextval, currval, advisory locks) is not supported",
  );
}

const OF_THE_SESSION: ReadonlySet<HomeReason> = new Set<HomeReason>([
  "sequence",
  "session value",
  "advisory lock",
]);

function scrollOf(options: number): DeclareCursor["scroll"] {
  if ((options & SCROLL) !== 0) return "yes";
  return (options & NO_SCROLL) === 0 ? "unsaid" : "no";
}

/** WITH and HOLD, the last two words before FOR, as blanks: what follows keeps its place. */
function withoutHold(prefix: string, words: ParsedStatement["tokens"]): string {
  let text = prefix;
  for (const { start, end } of words)
    text = text.slice(0, start) + " ".repeat(end - start) + text.slice(end);
  return text;
}

const DIRECTIONS: Readonly<Record<string, CursorMove["direction"]>> = {
  FETCH_FORWARD: "forward",
  FETCH_BACKWARD: "backward",
  FETCH_ABSOLUTE: "absolute",
  FETCH_RELATIVE: "relative",
};

/** The parser's own LONG_MAX, which stands for ALL: it is a build for 32 bits. */
const FETCH_ALL = 2 ** 31 - 1;

export function planFetch({ text }: ParsedStatement, fetch: FetchStmt): CursorPlan {
  const { portalname: name = "", ismove, direction, howMany } = fetch;
  const count = Number(howMany ?? 0);
  return cursorPlan(text, {
    kind: "fetch",
    name,
    isMove: ismove === true,
    direction: DIRECTIONS[direction ?? ""] ?? "forward",
    count: count >= FETCH_ALL ? Number.POSITIVE_INFINITY : count,
  });
}

export function planClose({ text }: ParsedStatement, { portalname }: ClosePortalStmt): CursorPlan {
  return cursorPlan(text, { kind: "close", name: portalname });
}

/** A write to a cursor's current row: the cursor, and the write as one to any row. Undefined for other statements. */
export function writeToCurrent(
  node: Node,
): { readonly cursor: string; readonly write: Node } | undefined {
  const { whereClause: where, ...write } =
    "UpdateStmt" in node ? node.UpdateStmt : "DeleteStmt" in node ? node.DeleteStmt : {};
  if (where === undefined || !("CurrentOfExpr" in where)) return undefined;
  const cursor = where.CurrentOfExpr.cursor_name ?? "";
  return {
    cursor,
    write: "UpdateStmt" in node ? { UpdateStmt: write } : { DeleteStmt: write },
  };
}

/** `plan`: of the write as one to any row. */
export function planUpdateCurrent(
  { text }: ParsedStatement,
  name: string,
  plan: LogicalPlan,
): LogicalPlan {
  if (plan.kind !== "query") return plan;
  if (plan.routing.kind === "everyDatabase") {
    return refuse(
      "current_of_not_supported",
      "WHERE CURRENT OF is not supported for reference tables",
    );
  }
  return cursorPlan(text, { kind: "updateCurrent", name, plan });
}

function cursorPlan(sql: string, action: CursorPlan["action"]): CursorPlan {
  return { kind: "cursor", sql, action };
}
