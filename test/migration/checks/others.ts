/** Checks 7, 10 and 13: what other runs have gathered, what tests of their own hold, and how fast rows are compared. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { ROOT } from "../../tidy/sources.ts";
import { verifyMove } from "../../../migration/verify.ts";
import { prepareMove, settled, startMover, startRig } from "../rig.ts";
import { createTables, STRESS_TABLES, stressMove, TARGETS } from "../stress-tables.ts";
import type { Context } from "./check.ts";

/** Of every pause of the other checks in which nothing was in the way. */
export function pauses({ pausesMs, tell }: Context): void {
  if (pausesMs.length === 0) return tell(7, "SKIP", "no check that cuts over was run");
  const sorted = pausesMs.toSorted((one, other) => one - other);
  const at = (part: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
  const [p50, p99, max] = [at(0.5), at(0.99), at(1)];
  tell(
    7,
    p50 <= 300 && p99 <= 1_500 && max <= 2_000,
    `${sorted.length} cutovers and rollbacks under load: p50 ${p50} ms (at most 300), p99 ${p99} ms (1,500), longest ${max} ms (2,000)${sorted.length < 100 ? "; scaled from 100" : ""}`,
  );
}

export function types({ tell }: Context): void {
  const file = "test/migration/types.postgres.test.ts";
  const vitest = join(ROOT, "node_modules", "vitest", "vitest.mjs");
  const { status, stdout } = spawnSync(
    process.execPath,
    [vitest, "run", "--project", "postgres", file],
    {
      cwd: ROOT,
      encoding: "utf8",
    },
  );
  const counts = /^(\d+) passed, (\d+) failed, (\d+) skipped/m.exec(stdout)?.[0] ?? "no answer";
  tell(10, status === 0, `${file}: ${counts}`);
}

/** Rows of about 200 bytes, on both levels. */
export async function verificationSpeed({ profile, tell, signal }: Context): Promise<void> {
  const table = STRESS_TABLES.find(({ name }) => name === "numbers");
  if (table === undefined) throw new Error("there is a table of numbers");
  await using rig = await startRig(TARGETS);
  await rig.source.query(
    "app",
    `${createTables([table])} INSERT INTO numbers SELECT i, 0, 'first', repeat('x', 150) FROM generate_series(1, ${profile.bulkRows}) i; ANALYZE numbers`,
  );
  const move = await prepareMove(rig, stressMove("speed", [table]));
  const mover = await startMover(rig, move);
  try {
    await settled(rig, mover);
    const rates: number[] = [];
    // The first reads what has just been written, and marks it as committed.
    for (const level of ["exact", "fast", "exact"] as const) {
      const startMs = performance.now();
      const { rowCount, differences } = await verifyMove(
        {
          move,
          source: rig.sourceDatabase,
          targets: rig.targetDatabases,
          markers: mover.markers,
          level,
          isQuiet: true,
        },
        signal,
      );
      if (differences.length > 0 || rowCount !== profile.bulkRows) throw new Error("rows differ");
      rates.push(rowCount / ((performance.now() - startMs) / 1_000));
    }
    const [, fast = 0, exact = 0] = rates;
    tell(
      13,
      fast >= 1_000_000 && exact >= 300_000,
      `${profile.bulkRows} rows of 200 bytes, both sides on one core pair: fast ${Math.round(fast)} rows/s (1,000,000), exact ${Math.round(exact)} rows/s (300,000)`,
    );
    tell(
      13,
      "SKIP",
      "p99 of the source's clients meanwhile is not measured here: npm run bench measures speed",
    );
  } finally {
    await mover.stop();
  }
}
