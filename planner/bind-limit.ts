/** The numbers of LIMIT and OFFSET at Bind, where a gather applies them. */
import { SqlError } from "../base/sql-error.ts";
import { readInteger, readIntegerBytes, INTEGER_OIDS } from "../shardmap/shard-key/integer.ts";
import type { LimitTerm, StreamedGather } from "./logical-plan.ts";
import type { BoundParameter } from "./physical-plan.ts";

export interface BoundLimit {
  readonly count: bigint | undefined;
  readonly offset: bigint;
}

export function boundLimit(
  gather: StreamedGather,
  parameters: readonly BoundParameter[],
): BoundLimit {
  const limit = "limit" in gather ? gather.limit : undefined;
  const count = limitValue(limit?.count, "LIMIT", parameters);
  const offset = limitValue(limit?.offset, "OFFSET", parameters) ?? 0n;
  if (count !== undefined && count < 0n)
    throw new SqlError("limit_negative", "LIMIT must not be negative");
  if (offset < 0n) throw new SqlError("offset_negative", "OFFSET must not be negative");
  return { count, offset };
}

/** Undefined for no bound, which NULL is too. */
function limitValue(
  term: LimitTerm | undefined,
  clause: string,
  parameters: readonly BoundParameter[],
): bigint | undefined {
  if (term === undefined) return undefined;
  if (term.kind === "constant") return term.value;
  const bound = parameters[term.number - 1];
  if (bound?.value === null) return undefined;
  const value = bound === undefined ? "unproven" : integerOf(bound, bound.value);
  if (typeof value === "bigint") return value;
  throw new SqlError(
    "limit_not_readable",
    `parameter $${term.number} of ${clause} is not an integer`,
  );
}

/** An untyped parameter of LIMIT is a bigint (parse_clause.c, transformLimitClause). */
function integerOf(
  { typeOid, format }: BoundParameter,
  value: Buffer,
): bigint | "invalid" | "unproven" {
  const type = typeOid === 0 ? "bigint" : INTEGER_OIDS.get(typeOid);
  if (type === undefined) return "unproven";
  return format === "text"
    ? readInteger(type, value.toString("utf8"))
    : readIntegerBytes(type, value);
}
