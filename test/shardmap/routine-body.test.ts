/** What the text of a function shows, and what must not deceive it. */
import { describe, expect, test } from "vitest";
import { ROUTINE_BODY_CHARACTERS_MAX } from "../../base/limits.ts";
import { routineBody } from "../../shardmap/routine-body.ts";

const plpgsql = (text: string) => routineBody("plpgsql", `BEGIN ${text} RETURN NEW; END`);

describe("computes with its own row", () => {
  test.each([
    ["NEW.updated_at := now();", ["updated_at"]],
    ["new.updated_at = now();", ["updated_at"]],
    [`NEW."Odd ""one" := 1;`, ['Odd "one']],
    ["IF NEW.a = 1 THEN NEW.b := 2; ELSE NEW.c := 3; END IF;", ["b", "c"]],
    ["NEW.a[1] := 2; <<here>> NEW.b.part := 3;", ["a", "b"]],
    ["-- DELETE FROM users\n NEW.a := 'DELETE FROM users';", ["a"]],
    ["/* a /* nested */ DELETE FROM users */ NEW.a := E'it\\'s; FROM users';", ["a"]],
    ["NEW.a := $x$ SELECT 1 FROM users $x$ || $$ FROM b $$;", ["a"]],
    [
      "NEW.a := extract(year FROM NEW.at); NEW.b := substring(trim(both FROM NEW.n) FROM 2);",
      ["a", "b"],
    ],
    [
      "IF NEW.a IS DISTINCT FROM OLD.a AND NEW.b IS NOT DISTINCT FROM OLD.b THEN NEW.n := 1; END IF;",
      ["n"],
    ],
    ["NEW.a := (SELECT max(v) FROM unnest(NEW.list) v, pg_catalog.generate_series(1, 2));", ["a"]],
    ["IF TG_OP = 'UPDATE' THEN RAISE EXCEPTION 'no % here', OLD.set; END IF;", []],
    ["FOR i IN 1..3 LOOP NEW.n := NEW.n + i; END LOOP;", ["n"]],
  ])("%s", (text, assigns) => {
    const body = plpgsql(text);
    expect(body).toMatchObject({ reachesTables: false, isOpaque: false, replacesRow: false });
    expect([...body.assigns]).toEqual(assigns);
  });
});

test("a column may be called temp", () => {
  expect(plpgsql("UPDATE weather SET temp = NEW.temp;").isOpaque).toBe(false);
});

describe("reaches tables", () => {
  test.each([
    "SELECT count(*) FROM users;",
    "NEW.n := count(*) FROM users;",
    "NEW.n := (SELECT max(v) FROM unnest(NEW.list) v, users);",
    "NEW.n := (SELECT 1 FROM f(1) JOIN users ON true);",
    "NEW.n := (SELECT 1 FROM (SELECT 1) x, LATERAL f(x) y, ONLY users);",
    "NEW.n := (SELECT DISTINCT count(*) FROM users);",
    "NEW.n := array(TABLE users);",
    'NEW.n := (SELECT 1 FROM "users");',
    "UPDATE users SET n = 1;",
    "INSERT INTO users VALUES (1);",
    "DELETE/**/FROM users;",
    "PERFORM f();",
    "LOCK users;",
    "NEW.n := 'users'::regclass::oid;",
    "NEW.n := TG_TABLE_SCHEMA;",
    "NEW.a := 'a'; DELETE FROM users; NEW.b := 'b';",
    "NEW.a := E'\\\\'; DELETE FROM users; NEW.b := '';",
    "NEW.a := '\\'; DELETE FROM users; NEW.b := '';",
    "NEW.a := a$b; DELETE FROM users; NEW.c := $b;",
  ])("%s", (text) => {
    expect(plpgsql(text).reachesTables).toBe(true);
  });
});

test.each([
  "EXECUTE 'DELETE ' || 'FROM x';",
  "SET search_path = x;",
  "CALL p();",
  "DO 'x';",
  "CREATE TEMP TABLE IF NOT EXISTS seen (a text);",
  "CREATE OR REPLACE TEMPORARY VIEW seen AS SELECT 1;",
  'CREATE TABLE "pg_temp".seen (a text);',
])("its names do not show what it does: %s", (text) => {
  expect(plpgsql(text).isOpaque).toBe(true);
});

test.each([
  "NEW := OLD;",
  "NEW = jsonb_populate_record(NEW, '{}');",
  "SELECT 1 INTO NEW.id;",
  "FOREACH NEW.id IN ARRAY NEW.list LOOP END LOOP;",
  "RETURN jsonb_populate_record(NEW, '{}');",
  "RETURN ROW(1);",
  "GET DIAGNOSTICS NEW.id = ROW_COUNT;",
])("may replace the row: %s", (text) => {
  expect(plpgsql(text).replacesRow).toBe(true);
});

test("an alias of NEW may replace the row", () => {
  const text = "DECLARE n ALIAS FOR NEW; BEGIN n.id := 1; RETURN NEW; END";
  expect(routineBody("plpgsql", text).replacesRow).toBe(true);
});

test("calls are names before a parenthesis, and fields of a row in parentheses", () => {
  const { calls } = plpgsql('NEW.n := app.Tax (1) + "Fee"(2) + (NEW).total;');
  expect(["tax", "Fee", "total"].every((name) => calls.has(name))).toBe(true);
  expect(calls.has("n")).toBe(false);
});

test.each([
  ["plpython3u", "pass"],
  ["c", "moddatetime"],
  ["internal", "RI_FKey_check_ins"],
  ["plpgsql", `BEGIN NEW.U&"\\0069d" := 1; RETURN NEW; END`],
  ["plpgsql", "BEGIN NEW.a := 'no end; RETURN NEW; END"],
  ["plpgsql", "BEGIN /* no end RETURN NEW; END"],
  ["plpgsql", `BEGIN${" ".repeat(ROUTINE_BODY_CHARACTERS_MAX)} RETURN NEW; END`],
])("what is not read is taken for the worst: %s", (language, text) => {
  expect(routineBody(language, text)).toMatchObject({ reachesTables: true, isOpaque: true });
});

test("trigger functions that come with PostgreSQL look at their own row", () => {
  expect(routineBody("internal", "suppress_redundant_updates_trigger").reachesTables).toBe(false);
});
