/** A plan that is derived from another number's text is the plan that the text would have had. */
import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { LiteralTemplates } from "../../planner/literal-templates.ts";
import type { PlanContext } from "../../planner/plan-context.ts";
import { collectGarbage } from "../../proxy/backend/collect-garbage.ts";
import { bound, CONTEXT, keyedFragment, map, planned, taught } from "./literal-texts.ts";

const NUMBERS = [
  "0",
  "1",
  "5",
  "42",
  "777",
  "123456",
  "999999999",
  ...Array.from({ length: 40 }, (_, n) => String(n * 131)),
];

describe("one number for another", () => {
  test.each([
    "SELECT name FROM users WHERE id = #",
    "select name from users where # = id;",
    "SELECT u.name, o.total FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = # ORDER BY o.id",
    "UPDATE users SET age = age + 1 WHERE id=#",
    "DELETE FROM orders WHERE user_id = # AND total > 3.5 RETURNING total",
    "SELECT count(*), max(total) FROM orders WHERE user_id = # HAVING count(*) > 2 LIMIT 3",
    "SELECT name FROM tiny WHERE id = #",
    "SELECT name /* a comment */ FROM users WHERE id = # AND name = 'it''s' -- and another",
  ])("%s", (text) => {
    const templates = taught(text);
    const found = NUMBERS.filter((number) => {
      const derived = templates.find(text.replace("#", number), CONTEXT);
      if (derived === undefined) return false;
      const expected = bound(planned(text.replace("#", number)));
      expect(bound(derived)).toEqual(expected);
      const keyed = keyedFragment(templates, text.replace("#", number));
      // A number outside of the key's type is left to the plan.
      if (keyed === undefined) return false;
      expect([keyed]).toEqual(expected?.fragments);
      return true;
    });
    expect(found.length).toBeGreaterThan(NUMBERS.length / 2);
  });
});

/** What may stand in the place of `@`, `%` and `~`; `#` is the key. */
const OTHERS: readonly (readonly [string, string, string])[] = [
  ["0", "0", "0"],
  ["1", "2", "3"],
  ["999999999", "1", "0"],
  ["17", "18", "19"],
  ["5", "5", "5"],
];

describe("several numbers for others", () => {
  test.each([
    "UPDATE users SET age = age + @ WHERE id = #",
    "UPDATE users SET age = @, name = 'a' || % WHERE id = # AND age > ~ RETURNING age * @",
    "SELECT name, @ FROM users WHERE age BETWEEN % AND ~ AND id = # LIMIT @ OFFSET %",
    "SELECT u.name, o.total + @ FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = # AND o.id < %",
    "DELETE FROM orders WHERE user_id = # AND id IN (@, %, ~)",
    "SELECT name FROM users WHERE age - -@ > % AND id = #;",
    "SELECT age::numeric(@,%) FROM users WHERE id = # ORDER BY ~",
    "SELECT count(*) FROM orders WHERE user_id = # GROUP BY id / @ HAVING count(*) > ~",
  ])("%s", (text) => {
    const fill = (key: string, [first, second, third]: (typeof OTHERS)[number]): string =>
      text
        .replaceAll("#", key)
        .replaceAll("@", first)
        .replaceAll("%", second)
        .replaceAll("~", third);
    const templates = new LiteralTemplates();
    const first = fill("17", ["2", "3", "4"]);
    templates.learn(first, CONTEXT, planned(first));
    let count = 0;
    for (const key of NUMBERS)
      for (const others of OTHERS) {
        const sql = fill(key, others);
        const derived = templates.find(sql, CONTEXT);
        if (derived === undefined) continue;
        const expected = bound(planned(sql));
        expect(bound(derived)).toEqual(expected);
        expect([keyedFragment(templates, sql)]).toEqual(expected?.fragments);
        count += 1;
      }
    expect(count).toBeGreaterThan(100);
  });

  test.each([
    ["another key beside it", "SELECT name FROM users WHERE id = # OR id = @"],
    ["two tables' keys", "SELECT u.name FROM users u, orders o WHERE u.id = # AND o.user_id = @"],
  ])("nothing is learned of %s", (_, text) => {
    const templates = new LiteralTemplates();
    const first = text.replace("#", "17").replace("@", "18");
    templates.learn(first, CONTEXT, planned(first));
    expect(templates.find(text.replace("#", "23").replace("@", "24"), CONTEXT)).toBeUndefined();
    expect(templates.find(text.replace("#", "23").replace("@", "23"), CONTEXT)).toBeUndefined();
  });

  test("a number that is none of PostgreSQL's integers stays where it is", () => {
    const text = "UPDATE users SET age = age + @ WHERE id = #";
    const templates = new LiteralTemplates();
    const first = text.replace("@", "2").replace("#", "17");
    templates.learn(first, CONTEXT, planned(first));
    for (const other of [
      "1.5",
      "1e3",
      "0x10",
      "1_000",
      "01",
      "1234567890",
      "2147483648",
      ".5",
      "5.",
    ])
      expect(templates.find(text.replace("@", other).replace("#", "23"), CONTEXT)).toBeUndefined();
    expect(templates.find(text.replace("@", "-5").replace("#", "23"), CONTEXT)).toBeUndefined();
    expect(templates.find(text.replace("@", "5").replace("#", "23"), CONTEXT)).toBeDefined();
  });
});

