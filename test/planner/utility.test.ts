import { describe, expect, test } from "vitest";
import { bindExplain, exampleDraws } from "../../planner/bind-explain.ts";
import type { ExplainPlan, LogicalPlan } from "../../planner/logical-plan.ts";
import { loadParser } from "../../planner/parse.ts";
import { bindPlan } from "../../planner/physical-plan.ts";
import type { TransactionModes } from "../../planner/session-plan.ts";
import { planStatement } from "../../planner/plan.ts";
import { settingRefusal } from "../../planner/utility-settings.ts";
import { onlyStatement, samplePlanContext } from "./sample-plan-context.ts";

await loadParser();

const NO_MODES = { isolation: undefined, readOnly: undefined, deferrable: undefined };

const context = samplePlanContext();

function plan(sql: string): LogicalPlan {
  return planStatement(onlyStatement(sql), context);
}

describe("transaction control", () => {
  test.each([
    ["BEGIN", { kind: "begin", command: "BEGIN", modes: NO_MODES }],
    [
      "START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, NOT DEFERRABLE",
      {
        kind: "begin",
        command: "START TRANSACTION",
        modes: { isolation: "serializable", readOnly: true, deferrable: false },
      },
    ],
    ["SET CONSTRAINTS ALL DEFERRED", { kind: "setConstraints" }],
    ["SET TRANSACTION READ WRITE", { kind: "setModes", modes: { ...NO_MODES, readOnly: false } }],
    ["END AND CHAIN", { kind: "commit", chain: true }],
    ["ABORT", { kind: "rollback", chain: false }],
    ['SAVEPOINT "A b"', { kind: "savepoint", name: "A b" }],
    ["RELEASE a", { kind: "release", name: "a" }],
    ["ROLLBACK TO SAVEPOINT a", { kind: "rollbackTo", name: "a" }],
  ])("%s", (sql, action) => {
    expect(plan(sql)).toEqual({ kind: "transaction", sql, action });
  });
});

describe("settings", () => {
  test.each([
    ["SET search_path TO a, b", "search_path", "session", "set"],
    ["SET LOCAL DateStyle = 'ISO'", "datestyle", "local", "set"],
    ["SET TIME ZONE 'UTC'", "timezone", "session", "set"],
    ["RESET timezone", "timezone", "session", "reset"],
    ["SET timezone TO DEFAULT", "timezone", "session", "reset"],
    ["RESET ALL", undefined, "session", "reset"],
    [
      "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
      "default_transaction_read_only",
      "session",
      "set",
    ],
    ["RESET role", "role", "session", "reset"],
    ["SET ROLE clerk", "role", "session", "set"],
    ["SET LOCAL ROLE NONE", "role", "local", "set"],
    ["SET SESSION AUTHORIZATION clerk", "session_authorization", "session", "set"],
    ["SET SESSION AUTHORIZATION DEFAULT", "session_authorization", "session", "reset"],
    ["SET NAMES 'UTF-8'", "client_encoding", "session", "set"],
  ])("%s", (sql, name, scope, action) => {
    const command = sql.startsWith("RESET") ? "RESET" : "SET";
    const modes = undefined;
    expect(plan(sql)).toEqual({ kind: "setting", command, sql, name, scope, action, modes });
  });

  test.each<[string, Partial<TransactionModes> | undefined]>([
    ["SET transaction_read_only = on", { readOnly: true }],
    ["SET LOCAL transaction_read_only TO 'No'", { readOnly: false }],
    ["SET transaction_deferrable = 1", { deferrable: true }],
    ["SET transaction_isolation = 'Repeatable Read'", { isolation: "repeatable read" }],
    ["SET transaction_isolation = 'repeatable'", undefined],
    ["SET transaction_read_only = perhaps", undefined],
  ])("%s is a mode of the transaction", (sql, modes) => {
    const planned = plan(sql);
    expect(planned).toMatchObject({ kind: "setting", scope: "local", action: "set" });
    expect(planned).toHaveProperty("modes", modes && { ...NO_MODES, ...modes });
  });

  test.each([
    ["standard_conforming_strings", "off"],
    ["standard_conforming_strings", "f"],
    ["transform_null_equals", "on"],
    ["array_nulls", "0"],
    ["temp_buffers", "10MB"],
  ])("%s = %s would be read otherwise than the proxy reads", (name, value) => {
    expect(settingRefusal(name, value)?.id).toBe("setting_not_supported");
    expect(() => plan(`SET ${name} = '${value}'`)).toThrow(/cannot be set/);
  });

  test.each(["standard_conforming_strings", "transform_null_equals"])(
    "%s may have the value the proxy reads by",
    (name) => {
      const values =
        name === "transform_null_equals"
          ? ["off", "OF", "false", "n", "0"]
          : ["on", "ON", "tr", "yes", "1"];
      for (const value of values) expect(settingRefusal(name, value)).toBeUndefined();
    },
  );
});

