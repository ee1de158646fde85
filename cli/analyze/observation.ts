/** What a source tells of the statements that a database was sent. */

/** One statement's text, how often it ran, and how long that took in all. */
export interface Observation {
  /** One statement or several, as an application sent it. */
  readonly sql: string;
  /** 0 for time that belongs to runs counted elsewhere, as of parsing and binding. */
  readonly calls: number;
  /** Undefined where the source does not tell. */
  readonly timeMs: number | undefined;
  /** Undefined where the source does not tell sessions apart. */
  readonly session: string | undefined;
  /** PostgreSQL's virtual transaction id, where one is open and the source tells it. */
  readonly transaction: string | undefined;
  /** For a person: `orders.log:17`. */
  readonly place: string;
}

/** Something a source holds that is not a statement and should have been. */
export interface Unread {
  readonly reason: string;
  readonly place: string;
}

export type Observed =
  | { readonly kind: "statement"; readonly statement: Observation }
  | { readonly kind: "unread"; readonly unread: Unread };

export function unread(reason: string, place: string): Observed {
  return { kind: "unread", unread: { reason, place } };
}