test.each([
  ["a number that stands twice", "SELECT name FROM users WHERE id = # AND age = 17"],
  ["two keys", "SELECT name FROM users WHERE id IN (#, 18)"],
  ["a range", "SELECT name FROM users WHERE id > #"],
  ["no key", "SELECT name FROM users WHERE age = #"],
  ["a sign", "SELECT name FROM users WHERE id = -#"],
  ["a fraction", "SELECT name FROM users WHERE id = #.0"],
  ["a leading zero", "SELECT name FROM users WHERE id = 0#"],
  ["a string for a number's key", "SELECT name FROM users WHERE id = '#'"],
  ["a key in escapes", "SELECT n FROM words WHERE word = E'#'"],
  ["a key that is cast", "SELECT n FROM words WHERE word = '#'::varchar"],
  ["a view", "SELECT name FROM named WHERE id = #"],
  ["a condition that does not pin", "SELECT name FROM users WHERE id = # OR age = 3"],
  ["two rows", "INSERT INTO users VALUES (#, 'x', 1), (18, 'y', 2)"],
  ["a row without its key", "INSERT INTO notes (body) VALUES ('#')"],
])("nothing is learned of %s", (_, text) => {
  expect(taught(text).find(text.replace("#", "23"), CONTEXT)).toBeUndefined();
});

test.each([
  ["ten digits", "SELECT name FROM users WHERE id = 1234567890"],
  ["a leading zero", "SELECT name FROM users WHERE id = 042"],
  ["hexadecimal digits", "SELECT name FROM users WHERE id = 0x2a"],
  ["underscores", "SELECT name FROM users WHERE id = 4_2"],
  ["an exponent", "SELECT name FROM users WHERE id = 4e2"],
  ["more behind it", "SELECT name FROM users WHERE id = 42 OR true"],
  ["another blank", "SELECT name FROM users WHERE id =  42"],
  ["another table", "SELECT name FROM orders WHERE id = 42"],
  ["nothing", "SELECT name FROM users WHERE id = "],
  ["an expression", "SELECT name FROM users WHERE id = 4 + 2"],
])("a text with %s is not found", (_, text) => {
  expect(taught("SELECT name FROM users WHERE id = #").find(text, CONTEXT)).toBeUndefined();
});

test("a number that another of the text may be tied to is not taken", () => {
  const templates = taught("SELECT name FROM users WHERE id = # AND age = 42");
  expect(templates.find("SELECT name FROM users WHERE id = 7 AND age = 42", CONTEXT)).toBeDefined();
  expect(
    templates.find("SELECT name FROM users WHERE id = 42 AND age = 42", CONTEXT),
  ).toBeUndefined();
});

test("what was learned holds for the same names and the same map alone", () => {
  const templates = taught("SELECT name FROM users WHERE id = #");
  const text = "SELECT name FROM users WHERE id = 42";
  expect(templates.find(text, { ...CONTEXT, searchPath: ["other", "public"] })).toBeUndefined();
  expect(templates.find(text, { ...CONTEXT, map: { ...map } })).toBeUndefined();
  expect(templates.find(text, CONTEXT)).toBeDefined();
});

describe("a catalog that another has taken the place of", () => {
  const ofEpoch = (epoch: number): PlanContext => ({
    ...CONTEXT,
    catalog: { ...CONTEXT.catalog, epoch: CONTEXT.catalog.epoch + epoch },
  });

  /** All references to the catalog end with the call, but for what is kept of the text. */
  function learnUnderOlder(templates: LiteralTemplates, text: string): WeakRef<object> {
    const context = ofEpoch(1);
    templates.learn(text, context, planned(text, context));
    return new WeakRef(context.catalog);
  }

  test.each([
    ["a template", "SELECT name FROM users WHERE id = 17"],
    ["a shape that was met once", "SELECT name FROM users WHERE id = $1 AND age > 17"],
  ])("is not kept by %s", async (_, text) => {
    const templates = new LiteralTemplates();
    const older = learnUnderOlder(templates, text);
    const other = "SELECT count(*) FROM users";
    const newer = ofEpoch(2);
    templates.learn(other, newer, planned(other, newer));
    await turn();
    collectGarbage("all");
    expect(older.deref()).toBeUndefined();
  });
});
