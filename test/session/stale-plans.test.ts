/** Which errors are of a plan that is too old, and which the client's own. */
import { expect, test } from "vitest";
import { SqlError } from "../../base/sql-error.ts";
import { BackendError } from "../../proxy/backend/backend-connection.ts";
import { isOfStalePlan } from "../../proxy/session/stale-plans.ts";

const missing = (name: string, more: Readonly<Record<string, string>> = {}): BackendError =>
  new BackendError({ S: "ERROR", C: "42703", M: `column "${name}" does not exist`, ...more });

test.each<[string, boolean, unknown, string]>([
  ["a column that nobody wrote", true, missing("n"), "SELECT * FROM t"],
  [
    "one at a place of another text",
    true,
    missing("n", { P: "12" }),
    "SELECT * FROM t ORDER BY name",
  ],
  ["the client's own mistake", false, missing("nmae", { P: "8" }), "SELECT nmae FROM t"],
  [
    "one after characters of several bytes",
    false,
    missing("x", { P: "14" }),
    "SELECT '😀ä', x FROM t",
  ],
  ["one in quotes with odd characters", false, missing("a+(b", { P: "8" }), 'SELECT "a+(b" FROM t'],
  [
    "an error inside of a function",
    false,
    missing("n", { W: "PL/pgSQL function f()" }),
    "SELECT f()",
  ],
  [
    "a kept plan",
    true,
    new BackendError({ C: "0A000", M: "cached plan must not change result type" }),
    "SELECT 1",
  ],
  [
    "a constraint",
    false,
    new BackendError({ C: "23505", M: 'violates "t_pkey"' }),
    "INSERT INTO t VALUES (1)",
  ],
  [
    "placements that differ",
    true,
    new SqlError("placement_columns_differ", "x"),
    "SELECT * FROM t",
  ],
  ["a refusal", false, new SqlError("statement_not_supported", "x"), "SELECT * FROM t"],
  ["what is no error of SQL", false, new Error("x"), "SELECT 1"],
])("%s: %s", (_, isStale, error, sql) => {
  expect(isOfStalePlan(error, sql)).toBe(isStale);
});

test.each([
  [true, false],
  [false, true],
])("columns that are others, where the client was told of them: %s", (isTold, isStale) => {
  const error = new SqlError("cached_plan_changed", "cached plan must not change result type");
  expect(isOfStalePlan(error, "SELECT * FROM t", isTold)).toBe(isStale);
});
