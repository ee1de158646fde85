/** Verification finds what is wrong, all of it and nothing else, while rows are written. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Move, MovedTable } from "../../migration/move.ts";
import type { Mover } from "../../migration/mover.ts";
import { verifyMove, type VerifyReport } from "../../migration/verify.ts";
import { selfTest } from "../../migration/verify-self-test.ts";
import { group, type VerifyLevel } from "../../migration/verify-sql.ts";
import { compareFenced } from "../../migration/orchestrator/fenced-rows.ts";
import type { StoredPlan } from "../../migration/plan/plan-document.ts";
import { prepareMove, type Rig, settled, startMover, startRig } from "./rig.ts";
import { createTables, fillTables, STRESS_TABLES, stressMove, TARGETS } from "./stress-tables.ts";
import { Writers } from "./writers.ts";

let rig: Rig;
let move: Move;
let mover: Mover;

beforeAll(async () => {
  rig = await startRig(TARGETS);
  await rig.source.query("app", createTables(STRESS_TABLES) + fillTables(STRESS_TABLES, 2_000));
  await rig.source.query("app", "UPDATE numbers SET note = id::text");
  move = await prepareMove(rig, stressMove("verified", STRESS_TABLES));
  mover = await startMover(rig, move);
  await settled(rig, mover);
});

afterAll(async () => {
  await mover.stop();
  await rig[Symbol.asyncDispose]();
});

function verify(level: VerifyLevel, isQuiet = false): Promise<VerifyReport> {
  return verifyMove(
    {
      move,
      source: rig.sourceDatabase,
      targets: rig.targetDatabases,
      markers: mover.markers,
      level,
      isQuiet,
    },
    AbortSignal.timeout(60_000),
  );
}

/** Where number 7 and number 9 are, of the rows in several places. */
async function placesOf(id: number): Promise<readonly [database: string, schema: string]> {
  for (const database of TARGETS)
    for (const schema of ["a", "b"]) {
      const { rowCount } = await rig.target.query(
        database,
        `SELECT FROM ${schema}.numbers WHERE id = ${id}`,
      );
      if (rowCount === 1) return [database, schema];
    }
  throw new Error(`row ${id} is nowhere`);
}

const FAULTS: readonly (readonly [
  what: string,
  level: VerifyLevel,
  spoil: (schema: string) => string,
  restore: (schema: string) => string,
  found: readonly string[],
])[] = [
  [
    "a lost row",
    "fast",
    (schema) => `DELETE FROM ${schema}.numbers WHERE id = 7`,
    (schema) => `INSERT INTO ${schema}.numbers VALUES (7, 0, '7', repeat('x', 100))`,
    ["missing (7)"],
  ],
  [
    "a flipped byte",
    "fast",
    (schema) => `UPDATE ${schema}.numbers SET pad = overlay(pad placing 'y' from 50) WHERE id = 7`,
    (schema) => `UPDATE ${schema}.numbers SET pad = repeat('x', 100) WHERE id = 7`,
    ["different (7)"],
  ],
  [
    "an update that was lost",
    "exact",
    (schema) => `UPDATE ${schema}.numbers SET version = 5 WHERE id = 7`,
    (schema) => `UPDATE ${schema}.numbers SET version = 0 WHERE id = 7`,
    ["different (7)"],
  ],
];

