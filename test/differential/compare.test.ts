/** The comparison must be able to fail: each kind of difference, once. */
import { describe, expect, test } from "vitest";
import type { Item } from "./answer.ts";
import { differenceOf, failsBySomePlans, refusalOf } from "./compare.ts";
import type { Statement } from "./statement.ts";

const statement = (more: Partial<Statement> = {}): Statement => ({
  kind: "select",
  sql: "SELECT id FROM users ORDER BY id",
  parameters: [],
  order: "total",
  opaqueColumns: [],
  isWrite: false,
  mayFailTwice: false,
  ...more,
});

const columns = (...texts: string[]): Item => ({ kind: "columns", columns: texts, formats: [] });
const rows = (...texts: string[]): Item => ({ kind: "rows", rows: texts });
const message = (type: string, text: string): Item => ({ kind: "message", type, text });
const error = (fields: Record<string, string>): Item => ({
  kind: "error",
  fields: { S: "ERROR", ...fields },
});

const ANSWER = [
  columns("id int8(-1)"),
  rows("1", "2"),
  message("C", "SELECT 2"),
  message("Z", "I"),
];

describe("differenceOf", () => {
  test("an answer equals itself", () => {
    expect(differenceOf(ANSWER, ANSWER, [statement()])).toBeUndefined();
  });

  test.for<[string, Item[]]>([
    [
      "rows in another order from row 0",
      [columns("id int8(-1)"), rows("2", "1"), message("C", "SELECT 2"), message("Z", "I")],
    ],
    [
      "row 1 differs",
      [columns("id int8(-1)"), rows("1", "3"), message("C", "SELECT 2"), message("Z", "I")],
    ],
    [
      "2 rows expected, 3 came",
      [columns("id int8(-1)"), rows("1", "2", "2"), message("C", "SELECT 2"), message("Z", "I")],
    ],
    [
      "int4(-1)",
      [columns("id int4(-1)"), rows("1", "2"), message("C", "SELECT 2"), message("Z", "I")],
    ],
    [
      "another number of columns",
      [columns("id int8(-1)", "x"), rows("1", "2"), message("C", "SELECT 2"), message("Z", "I")],
    ],
    [
      "SELECT 1",
      [columns("id int8(-1)"), rows("1", "2"), message("C", "SELECT 1"), message("Z", "I")],
    ],
    ["T", [columns("id int8(-1)"), rows("1", "2"), message("C", "SELECT 2"), message("Z", "T")]],
    ["missing", [columns("id int8(-1)"), rows("1", "2"), message("C", "SELECT 2")]],
    ["one too many", [...ANSWER, message("Z", "I")]],
    ["error 42P01", [error({ C: "42P01", M: "no" }), message("Z", "I")]],
  ])("finds: %s", ([why, answer]) => {
    expect(differenceOf(ANSWER, answer, [statement()])).toContain(why);
  });

  test("an open order may differ, the rows may not", () => {
    const open = statement({ order: "any" });
    expect(differenceOf([rows("1", "2")], [rows("2", "1")], [open])).toBeUndefined();
    expect(differenceOf([rows("1", "2")], [rows("2", "2")], [open])).toContain("row 0 differs");
  });

  test.for(["C", "M", "D", "P", "n", "S"])("compares field %s of an error", (field) => {
    const want = { C: "23505", M: "duplicate", D: "Key (id)=(1).", P: "8", n: "users_pkey" };
    expect(
      differenceOf([error(want)], [error({ ...want, [field]: "x" })], [statement()]),
    ).toContain(`field ${field}`);
    expect(
      differenceOf([error(want)], [error({ ...want, F: "other.c", L: "1" })], [statement()]),
    ).toBeUndefined();
  });

  test("of two rows that break a rule either may be named", () => {
    const both = [error({ C: "23505", M: "a" }), error({ C: "23502", M: "b" })] as const;
    expect(differenceOf([both[0]], [both[1]], [statement({ mayFailTwice: true })])).toBeUndefined();
    expect(
      differenceOf([both[0]], [message("C", "INSERT 0 2")], [statement({ mayFailTwice: true })]),
    ).toBeDefined();
  });
});

test("rows that divide by zero or leave the range of their type may be met in any order", () => {
  const divides = error({ C: "22012", M: "division by zero", F: "int.c" });
  const overflows = error({ C: "22003", M: "integer out of range", F: "int.c" });
  const overflowsBigint = error({ C: "22003", M: "bigint out of range", F: "int8.c" });
  expect(differenceOf([divides], [overflows], [statement()])).toBeUndefined();
  expect(differenceOf([overflows], [overflowsBigint], [statement()])).toBeUndefined();
  const malformed = error({ C: "22P02", M: "x", F: "int.c" });
  expect(differenceOf([divides], [malformed], [statement()])).toBeDefined();
  const ofTheProxy = error({ C: "22003", M: "of a sum" });
  expect(differenceOf([overflows], [ofTheProxy], [statement()])).toBeDefined();
});

test("a collation that cannot be told is missed by a comparison or by a hash", () => {
  const compares = error({ C: "42P22", M: "for string comparison", H: "Use the COLLATE clause" });
  const hashes = error({ C: "42P22", M: "for string hashing", H: "Use the COLLATE clause" });
  expect(differenceOf([compares], [hashes], [statement()])).toBeUndefined();
  expect(differenceOf([compares], [error({ C: "42P22", M: "x" })], [statement()])).toBeDefined();
});

describe("refusalOf", () => {
  test("is 0A000 without a source file: PostgreSQL's own has one", () => {
    expect(refusalOf([error({ C: "0A000", M: 'join of "a" and 5' })])).toBe('join of "…" and N');
    expect(refusalOf([error({ C: "0A000", M: "cursor", F: "portal.c" })])).toBeUndefined();
    expect(refusalOf([error({ C: "22012", M: "division by zero" })])).toBeUndefined();
  });
});

describe("failsBySomePlans", () => {
  const division = error({ C: "22012", M: "division by zero" });
  const nothing = message("C", "UPDATE 0");

  test("an expression's error on either side, where its rows are the plan's choice", () => {
    expect(failsBySomePlans([division], [nothing], true)).toBe(true);
    expect(failsBySomePlans([nothing], [division], true)).toBe(true);
  });

  test("not where they are not, nor beside changed rows, nor another error, nor two", () => {
    expect(failsBySomePlans([division], [nothing], false)).toBe(false);
    expect(failsBySomePlans([division], [message("C", "UPDATE 3")], true)).toBe(false);
    expect(failsBySomePlans([error({ C: "23505", M: "a" })], [nothing], true)).toBe(false);
    expect(failsBySomePlans([division], [error({ C: "22003", M: "b" })], true)).toBe(false);
  });
});
