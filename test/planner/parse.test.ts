import { beforeAll, describe, expect, test } from "vitest";
import {
  PARSER_SPARES,
  SQL_NESTING_MAX,
  SQL_OPERATOR_RUN_MAX,
  SQL_TEXT_BYTES_MAX,
} from "../../base/limits.ts";
import type { SqlError } from "../../base/sql-error.ts";
import {
  loadParser,
  parserInstancesMade,
  parseSql,
  type ParsedStatement,
} from "../../planner/parse.ts";
import { checkBounds } from "../../planner/statement-bounds.ts";
import { tableReferences } from "../../planner/table-references.ts";

beforeAll(loadParser);

function statements(sql: string): readonly ParsedStatement[] {
  const outcome = parseSql(sql);
  if (outcome.kind !== "statements") throw new Error(JSON.stringify(outcome));
  return outcome.statements;
}

function errorOf(sql: string): SqlError {
  try {
    parseSql(sql);
  } catch (error) {
    return error as SqlError;
  }
  throw new Error("not refused");
}

describe("query strings", () => {
  test("each statement has its own text, comments and all", () => {
    const sql = " /* h */ SELECT 'é;', x FROM t ; -- c;\n UPDATE é SET a = 1 ;; -- tail";
    const [select, update, ...others] = statements(sql);
    expect(others).toEqual([]);
    expect(select?.text).toBe("/* h */ SELECT 'é;', x FROM t");
    expect(update?.text).toBe("-- c;\n UPDATE é SET a = 1");
    expect(sql.slice(update?.start)).toMatch(/^-- c;\n UPDATE/);
    expect(update?.tokensEnd).toBe(update?.text.length);
  });

  test("locations of the tree are mapped to UTF-16 units and to characters", () => {
    const [, statement] = statements("SELECT '😀é'; SELECT '😀', * FROM 表");
    const [table] = statement === undefined ? [] : tableReferences(statement.node).tables;
    expect(statement?.text.slice(statement.offsetOf(table?.location))).toBe("表");
    expect(statement?.positionOf(table?.location)).toBe(20);
    expect(statement?.charactersBefore).toBe(13);
  });

  test.each(["", " \t\n", "-- x", "/* a /* b */ */", ";", " ; ;-- x"])("%j is empty", (sql) => {
    expect(parseSql(sql)).toEqual({ kind: "empty" });
  });

  test("what the grammar rejects is an outcome, with its position in characters", () => {
    expect(parseSql("SELECT é é é")).toEqual({
      kind: "rejected",
      message: 'syntax error at or near "é"',
      position: 12,
    });
    expect(parseSql("SELECT 'a")).toMatchObject({ kind: "rejected", position: 8 });
  });

  test("blanks are PostgreSQL's: a no-break space is a letter", () => {
    expect(statements("SELECT 1 AS \u00a0").map(({ text }) => text)).toEqual([
      "SELECT 1 AS \u00a0",
    ]);
  });

  test("trailing comments are kept but end no token", () => {
    const [statement] = statements("SELECT 1 /*trace='x'*/");
    expect(statement).toMatchObject({ text: "SELECT 1 /*trace='x'*/", tokensEnd: 8 });
  });
});

