/** What statements about cursors need. Which cursors there are is the session's to know. */
import type { QueryPlan } from "./logical-plan.ts";

export interface CursorPlan {
  readonly kind: "cursor";
  readonly sql: string;
  readonly action: CursorAction;
}

export type CursorAction =
  | DeclareCursor
  | FetchCursor
  /** Undefined: all. */
  | { readonly kind: "close"; readonly name: string | undefined }
  | UpdateCurrent;

export interface DeclareCursor {
  readonly kind: "declare";
  readonly name: string;
  readonly isBinary: boolean;
  /** WITH HOLD: its rows outlive the transaction. */
  readonly isHeld: boolean;
  readonly scroll: "yes" | "no" | "unsaid";
  /** The client's text before the query. WITH HOLD is blanked out: the session holds the rows itself. */
  readonly prefix: string;
  /** The client's text of the query. */
  readonly querySql: string;
  readonly query: QueryPlan;
}

/** FETCH and MOVE. */
export interface FetchCursor extends CursorMove {
  readonly kind: "fetch";
  readonly name: string;
  readonly isMove: boolean;
}

export interface CursorMove {
  readonly direction: "forward" | "backward" | "absolute" | "relative";
  /** May be negative; Infinity for ALL. */
  readonly count: number;
}

/** UPDATE or DELETE ... WHERE CURRENT OF: runs where the cursor is. */
export interface UpdateCurrent {
  readonly kind: "updateCurrent";
  readonly name: string;
  readonly plan: QueryPlan;
}
