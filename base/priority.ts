/** How urgent work is, where there is more of it than can be done at once. The first is served first. */
export const PRIORITIES = ["high", "normal", "low"] as const;

export type Priority = (typeof PRIORITIES)[number];

/** The less urgent of the two. */
export function lowerOf(left: Priority, right: Priority): Priority {
  return PRIORITIES.indexOf(left) > PRIORITIES.indexOf(right) ? left : right;
}