describe("hostile texts", () => {
  test("a zero byte is refused, where the parser would stop reading", () => {
    expect(errorOf("SELECT 1\0; DROP TABLE t")).toMatchObject({
      id: "zero_byte_in_statement",
      sqlstate: "22021",
    });
  });

  test("bytes are bounded", () => {
    const half = "é".repeat(SQL_TEXT_BYTES_MAX / 2 + 1);
    expect(checkBounds(half)).toMatchObject({ id: "statement_too_long", sqlstate: "54000" });
  });

  const run = SQL_OPERATOR_RUN_MAX + 1;
  test.each([
    ["comment starts", `SELECT ${"/*".repeat(run)}`],
    ["operators", `SELECT 1${"+1".repeat(run)}`],
    ["casts", `SELECT 1${"::int".repeat(run)}`],
    ["prefixes", `SELECT ${"- ".repeat(run)}1`],
    ["NOT", `SELECT ${"NOT ".repeat(run)}a`],
    ["set operations", `SELECT 1${" UNION ALL SELECT 1".repeat(run)}`],
    ["joins", `SELECT 1 FROM a${" CROSS JOIN a".repeat(run)}`],
    ["COLLATE", `SELECT a${' COLLATE "C"'.repeat(run)}`],
    ["IS", `SELECT a${" IS NULL".repeat(run)}`],
    ["parentheses", `SELECT ${"(".repeat(SQL_NESTING_MAX + 1)}1${")".repeat(SQL_NESTING_MAX + 1)}`],
    [
      "brackets",
      `SELECT ${"ARRAY[".repeat(SQL_NESTING_MAX + 1)}1${"]".repeat(SQL_NESTING_MAX + 1)}`,
    ],
    [
      "CASE",
      `SELECT ${"CASE WHEN a THEN ".repeat(SQL_NESTING_MAX + 1)}1${" END".repeat(SQL_NESTING_MAX + 1)}`,
    ],
    ["operators in parentheses", `SELECT ${"(1".repeat(900)}${"+1+1+1+1+1)".repeat(900)}`],
    ["operators behind parentheses", `SELECT (1${"+1".repeat(run - 500)})${"+1".repeat(1_000)}`],
  ])("a chain of %s", (_, sql) => {
    expect(errorOf(sql)).toMatchObject({ id: "statement_too_complex", sqlstate: "54001" });
  });

  test("long lists are no chains", () => {
    expect(statements(`SELECT 1 WHERE 1 IN (${"1+1,".repeat(10_000)}1)`)).toHaveLength(1);
    expect(statements(`SELECT 1 WHERE ${"a = 1 OR ".repeat(5_000)} b`)).toHaveLength(1);
    expect(statements("SELECT 1;".repeat(5_000))).toHaveLength(5_000);
  });

  /** Passes the bounds, for AND and SELECT begin new expressions, but is three times as deep as they allow. */
  const OVERFLOWING = `SELECT 1${"+a".repeat(3_900)} BETWEEN 1 AND 2${" IS TRUE".repeat(3_900)}${" UNION ALL SELECT 1".repeat(3_900)}`;

  test("an overflow costs one instance, and parsing goes on", async () => {
    const before = parserInstancesMade();
    for (let round = 0; round < 60; round++) {
      expect(errorOf(OVERFLOWING).sqlstate).toMatch(/54001|57P03/);
      // The spares are made again in the microtasks between two statements of a client.
      await new Promise((resolve) => setImmediate(resolve));
      expect(statements("SELECT 1")).toHaveLength(1);
    }
    expect(parserInstancesMade() - before).toBeGreaterThanOrEqual(60);
  }, 60_000);

  test("a parser that has grown by a large text is replaced, and none is missing where many come at once", async () => {
    const large = `INSERT INTO t VALUES ${"(1, 2, 'some words'), ".repeat(30_000)}(1, 2, '')`;
    await new Promise((resolve) => setImmediate(resolve));
    const before = parserInstancesMade();
    for (let round = 0; round < PARSER_SPARES + 3; round++)
      expect(statements(large)).toHaveLength(1);
    expect(errorOf(OVERFLOWING).id).toBe("statement_too_complex");
    expect(statements("SELECT 1")).toHaveLength(1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(parserInstancesMade() - before).toBe(PARSER_SPARES + 1);
  }, 60_000);

  test("overflows at once use up the spares, are refused by name, and end", async () => {
    const ids = Array.from({ length: PARSER_SPARES + 3 }, () => errorOf(OVERFLOWING).id);
    expect(ids.slice(0, PARSER_SPARES + 1).every((id) => id === "statement_too_complex")).toBe(
      true,
    );
    expect(ids.at(-1)).toBe("parser_restarting");
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(statements("SELECT 1")).toHaveLength(1);
  });
});
