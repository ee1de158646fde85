/**
 * Which values the proxy can put in order, group and compare by itself: the planner's view
 * of proxy/execution/gather/values, by type. Execution looks again, by the columns that
 * come; what is said here only chooses who does the work.
 */
import type { Catalog } from "../shardmap/catalog.ts";

export type ValueOrder =
  /** As PostgreSQL does, whatever the collation. */
  | "ordered"
  /** Text: in the order of its bytes alone. */
  | "collated"
  /** Not at all. */
  | "foreign"
  /** The type is not known. */
  | "unknown";

/**
 * pg_type.dat: bool, bytea, "char", int8, int2, int4, oid, cidr, float4, float8, macaddr8,
 * macaddr, inet, date, time, timestamp, timestamptz, interval, timetz, bit, varbit, numeric,
 * uuid, pg_lsn.
 */
const ORDERED: ReadonlySet<number> = new Set([
  16, 17, 18, 20, 21, 23, 26, 650, 700, 701, 774, 829, 869, 1082, 1083, 1114, 1184, 1186, 1266,
  1560, 1562, 1700, 2950, 3220,
]);

/** pg_type.dat: name, text, bpchar, varchar. */
const COLLATED: ReadonlySet<number> = new Set([19, 25, 1042, 1043]);

/** `typeOid` 0 is a type that is not known. */
export function valueOrder(typeOid: number, catalog: Catalog): ValueOrder {
  if (typeOid === 0) return "unknown";
  if (ORDERED.has(typeOid)) return "ordered";
  if (COLLATED.has(typeOid)) return "collated";
  const type = catalog.types.get(typeOid);
  if (type?.kind === "enum") return "ordered";
  if (type?.kind === "domain") return valueOrder(type.baseOid, catalog);
  if (type?.category === "A" && type.elementOid !== 0) return valueOrder(type.elementOid, catalog);
  return "foreign";
}
