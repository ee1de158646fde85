/**
 * Sequences at the switch: those that columns of moved tables draw from, given values in the
 * targets that the source has not given and cannot give any more.
 *
 * Read once nothing is written on the source any more. The next value is beyond both the
 * source's sequence and every stored value, by a margin for what sessions hold cached and for
 * direct calls of nextval, which no fence stops.
 */
import { SEQUENCE_MARGIN } from "../base/limits.ts";
import { invariant } from "../base/invariant.ts";
import { quoteIdentifier, quoteLiteral, quoteQualified } from "../base/sql-quoting.ts";
import type { BackendConnection } from "../proxy/backend/backend-connection.ts";
import { targetName } from "./apply-statements.ts";
import type { Move, MovedTable } from "./move.ts";
import { TargetTables } from "./target-change.ts";

/** Of one column, where its sequence on the source stands. */
export interface SequenceState {
  readonly table: MovedTable;
  readonly column: string;
  readonly lastValue: bigint;
  /** Negative where it counts down. */
  readonly increment: bigint;
  readonly cache: bigint;
}

/** Those of serial and identity columns; one that was never drawn from is where it starts. */
export async function readSequences(
  source: BackendConnection,
  move: Move,
): Promise<readonly SequenceState[]> {
  if (move.tables.length === 0) return [];
  const names = move.tables.map(
    ({ schema, name }, index) =>
      `(${index}, ${quoteLiteral(quoteQualified(schema, name))}::regclass)`,
  );
  const { rows } = await source.query(`
SELECT t.index, a.attname, coalesce(pg_sequence_last_value(s.seqrelid), s.seqstart), s.seqincrement, s.seqcache
FROM (VALUES ${names.join(", ")}) t (index, relid)
JOIN pg_depend d ON d.refobjid = t.relid JOIN pg_sequence s ON s.seqrelid = d.objid
JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
ORDER BY t.index, a.attnum`);
  return rows.map(([index, column, last, increment, cache]) => {
    const table = move.tables[Number(index)];
    invariant(table !== undefined, "a sequence is of one of the tables that were asked for");
    return {
      table,
      column: column ?? "",
      lastValue: BigInt(last ?? 0),
      increment: BigInt(increment ?? 1),
      cache: BigInt(cache ?? 1),
    };
  });
}

/** In every placement of the target. `connectionCount`: sessions that may hold cached values. Run again, it moves on. */
export async function advanceSequences(
  target: BackendConnection,
  move: Move,
  states: readonly SequenceState[],
  connectionCount: number,
): Promise<void> {
  const tables = new TargetTables(move);
  for (const { table, column, lastValue, increment, cache } of states) {
    invariant(increment !== 0n, "a sequence counts up or down");
    const isRising = increment > 0n;
    const margin = increment * (cache * BigInt(connectionCount) + SEQUENCE_MARGIN);
    for (const placed of tables.in(table, target.database)) {
      const name = targetName(placed);
      const extreme = `${isRising ? "max" : "min"}(${quoteIdentifier(column)})`;
      const farthest = isRising ? "greatest" : "least";
      await target.query(`
SELECT setval(s.name, ${farthest}((SELECT ${extreme} FROM ${name}), ${lastValue}, coalesce(pg_sequence_last_value(s.name), ${lastValue})) + ${margin})
FROM (SELECT pg_get_serial_sequence(${quoteLiteral(name)}, ${quoteLiteral(column)})::regclass AS name) s`);
    }
  }
}
