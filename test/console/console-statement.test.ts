import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CONSOLE_QUERY_LENGTH_MAX } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import { readConsoleStatements } from "../../proxy/console/console-statement.ts";

const one = (sql: string) => readConsoleStatements(sql)[0];

describe("commands", () => {
  test.each([
    ["", { kind: "empty" }],
    [" ; -- nothing\n /* at /* all */ */ ;", { kind: "empty" }],
    ["sHoW Pools", { kind: "show", name: "pools", position: 6 }],
    ['SHOW "POOLS"', { kind: "show", name: "pools", position: 6 }],
    ['show "pools"', { kind: "show", name: "pools", position: 6 }],
    [
      "SHOW TRANSACTION ISOLATION LEVEL",
      { kind: "show", name: "transaction isolation level", position: 6 },
    ],
    ["RELOAD;", { kind: "reload" }],
    ["drain", { kind: "drain" }],
    ["PAUSE", { kind: "pause", database: undefined }],
    ['pause "East ""1"""', { kind: "pause", database: 'East "1"' }],
    ["RESUME Main", { kind: "resume", database: "main" }],
    ["KILL 42", { kind: "killClient", id: 42 }],
    ["kill_client 42", { kind: "killClient", id: 42 }],
    ["KILL east", { kind: "killDatabase", database: "east" }],
  ])("%s", (sql, statement) => {
    expect(readConsoleStatements(sql)).toEqual([statement]);
  });

  test("several in one string, comments between", () => {
    const kinds = readConsoleStatements("PAUSE; /* ; */ SHOW POOLS -- ;\n; RESUME");
    expect(kinds.map(({ kind }) => kind)).toEqual(["pause", "show", "resume"]);
  });
});

describe("what drivers and pools send by themselves", () => {
  test.each([
    ["BEGIN", "begin"],
    ["START TRANSACTION READ ONLY", "begin"],
    ["BEGIN ISOLATION LEVEL SERIALIZABLE", "begin"],
    ["COMMIT WORK", "commit"],
    ["END", "commit"],
    ["ROLLBACK TRANSACTION", "rollback"],
    ["ABORT", "rollback"],
    ["DISCARD ALL", "clean"],
    ["DEALLOCATE ALL", "clean"],
    ["UNLISTEN *", "clean"],
    ["CLOSE ALL", "clean"],
    ["RESET ALL", "clean"],
    ["SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "set"],
  ])("%s", (sql, kind) => {
    expect(one(sql)?.kind).toBe(kind);
  });

  test.each([
    ["SET extra_float_digits = 3", "extra_float_digits", "3"],
    [
      "SET application_name TO 'PostgreSQL JDBC Driver'",
      "application_name",
      "PostgreSQL JDBC Driver",
    ],
    ["SET datestyle TO ISO, MDY", "datestyle", "iso, mdy"],
    ["SET TIME ZONE 'UTC'", "timezone", "UTC"],
    ["SET LOCAL statement_timeout = 0", "statement_timeout", "0"],
    ["SET NAMES 'UTF8'", "client_encoding", "UTF8"],
  ])("%s", (sql, name, value) => {
    expect(one(sql)).toMatchObject({ kind: "set", name, value });
  });

  test("a SELECT of constants and of facts about the server", () => {
    expect(one("SELECT 1, 'it''s' AS word, pg_catalog.version(), current_user me")).toEqual({
      kind: "select",
      items: [
        { column: "?column?", value: { kind: "integer", value: 1 } },
        { column: "word", value: { kind: "text", value: "it's" } },
        { column: "version", value: { kind: "fact", name: "version" } },
        { column: "me", value: { kind: "fact", name: "current_user" } },
      ],
    });
  });
});

describe("what is refused", () => {
  test.each([
    ["SHOW", "syntax error at end of input", undefined],
    ["SHUTDOWN", 'syntax error at or near "shutdown"', 1],
    ["SELECT * FROM users", 'syntax error at or near "*"', 8],
    ["PAUSE east west", 'syntax error at or near "west"', 12],
    ["KILL 99999999999", 'syntax error at or near "99999999999"', 6],
    ["KILL 1.5", 'syntax error at or near "1.5"', 6],
    ["KILL -1", 'syntax error at or near "-"', 6],
    ['PAUSE "east', "unterminated quoted identifier", 7],
    ["SET a = 'b", "unterminated quoted string", 9],
    ["RELOAD /* for ever", "unterminated /* comment", 8],
    ["🙂 RELOAD", 'syntax error at or near "🙂"', 1],
    ["SELECT '🙂', x", 'syntax error at or near "x"', 13],
    ["DISCARD TEMP", 'syntax error at or near "temp"', 9],
    ["DEALLOCATE one", 'syntax error at or near "one"', 12],
  ])("%s", (sql, message, position) => {
    expect(() => readConsoleStatements(sql)).toThrow(
      expect.objectContaining({ id: "console_command_unknown", message, position }),
    );
  });

  test("parameters, by their own name", () => {
    expect(() => readConsoleStatements("KILL $1")).toThrow(
      expect.objectContaining({ id: "console_not_supported", position: 6 }),
    );
  });

  test("a query that is longer than any command", () => {
    expect(() => readConsoleStatements(" ".repeat(CONSOLE_QUERY_LENGTH_MAX + 1))).toThrow(
      expect.objectContaining({ id: "console_statements_exceeded" }),
    );
  });
});

test("whatever is written, it is read or refused with a reason", () => {
  const words = fc.constantFrom(
    "SHOW",
    "PAUSE",
    "SET",
    "SELECT",
    "'",
    '"',
    "/*",
    "*/",
    "--",
    ";",
    "=",
    ",",
    "\n",
    "1",
    "$",
    "x",
  );
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 60 }),
    fc.array(words, { maxLength: 12 }).map((parts) => parts.join(" ")),
  );
  fc.assert(
    fc.property(text, (sql) => {
      try {
        return readConsoleStatements(sql).length > 0;
      } catch (error) {
        return error instanceof SqlError;
      }
    }),
    { numRuns: 200 },
  );
});