describe("verification", () => {
  test("of equal rows finds nothing, while three writers write", async () => {
    const writers = new Writers(rig.source, {
      tables: STRESS_TABLES,
      keys: 2_000,
      seed: 3,
      writerCount: 3,
      pauseMs: 4,
    });
    try {
      for (const level of ["fast", "exact", "fast"] as const) {
        const report = await verify(level);
        expect(report.differences).toEqual([]);
        expect(report.rowCount).toBeGreaterThan(3_000);
      }
    } finally {
      await writers.stop();
    }
    expect(writers.commits).toBeGreaterThan(20);
    await settled(rig, mover);
    const report = await verify("exact", true);
    expect([report.differences, report.clearedCount]).toEqual([[], 0]);
    await rig.source.query(
      "app",
      "DELETE FROM numbers; INSERT INTO numbers SELECT i, 0, i::text, repeat('x', 100) FROM generate_series(1, 1000) i",
    );
    await settled(rig, mover);
  });

  test.each(FAULTS)("finds %s", async (_, level, spoil, restore, found) => {
    const [database, schema] = await placesOf(7);
    await rig.target.query(database, spoil(schema));
    const report = await verify(level);
    expect(report.differences.map(({ kind, key }) => `${kind} ${key}`)).toEqual(found);
    await rig.target.query(database, restore(schema));
    expect((await verify(level)).differences).toEqual([]);
  });

  test("finds an extra row, also of a key that is elsewhere, and a misplaced one", async () => {
    const [database, schema] = await placesOf(7);
    const other = schema === "a" ? "b" : "a";
    await rig.target.query(
      database,
      `INSERT INTO ${other}.numbers SELECT * FROM ${schema}.numbers WHERE id = 7`,
    );
    const kinds = (await verify("fast")).differences.map(({ kind, key }) => `${kind} ${key}`);
    expect(kinds.toSorted()).toEqual(["extra (7)", "misplaced (7)"]);
    // Only in the wrong place: every row is there once, and is the same.
    await rig.target.query(database, `DELETE FROM ${schema}.numbers WHERE id = 7`);
    const moved = (await verify("exact")).differences.map(({ kind, key }) => `${kind} ${key}`);
    expect(moved).toEqual(["misplaced (7)"]);
    await rig.target.query(
      database,
      `INSERT INTO ${schema}.numbers SELECT * FROM ${other}.numbers WHERE id = 7; DELETE FROM ${other}.numbers WHERE id = 7`,
    );
  });

  test("finds values that two rows have swapped, which a plain sum of columns would not", async () => {
    const [database, schema] = await placesOf(7);
    const swap = `UPDATE ${schema}.numbers SET note = CASE id WHEN 7 THEN 'other' ELSE '7' END WHERE id = 7 OR id = (SELECT min(id) FROM ${schema}.numbers WHERE id > 7)`;
    await rig.target.query(database, swap);
    expect((await verify("fast")).differences).toHaveLength(2);
    await rig.target.query(database, `UPDATE ${schema}.numbers SET note = id::text`);
  });

  test("finds them also where both rows are of one group", async () => {
    const [table] = move.tables;
    if (table === undefined) throw new Error("there is a table");
    const [database, schema] = await placesOf(9);
    const pairs = `SELECT a.id AS one, b.id AS other FROM ${schema}.numbers a JOIN ${schema}.numbers b ON a.id < b.id AND ${inGroup("a")} = ${inGroup("b")} AND a.note <> b.note LIMIT 1`;
    const { rows } = await rig.target.query(database, pairs);
    const { one, other } = rows[0] as { readonly one: number; readonly other: number };
    for (const level of ["fast", "exact"] as const) {
      const before = (await verify(level)).differences.length;
      const swap = `UPDATE ${schema}.numbers n SET note = m.note FROM ${schema}.numbers m WHERE n.id IN (${one}, ${other}) AND m.id IN (${one}, ${other}) AND m.id <> n.id`;
      await rig.target.query(database, swap);
      expect((await verify(level)).differences).toHaveLength(before + 2);
      await rig.target.query(database, swap);
    }

    function inGroup(alias: string): string {
      return group(table as MovedTable).replaceAll('"id"', `${alias}.id`);
    }
  });

  test("under a fence compares all rows of small tables, counts larger ones, and takes some of the largest", async () => {
    const databases = [rig.sourceDatabase, ...rig.targetDatabases];
    const scene = {
      plan: { name: "verified", moves: [move], sequences: [], copies: [] } as unknown as StoredPlan,
      databases: new Map(databases.map((database) => [database.name, database])),
    };
    const fenced = async (compared: number, counted: number): Promise<readonly string[]> =>
      await compareFenced(scene, "forward", AbortSignal.timeout(30_000), undefined, {
        compared,
        counted,
      });
    const [all, none] = [Number.MAX_SAFE_INTEGER, 0];
    await rig.source.query("app", "DELETE FROM numbers WHERE id % 2 = 0");
    await settled(rig, mover);
    for (const [compared, counted] of [
      [all, all],
      [none, all],
      [none, none],
    ] as const)
      expect(await fenced(compared, counted)).toEqual([]);
    const [database, schema] = await placesOf(9);
    await rig.target.query(database, `DELETE FROM ${schema}.numbers WHERE id <> 9`);
    expect((await fenced(all, all)).length).toBeGreaterThan(10);
    expect(await fenced(none, all)).toContainEqual(
      expect.stringMatching(/^public\.numbers has 500 rows to move, and \d+ are in the targets$/),
    );
    expect(await fenced(none, none)).toContainEqual(
      expect.stringMatching(/^row \(\d+\) of public\.numbers is missing$/),
    );
  });

  test("has a test of itself, which leaves nothing behind", async () => {
    const [target] = rig.targetDatabases;
    if (target === undefined) throw new Error("there is a target");
    const outcome = await selfTest(target, AbortSignal.timeout(30_000));
    expect(outcome).toEqual({ isSound: true, missed: [] });
    const { rows } = await rig.target.query(
      target.name,
      "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'colonnade_verify%'",
    );
    expect(rows).toEqual([]);
  });
});
