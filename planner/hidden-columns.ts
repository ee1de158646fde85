/** Columns that the planner adds to a select list, for the gather to sort by and the client never to see. */

const PREFIX = "colonnade_sort_";

/** A name that nothing in a statement means. */
export function hiddenColumnName(index: number): string {
  return `${PREFIX}${index + 1}`;
}

/** How an error calls a column of a placement's answer: one that is hidden has no name that a client knows. */
export function shownColumn(name: string): string {
  return name.startsWith(PREFIX) ? "an ORDER BY expression" : `column "${name}"`;
}
