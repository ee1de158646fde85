/** Checks 7 and 10: what other runs have gathered, and what tests of their own hold. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { ROOT } from "../../tidy/sources.ts";
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
