/** Strings and decimals, rows, and keys that are parameters: a derived plan is the plan that the text would have had. */
import { describe, expect, test } from "vitest";
import { LiteralTemplates } from "../../planner/literal-templates.ts";
import type { LogicalPlan } from "../../planner/logical-plan.ts";
import { bindPlan } from "../../planner/physical-plan.ts";
import type { PlanContext } from "../../planner/plan-context.ts";
import { bound, CONTEXT, keyedFragment, map, planned, taught } from "./literal-texts.ts";

/** Strings, decimals and whole numbers for `@`, `~` and `%`; `#` is the key. */
const LITERALS: readonly (readonly [string, string, string])[] = [
  ["'a'", "0.0", "0"],
  ["''", "1.5", "1"],
  ["'O''Neill'", "12.50", "7"],
  ["'no \\ in it'", "3.25", "8"],
  ["'-- no comment'", "99999.99", "999999999"],
  ["'$1 ? :x 17'", "0.1", "18"],
  ["'größer 😀'", "100.001", "2"],
  ["'two\nlines'", "1.0", "3"],
  ["'now'", "10.0", "4"],
];

function fill(
  text: string,
  key: string,
  [string, decimal, whole]: (typeof LITERALS)[number],
): string {
  return text
    .replaceAll("#", key)
    .replaceAll("@", () => string)
    .replaceAll("~", decimal)
    .replaceAll("%", whole);
}

describe("strings and decimals for others", () => {
  test.each([
    "UPDATE users SET name = @ WHERE id = #",
    "UPDATE users SET name = @, age = % WHERE id = # AND name <> @ RETURNING name || 'x'",
    "SELECT total * ~ FROM orders WHERE user_id = # AND total BETWEEN ~ AND % LIMIT %",
    "SELECT name FROM users WHERE id = # AND name IN (@, 'other') AND name LIKE @ -- 'a'",
    "DELETE FROM users WHERE id = # AND (name ILIKE @ OR name IS DISTINCT FROM @);",
    "SELECT u.name, o.id FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = # AND u.name >= @",
    "/* 'x' */ SELECT 'größer', name FROM users WHERE id = # AND name = @ ORDER BY age + %",
  ])("%s", (text) => {
    const templates = new LiteralTemplates();
    const first = fill(text, "17", ["'b'", "2.5", "5"]);
    templates.learn(first, CONTEXT, planned(first));
    let count = 0;
    for (const key of ["23", "1234", "918"])
      for (const literals of LITERALS) {
        const sql = fill(text, key, literals);
        const derived = templates.find(sql, CONTEXT);
        if (derived === undefined) continue;
        const expected = bound(planned(sql));
        expect(bound(derived)).toEqual(expected);
        expect([keyedFragment(templates, sql)]).toEqual(expected?.fragments);
        count += 1;
      }
    expect(count).toBeGreaterThan(text.includes("@") ? 15 : 20);
  });

  test.each([
    ["a call's argument", "SELECT current_setting('@') FROM users WHERE id = #"],
    ["a cast", "SELECT '@'::text, name FROM users WHERE id = #"],
    ["a type before it", "SELECT name FROM users WHERE id = # AND name > text '@'"],
    ["an output column", "SELECT '@', name FROM users WHERE id = #"],
    ["an expression", "SELECT name FROM users WHERE id = # AND 'x' || '@' = 'y'"],
    ["another string's side", "SELECT name FROM users WHERE id = # AND '@' = 'a'"],
    ["escapes", "SELECT name FROM users WHERE id = # AND name = E'@'"],
    ["dollars", "SELECT name FROM users WHERE id = # AND name = $$@$$"],
  ])("a string stays what it is as %s", (_, text) => {
    const templates = new LiteralTemplates();
    const first = text.replace("#", "17").replace("@", "a");
    templates.learn(first, CONTEXT, planned(first));
    expect(templates.find(first.replace("17", "23"), CONTEXT)).toBeDefined();
    const other = text.replace("#", "23").replace("@", "b");
    expect(templates.find(other, CONTEXT)).toBeUndefined();
  });

  test.each(["1", "E'b'", "'b' 'c'", "'b'::text", "N'b'", "$1", "NULL", "'b", "''b'", "U&'b'"])(
    "%s is no string of the template",
    (other) => {
      const templates = taught("SELECT name FROM users WHERE id = # AND name = 'a'");
      const text = `SELECT name FROM users WHERE id = 23 AND name = ${other}`;
      expect(templates.find(text, CONTEXT)).toBeUndefined();
    },
  );

  test.each(["1", "1.", ".5", "1.5e3", "1_0.5", "01.5", "1.5.5", "12345678901.5"])(
    "%s is no decimal of the template",
    (other) => {
      const templates = taught("SELECT name FROM users WHERE id = # AND age < 2.5");
      const text = (number: string): string =>
        `SELECT name FROM users WHERE id = 23 AND age < ${number}`;
      expect(templates.find(text("3.75"), CONTEXT)).toBeDefined();
      expect(templates.find(text(other), CONTEXT)).toBeUndefined();
    },
  );

  test("a string is the key of a table whose keys are texts", () => {
    const text = "UPDATE words SET n = n + 1 WHERE word = '#'";
    const templates = taught(text);
    for (const key of ["", "a", "b", "größer", "a longer word than the first", "1"]) {
      const sql = text.replace("#", key);
      const expected = bound(planned(sql));
      expect(bound(templates.find(sql, CONTEXT))).toEqual(expected);
      expect([keyedFragment(templates, sql)]).toEqual(expected?.fragments);
    }
    expect(templates.find(text.replace("#", "it''s"), CONTEXT)).toBeUndefined();
  });
});

