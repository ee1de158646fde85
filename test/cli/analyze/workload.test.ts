import { beforeAll, expect, test } from "vitest";
import { parseText } from "../../../cli/analyze/planned-text.ts";
import { planned } from "../../../cli/analyze/planned-workload.ts";
import { preparedText } from "../../../cli/analyze/prepared-text.ts";
import { shapeOf } from "../../../cli/analyze/shape.ts";
import { Workload } from "../../../cli/analyze/workload.ts";
import { loadParser } from "../../../planner/parse.ts";
import { observation, sampleContext } from "./sample.ts";

beforeAll(loadParser);

test("statements that differ in constants, comments and blanks have one shape", () => {
  expect(shapeOf("SELECT  a -- b\nFROM t WHERE x = 5 AND y = 'it''s'")).toBe(
    shapeOf("SELECT a FROM t WHERE x = 17 AND y = $$q$$"),
  );
  expect(shapeOf("x IN (1, 2)")).toBe(shapeOf("x IN (3, 4, 5, 6)"));
  expect(shapeOf("x = ANY(ARRAY[1, 2])")).toBe(shapeOf("x = ANY(ARRAY[1, 2, 3])"));
});

test("what may pin differently is another shape", () => {
  const shapes = ["x = 5", "x = 5.0", "x = '5'", "x = $1", "x IN (5)", "x IN (5, 6)", "x = y"];
  expect(new Set(shapes.map(shapeOf)).size).toBe(shapes.length);
});

test("a text without an end, and one that is no SQL, have shapes too", () => {
  for (const sql of ["SELECT 'never", "\\ d users", "🦊"]) {
    expect(shapeOf(`  ${sql}`)).toBe(sql);
  }
});

test.each([
  ["SELECT now() - interval $1", "SELECT now() - interval $1"],
  ["SELECT 1 FROM users WHERE id = $2 AND at > timestamp with time zone $1", undefined],
  ["SET work_mem = $1", undefined],
  ["SAVEPOINT $1", "SAVEPOINT p"],
  ["COMMIT PREPARED $1", "COMMIT PREPARED '0'"],
  ["FETCH $1 FROM c", "FETCH 0 FROM c"],
  ["DEALLOCATE $1", "DEALLOCATE p"],
])("%s is parsed, as it is or as %s", (sql, text = sql) => {
  expect(parseText(sql)).toMatchObject({ kind: "statements", statements: [{ text }] });
});

test("what is no SQL is counted with its reason and its first place", () => {
  const workload = new Workload();
  workload.add(observation("SELECT FROM WHERE", { place: "a:1" }));
  workload.add(observation("SELECT FROM WHERE", { place: "a:2", calls: 3 }));
  workload.add(observation("SELECT 'cut in the mid", { place: "a:3" }));
  workload.add(observation(`SELECT ${"(".repeat(100_000)}`, { place: "a:4" }));
  workload.add(observation("SELECT 'a\0b'", { place: "a:5" }));
  expect(workload.statements).toEqual([]);
  expect(workload.unread).toMatchObject([
    { calls: 4, place: "a:1", reason: expect.stringContaining("syntax error") },
    { calls: 1, place: "a:3", reason: expect.stringContaining("unterminated") },
    { calls: 1, place: "a:4" },
    { calls: 1, place: "a:5" },
  ]);
});

test("calls and times add up by shape; statements of one text share its time", () => {
  const workload = new Workload();
  workload.add(observation("SELECT 1", { calls: 2, timeMs: 3 }));
  workload.add(observation("SELECT 2", { calls: 0, timeMs: 1 }));
  workload.add(observation("SELECT a; SELECT b;", { calls: 1, timeMs: 4 }));
  expect(workload.statements).toMatchObject([
    { calls: 2, timeMs: 4 },
    { calls: 1, timeMs: 2, parsed: { text: "SELECT a" } },
    { calls: 1, timeMs: 2, parsed: { text: "SELECT b" } },
  ]);
  expect(workload.knowsTime).toBe(true);
});

