import { beforeAll, describe, expect, test } from "vitest";
import type { LogicalPlan } from "../../planner/logical-plan.ts";
import { loadParser } from "../../planner/parse.ts";
import { planStatement } from "../../planner/plan.ts";
import { settingRefusal } from "../../planner/utility-settings.ts";
import { onlyStatement, samplePlanContext } from "./sample-plan-context.ts";

beforeAll(loadParser);

const NO_MODES = { isolation: undefined, readOnly: undefined, deferrable: undefined };

function plan(sql: string): LogicalPlan {
  return planStatement(onlyStatement(sql), samplePlanContext());
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
    ["SET transaction_read_only = on", "transaction_read_only", "local", "set"],
    [
      "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
      "default_transaction_read_only",
      "session",
      "set",
    ],
    ["RESET role", "role", "session", "reset"],
    ["SET NAMES 'UTF-8'", "client_encoding", "session", "set"],
  ])("%s", (sql, name, scope, action) => {
    const command = sql.startsWith("RESET") ? "RESET" : "SET";
    expect(plan(sql)).toEqual({ kind: "setting", command, sql, name, scope, action });
  });

  test.each([
    ["standard_conforming_strings", "off"],
    ["standard_conforming_strings", "f"],
    ["client_encoding", "SJIS"],
    ["transform_null_equals", "on"],
    ["array_nulls", "0"],
    ["role", "postgres"],
    ["session_authorization", "postgres"],
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
    "PREPARE a AS SELECT 1",
    "EXECUTE a",
    "DECLARE c CURSOR FOR SELECT 1",
    "FETCH 1 FROM c",
    "CLOSE c",
    "LISTEN a",
    "NOTIFY a",
    "UNLISTEN *",
    "COPY users FROM STDIN",
    "DO 'begin end'",
    "CALL p()",
    "LOCK TABLE users",
    "CHECKPOINT",
    "LOAD 'x'",
    "PREPARE TRANSACTION 'x'",
    "COMMIT PREPARED 'x'",
    "CREATE DATABASE x",
    "ALTER SYSTEM SET a = 1",
    "SET CONSTRAINTS ALL DEFERRED",
    "DISCARD TEMP",
    "CREATE PUBLICATION p",
  ])("%s is refused by name", (sql) => {
    expect(() => plan(sql)).toThrow(
      expect.objectContaining({ id: "statement_not_supported", sqlstate: "0A000" }),
    );
  });
});

describe("EXPLAIN", () => {
  test("goes where its statement goes, in the client's text", () => {
    const sql = "EXPLAIN (ANALYZE, COSTS off) SELECT * FROM orders WHERE user_id = 5";
    expect(plan(sql)).toMatchObject({
      kind: "query",
      access: "read",
      routing: { kind: "shardKeys" },
      template: { sql },
      returnsRows: true,
      scatterRefusal: { id: "explain_of_several_placements" },
    });
    expect(plan("EXPLAIN ANALYZE DELETE FROM orders WHERE user_id = 5")).toMatchObject({
      access: "write",
    });
  });

  test.each(["EXPLAIN INSERT INTO orders (user_id) VALUES (1)", "EXPLAIN DELETE FROM countries"])(
    "%s is refused",
    (sql) => {
      expect(() => plan(sql)).toThrow(
        expect.objectContaining({ id: "explain_of_several_placements" }),
      );
    },
  );
});
