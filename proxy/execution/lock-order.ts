/**
 * The order in which every statement takes databases, DDL included: the catalog database
 * first, then by name. Two that take the same ones never wait for each other in a circle.
 */
import type { DatabaseName } from "../../base/ids.ts";

export function inLockOrder(
  databases: readonly DatabaseName[],
  catalog: DatabaseName,
): readonly DatabaseName[] {
  return databases.toSorted((left, right) => compareLockOrder(left, right, catalog));
}

export function compareLockOrder(
  left: DatabaseName,
  right: DatabaseName,
  catalog: DatabaseName,
): number {
  if (left === right) return 0;
  if (left === catalog) return -1;
  if (right === catalog) return 1;
  return left < right ? -1 : 1;
}
