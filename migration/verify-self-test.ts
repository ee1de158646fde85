/**
 * Whether verification can see at all: known faults are put into a scratch copy in a target
 * database, and each must be found, at both levels. A gate that finds nothing proves nothing
 * unless it has shown that it would.
 */
import type { BackendConnection } from "../proxy/backend/backend-connection.ts";
import type { Move, MovedTable, TargetPlacement } from "./move.ts";
import { openTarget, type MoveDatabase } from "./sessions.ts";
import { describeMove } from "./source-tables.ts";
import { verifyMove, type Difference } from "./verify.ts";

export interface SelfTest {
  readonly isSound: boolean;
  /** Faults that verification did not report as what they are, by level. */
  readonly missed: readonly string[];
}

const SOURCE = "colonnade_verify_source";
const LEFT = "colonnade_verify_left";
const RIGHT = "colonnade_verify_right";

/** Below the number the row is of the left placement, else of the right one. */
const BOUND = 500n;

const TABLE = "(id bigint PRIMARY KEY, note text, amount numeric, at timestamptz, more jsonb)";

const SETUP = `
DROP SCHEMA IF EXISTS ${SOURCE}, ${LEFT}, ${RIGHT} CASCADE;
CREATE SCHEMA ${SOURCE}; CREATE SCHEMA ${LEFT}; CREATE SCHEMA ${RIGHT};
CREATE TABLE ${SOURCE}.rows ${TABLE};
CREATE TABLE ${LEFT}.rows ${TABLE};
CREATE TABLE ${RIGHT}.rows ${TABLE};
INSERT INTO ${SOURCE}.rows SELECT i, md5(i::text), i / 7.0, 'epoch'::timestamptz + i * interval '1 hour', jsonb_build_object('i', i)
FROM generate_series(0, 999) i;
INSERT INTO ${LEFT}.rows SELECT * FROM ${SOURCE}.rows WHERE id < ${BOUND};
INSERT INTO ${RIGHT}.rows SELECT * FROM ${SOURCE}.rows WHERE id >= ${BOUND};
`;

/** One of each kind that a bug of copy, stream or routing would leave. */
const FAULTS: readonly (readonly [fault: string, sql: string, found: string])[] = [
  [
    "a flipped byte",
    `UPDATE ${LEFT}.rows SET note = 'x' || substr(note, 2) WHERE id = 10`,
    "different (10)",
  ],
  ["a lost row", `DELETE FROM ${LEFT}.rows WHERE id = 20`, "missing (20)"],
  ["an extra row", `INSERT INTO ${RIGHT}.rows (id) VALUES (1030)`, "extra (1030)"],
  [
    "a misrouted row",
    `WITH gone AS (DELETE FROM ${LEFT}.rows WHERE id = 40 RETURNING *) INSERT INTO ${RIGHT}.rows SELECT * FROM gone`,
    "misplaced (40)",
  ],
  [
    "values of two rows swapped",
    `UPDATE ${RIGHT}.rows SET amount = (1101 - id) / 7.0 WHERE id IN (550, 551)`,
    "different (550), different (551)",
  ],
];

/** As people call them. */
export const INJECTED_FAULTS: readonly string[] = FAULTS.map(([fault]) => fault);

export async function selfTest(target: MoveDatabase, signal: AbortSignal): Promise<SelfTest> {
  const connection = await openTarget(target, signal);
  try {
    await connection.query(SETUP);
    for (const [, sql] of FAULTS) await connection.query(sql);
    const move = await scratchMove(connection, target);
    const missed: string[] = [];
    for (const level of ["fast", "exact"] as const) {
      const { differences } = await verifyMove(
        { move, source: target, targets: [target], markers: undefined, level, isQuiet: true },
        signal,
      );
      const found = new Set(differences.map(print));
      for (const [fault, , expected] of FAULTS)
        if (!expected.split(", ").every((each) => found.has(each)))
          missed.push(`${fault} (${level})`);
      const count = FAULTS.flatMap(([, , expected]) => expected.split(", ")).length;
      if (found.size > count) missed.push(`nothing else (${level})`);
    }
    return { isSound: missed.length === 0, missed };
  } finally {
    if (!connection.isBroken)
      await connection.query(`DROP SCHEMA IF EXISTS ${SOURCE}, ${LEFT}, ${RIGHT} CASCADE`);
    connection.close();
  }
}

function scratchMove(connection: BackendConnection, { name }: MoveDatabase): Promise<Move> {
  const left: TargetPlacement = { database: name, schema: LEFT };
  const right: TargetPlacement = { database: name, schema: RIGHT };
  const bound = { kind: "integer", value: BOUND } as const;
  const destination: MovedTable["destination"] = {
    kind: "sharded",
    key: [{ column: "id", type: "bigint" }],
    function: {
      kind: "range",
      ranges: [
        { from: undefined, to: bound },
        { from: bound, to: undefined },
      ],
    },
    placementByShard: [left, right],
  };
  const tables = [{ schema: SOURCE, name: "rows", destination }];
  return describeMove(connection, { name: "self_test", source: name, tables });
}

function print({ kind, key }: Difference): string {
  return `${kind} ${key}`;
}