test("statements of one transaction are found by its id, or between BEGIN and COMMIT", () => {
  const workload = new Workload();
  const texts = (): unknown =>
    workload.together.map(({ statements, transactions }) => [
      transactions,
      statements.map(({ parsed }) => parsed.text),
    ]);
  const say = (
    session: string,
    transaction: string | undefined,
    ...sql: readonly string[]
  ): void => {
    for (const text of sql) workload.add(observation(text, { session, transaction }));
  };
  say("one", undefined, "BEGIN", "SELECT a", "SELECT b", "COMMIT", "SELECT c");
  say("one", undefined, "START TRANSACTION", "SELECT b", "SELECT a", "ROLLBACK");
  say("two", "2/1", "SELECT a", "SELECT c");
  say("two", "2/2", "SELECT a");
  say("two", "2/3", "SELECT b");
  say("two", undefined, "SELECT c");
  expect(texts()).toEqual([
    [2, ["SELECT a", "SELECT b"]],
    [1, ["SELECT a", "SELECT c"]],
  ]);
});

const CLASSES: readonly (readonly [string, string])[] = [
  ["SELECT * FROM users WHERE id = $1", "single"],
  ["SELECT * FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = 5", "single"],
  ["SELECT * FROM users WHERE id IN (5, 5)", "single"],
  ["SELECT * FROM users WHERE id IN (5, 6)", "pruned"],
  ["SELECT * FROM users WHERE id IN ($1 /*, ... */)", "pruned"],
  ["SELECT * FROM users WHERE id = ANY($1)", "pruned"],
  ["SELECT * FROM events WHERE id = $1", "home"],
  ["SELECT * FROM countries", "home"],
  ["SELECT 1", "home"],
  ["SELECT count(*) FROM users", "streamed"],
  ["UPDATE users SET name = $1", "streamed"],
  ["INSERT INTO users VALUES ($1, $2, $3)", "single"],
  ["INSERT INTO users (id, name) VALUES (1, 'a'), (2, 'b')", "pruned"],
  ["INSERT INTO countries VALUES ('DE', 'Germany')", "everywhere"],
  ["UPDATE countries SET name = 'x'", "everywhere"],
  ["CREATE TABLE more (id bigint)", "everywhere"],
  ["BEGIN", "session"],
  ["SET work_mem = '1MB'", "session"],
  ["DEALLOCATE ALL", "session"],
  ["SELECT * FROM users u JOIN orders o ON o.id = u.id", "refused"],
  ["UPDATE users SET id = 7 WHERE id = 5", "refused"],
];

test.each(CLASSES)("%s is of class %s", (sql, expected) => {
  const workload = new Workload();
  workload.add(observation(sql));
  const [statement] = workload.statements;
  const plan = statement && planned(statement, sampleContext());
  expect(plan?.class).toBe(expected);
});

test("a plan tells its tables, and those that are nowhere", () => {
  const workload = new Workload();
  workload.add(observation("SELECT * FROM users, public.orders, other.orders, nowhere, pg_class"));
  const [statement] = workload.statements;
  expect(statement && planned(statement, sampleContext())).toMatchObject({
    tables: ["nowhere", "orders", "other.orders", "users"],
    unknownTables: ["nowhere", "other.orders"],
  });
});

test.each([
  ["PREPARE p AS SELECT 1", "SELECT 1"],
  ['prepare "a AS b" (int, numeric) as\nSELECT $1', "SELECT $1"],
  ["PREPARE p(text)AS TABLE t", "TABLE t"],
  ["PREPARE TRANSACTION 'a AS b'", undefined],
  ["SELECT 'PREPARE p AS x'", undefined],
])("what %s prepares is %s", (sql, prepared) => {
  expect(preparedText(sql)).toBe(prepared);
});