describe("an INSERT of one row", () => {
  test.each([
    "INSERT INTO users VALUES (#, @, %)",
    "INSERT INTO users (name, id) VALUES (@, #) RETURNING id + %",
    "INSERT INTO orders (user_id, id, total) VALUES (#, %, -~) ON CONFLICT (user_id, id) DO UPDATE SET total = ~;",
    "INSERT INTO notes (user_id, body, at) VALUES (#, @, CURRENT_TIMESTAMP)",
    "INSERT INTO notes (user_id, id, body) VALUES (#, DEFAULT, @) -- 'a'",
    "INSERT INTO notes (user_id, id, body) OVERRIDING USER VALUE VALUES (#, 4, @)",
    "INSERT INTO notes (body, user_id) VALUES (upper('größer 😀') || lower(@), #) RETURNING at, %",
    "WITH w AS (SELECT 1) INSERT INTO users (id, age) VALUES (#, %)",
  ])("%s", (text) => {
    const templates = new LiteralTemplates();
    const first = fill(text, "17", ["'b'", "2.5", "5"]);
    templates.learn(first, CONTEXT, planned(first));
    let count = 0;
    for (const key of ["23", "1234", "918", "0"])
      for (const literals of [["'b'", "2.5", "5"] as const, ...LITERALS]) {
        const sql = fill(text, key, literals);
        const derived = templates.find(sql, CONTEXT);
        if (derived === undefined) continue;
        const plan = planned(sql);
        expect(bound(derived) ?? derived).toEqual(bound(plan) ?? plan);
        count += 1;
        if (plan.kind !== "insert" || plan.generated.length > 0) continue;
        const [fragment] = bindPlan(plan, [], map, []).fragments;
        expect(keyedFragment(templates, sql)).toEqual({ ...fragment, rowIndexes: undefined });
      }
    expect(count).toBeGreaterThan(text.includes("lower") || text.includes("WITH") ? 0 : 15);
  });

  test("a key that its column does not take is refused by the plan", () => {
    const templates = taught("INSERT INTO tiny (id, name) VALUES (#, 'a')");
    const text = "INSERT INTO tiny (id, name) VALUES (99999, 'b')";
    expect(templates.find(text, CONTEXT)).toEqual(planned(text));
    expect(keyedFragment(templates, text)).toBeUndefined();
  });
});

describe("literals beside a key that is a parameter", () => {
  const context: PlanContext = { ...CONTEXT, parameterTypes: [20] };
  const text = "SELECT id FROM orders WHERE user_id = $1 AND id IN (@, %) ORDER BY total + ~";
  const sqlOf = (number: number): string =>
    text
      .replace("@", String(number))
      .replace("%", String(number * 7))
      .replace("~", `${number}.5`);

  const plannedOf = (number: number): LogicalPlan => planned(sqlOf(number), context);

  test("are others once a text of the same shape was met before", () => {
    const templates = new LiteralTemplates();
    templates.learn(sqlOf(1), context, plannedOf(1));
    expect(templates.find(sqlOf(3), context)).toBeUndefined();
    templates.learn(sqlOf(2), context, plannedOf(2));
    for (const value of [0, 5, 17, 918, null])
      for (const typeOid of [20, 21, 23, 25]) {
        const derived = templates.find(sqlOf(3), context);
        const expected = plannedOf(3);
        if (derived?.kind !== "query" || expected.kind !== "query") throw new Error("no query");
        const parameter = {
          typeOid,
          format: "text" as const,
          value: value === null ? null : Buffer.from(String(value)),
        };
        // A key of a type that proves nothing goes to all placements, each by a text of its own.
        const [ours, theirs] = [derived, expected].map((plan) => {
          const unjoined = { ...plan, template: { ...plan.template, arm: undefined } };
          return bindPlan(unjoined, [parameter], map, []);
        });
        expect(ours).toEqual(theirs);
      }
    expect(templates.keyed(sqlOf(3), context)).toBeUndefined();
  });
});
