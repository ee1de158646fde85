import { describe, expect, test } from "vitest";
import type { LogicalPlan, QueryPlan } from "../../planner/logical-plan.ts";
import { AS_THEY_COME } from "../../planner/several.ts";
import { PlanCache } from "../../planner/plan-cache.ts";
import { samplePlanContext } from "./sample-plan-context.ts";
import { loadParser } from "../../planner/parse.ts";
import { PLAN_CACHE_TEXT_LENGTH_MAX } from "../../base/limits.ts";

await loadParser();
const context = samplePlanContext();

function query(sql: string): QueryPlan {
  return {
    kind: "query",
    access: "read",
    rule: "test",
    routing: { kind: "anyDatabase" },
    template: { sql, edits: [], arm: undefined },
    several: AS_THEY_COME,
    returnsRows: true,
  };
}

describe("plan cache", () => {
  test("gives back the plan of the same text and context alone", () => {
    const cache = new PlanCache();
    const plan = query("SELECT 1");
    cache.set("SELECT 1", context, plan);
    expect(cache.get("SELECT 1", { ...context })).toBe(plan);
    expect(cache.get("SELECT  1", context)).toBeUndefined();
    for (const change of [
      { map: { ...context.map } },
      { catalog: { ...context.catalog } },
      { searchPath: ["public"] },
      { searchPath: ["$user", "public", "public"] },
      { parameterTypes: [23] },
      { user: "other" },
    ]) {
      expect(
        cache.get("SELECT 1", { ...context, ...change }),
        JSON.stringify(Object.keys(change)),
      ).toBeUndefined();
    }
    expect(cache.counts).toEqual({ hits: 1, misses: 7, evictions: 0, texts: 1 });
  });

  test("forgets what was not used for the longest time", () => {
    const cache = new PlanCache(2);
    for (const sql of ["a", "b"]) cache.set(sql, context, query(sql));
    cache.get("a", context);
    cache.set("c", context, query("c"));
    expect(
      [cache.get("a", context), cache.get("b", context), cache.get("c", context)].map(
        (plan) => plan !== undefined,
      ),
    ).toEqual([true, false, true]);
    expect(cache.counts.evictions).toBe(1);
  });

  test("forgets all plans of an older catalog", () => {
    const cache = new PlanCache();
    for (const sql of ["a", "b"]) cache.set(sql, context, query(sql));
    const newer = { ...context, catalog: { ...context.catalog, epoch: context.catalog.epoch + 1 } };
    cache.set("c", newer, query("c"));
    expect(cache.counts.texts).toBe(1);
  });

  test.each([
    ["begin", { kind: "commit", chain: false }, true],
    ["end", { kind: "rollback", chain: true }, true],
    ["savepoint", { kind: "savepoint", name: "one_of_many" }, false],
  ] as const)("of what a transaction is made of, %s is kept: %s %s", (sql, action, isKept) => {
    const cache = new PlanCache(2);
    cache.set(sql, context, { kind: "transaction", sql, action });
    expect(cache.get(sql, context)).toEqual(
      isKept ? { kind: "transaction", sql, action } : undefined,
    );
  });

  test("keeps no settings, schema changes or long texts", () => {
    const cache = new PlanCache();
    const setting: LogicalPlan = {
      kind: "setting",
      command: "SET",
      sql: "SET a = 1",
      name: "a",
      scope: "session",
      action: "set",
      modes: undefined,
    };
    cache.set(setting.sql, context, setting);
    const long = "x".repeat(PLAN_CACHE_TEXT_LENGTH_MAX + 1);
    cache.set(long, context, query(long));
    expect(cache.counts.texts).toBe(0);
  });

  test("a hit of a 1 kB text costs a few microseconds", () => {
    const cache = new PlanCache();
    const texts = Array.from(
      { length: 1_000 },
      (_, index) => `SELECT ${index} ${"x".repeat(1_000)}`,
    );
    for (const text of texts) cache.set(text, context, query(text));
    const best = Math.min(
      ...Array.from({ length: 5 }, () => {
        const start = performance.now();
        for (const text of texts) cache.get(Buffer.from(text).toString(), context);
        return ((performance.now() - start) * 1_000) / texts.length;
      }),
    );
    // A plan costs hundreds; the rest is what a busy machine may add. bench/ measures.
    expect(best).toBeLessThan(100);
  });
});