describe("session statements", () => {
  test.each([
    ["DEALLOCATE a", { kind: "deallocate", name: "a" }],
    ["DEALLOCATE ALL", { kind: "deallocate", name: undefined }],
    ["DISCARD ALL", { kind: "discardAll" }],
    ["DISCARD PLANS", { kind: "discardPlans" }],
    ["DISCARD TEMP", { kind: "discardTemporary" }],
    ["DISCARD SEQUENCES", { kind: "discardSequences" }],
  ])("%s", (sql, action) => {
    expect(plan(sql)).toEqual({ kind: "session", sql, action });
  });

  test("SHOW goes to the catalog database", () => {
    expect(plan("SHOW search_path")).toMatchObject({
      kind: "query",
      routing: { kind: "home", database: "main", because: "session" },
      returnsRows: true,
    });
  });

  test.each([
    "DO 'begin end'",
    "CALL p()",
    "CHECKPOINT",
    "LOAD 'x'",
    "PREPARE TRANSACTION 'x'",
    "COMMIT PREPARED 'x'",
    "CREATE DATABASE x",
    "ALTER SYSTEM SET a = 1",
    "SET CONSTRAINTS once DEFERRED",
    "CREATE PUBLICATION p",
  ])("%s is refused by name", (sql) => {
    expect(() => plan(sql)).toThrow(
      expect.objectContaining({ id: "statement_not_supported", sqlstate: "0A000" }),
    );
  });
});

describe("EXPLAIN", () => {
  test("of one placement goes there in the client's text", () => {
    const sql = "EXPLAIN (ANALYZE, COSTS off) SELECT * FROM orders WHERE user_id = 5";
    const explain = explained(sql);
    expect(explain).toMatchObject({
      access: "read",
      executes: true,
      format: "text",
      isVerbose: false,
      plan: { kind: "query", routing: { kind: "shardKeys" } },
    });
    const bound = bindExplain(explain, bindPlan(explain.plan, [], context.map, []));
    expect(bound).toMatchObject({ kind: "relayed", plan: { fragments: [{ rendered: { sql } }] } });
  });

  test.each([
    ["EXPLAIN DELETE FROM orders", "read"],
    ["EXPLAIN ANALYZE DELETE FROM orders", "write"],
    ["EXPLAIN (ANALYZE false) DELETE FROM orders", "read"],
    ["EXPLAIN (ANALYZE off, ANALYZE) DELETE FROM orders", "write"],
    ["EXPLAIN (ANALYZE 0) DELETE FROM orders", "read"],
    ["EXPLAIN ANALYZE VERBOSE SELECT 1", "read"],
  ])("%s is a %s", (sql, access) => {
    expect(explained(sql).access).toBe(access);
  });

  test.each([
    ["EXPLAIN SELECT 1", "EXPLAIN "],
    ["EXPLAIN /* why */ (SELECT 1)", "EXPLAIN /* why */ "],
    ["EXPLAIN (COSTS off) (SELECT 1)", "EXPLAIN (COSTS off) "],
    ["EXPLAIN ((SELECT 1) UNION SELECT 2)", "EXPLAIN "],
    ["EXPLAIN (FORMAT JSON, VERBOSE)SELECT 1", "EXPLAIN (FORMAT JSON, VERBOSE)"],
    ["explain analyze verbose (select 1)", "explain analyze verbose "],
  ])("what stands before the statement within: %s", (sql, prefix) => {
    expect(explained(sql).prefix).toBe(prefix);
  });

  test("an INSERT that does not run draws nothing", () => {
    const { plan: within } = explained("EXPLAIN INSERT INTO tickets (user_id) VALUES (1), (2)");
    expect(exampleDraws(within)).toEqual([["1"], ["2"]]);
  });

  test.each([
    ["EXPLAIN CREATE TABLE t AS SELECT 1", "explain_not_supported"],
    ["EXECUTE p(set_config('TimeZone', 'UTC', false))", "execute_argument_not_supported"],
    ["EXECUTE p(1, lower(pg_advisory_lock(1)::text))", "execute_argument_not_supported"],
    ["EXPLAIN ANALYZE EXECUTE p(nextval('ticket_numbers'))", "execute_argument_not_supported"],
    ["EXECUTE p(now())", "execute_argument_not_supported"],
    ["EXECUTE p(CURRENT_TIMESTAMP(3))", "execute_argument_not_supported"],
    ["EXECUTE p(pg_notify('a', 'b'))", "execute_argument_not_supported"],
    ["EXECUTE p(pg_total_relation_size('orders'))", "execute_argument_not_supported"],
    ["EXPLAIN ANALYZE SELECT set_config('TimeZone', 'UTC', false)", "explain_not_supported"],
    ["EXPLAIN (ANALYZE) SELECT nextval('ticket_numbers')", "explain_not_supported"],
    ["EXPLAIN ANALYZE SELECT setval('ticket_numbers', 7)", "explain_not_supported"],
    ["EXPLAIN ANALYZE SELECT pg_advisory_lock(1)", "explain_not_supported"],
    ["EXPLAIN INSERT INTO orders (user_id) SELECT id FROM countries", "explain_not_supported"],
  ])("%s is refused", (sql, id) => {
    expect(() => plan(sql)).toThrow(expect.objectContaining({ id }));
  });

  test("a refusal within is told where it stands in the whole", () => {
    const sql = "EXPLAIN (COSTS off) SELECT * FROM users, tokens";
    expect(() => plan(sql)).toThrow(expect.objectContaining({ position: sql.length - 5 }));
  });
});

function explained(sql: string): ExplainPlan {
  const explain = plan(sql);
  if (explain.kind !== "explain") throw new Error(explain.kind);
  return explain;
}
