/** What tokens say of a renamed statement, its tree says too: over every statement of the planner's specification. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ColumnRef } from "@pgsql/types";
import { expect, test } from "vitest";
import { readPlanCases } from "../../cli/plan-cases.ts";
import { loadParser, parseSql, type ParsedStatement } from "../../planner/parse.ts";
import { isRenamedAlone, type ExchangedName } from "../../planner/renamed-tokens.ts";
import { tableRenames, verifyRenamed } from "../../planner/rewrite.ts";
import { quoteQualified } from "../../base/sql-quoting.ts";
import { onlyStatement } from "./sample-plan-context.ts";

await loadParser();

const TESTDATA = join(import.meta.dirname, "../plan/testdata");
const SCHEMA = 'a "new" schema';

interface Renamed {
  readonly statement: ParsedStatement;
  readonly names: readonly ExchangedName[];
}

function renamed(statement: ParsedStatement): Renamed {
  const found = tableRenames(statement, ({ relname = "" }) => ({ kind: "placed", name: relname }));
  const names = new Map(
    found.map(({ tree, start, end }) => [start, { tree, start, end, schema: SCHEMA }]),
  );
  return { statement, names: [...names.values()].toSorted((a, b) => a.start - b.start) };
}

function spliced({ statement, names }: Renamed): string {
  let [sql, read] = ["", 0];
  for (const { tree, start, end } of names) {
    const name =
      "fields" in tree ? tableOfColumn(tree) : "relname" in tree ? tree.relname : undefined;
    sql += statement.text.slice(read, start) + quoteQualified(SCHEMA, name ?? "");
    read = end;
  }
  return sql + statement.text.slice(read);
}

function tableOfColumn({ fields = [] }: ColumnRef): string | undefined {
  const field = fields.at(-2);
  return field !== undefined && "String" in field ? field.String.sval : undefined;
}

/** That the grammar has it as the tree with other schemas. */
function isSameToGrammar({ statement, names }: Renamed, sql: string): boolean {
  try {
    verifyRenamed(
      sql,
      statement.textNode,
      new Map(names.map(({ tree, schema }) => [tree, schema])),
    );
    return true;
  } catch {
    return false;
  }
}

const STATEMENTS = readdirSync(TESTDATA)
  .filter((file) => !file.includes("."))
  .flatMap((file) => readPlanCases(readFileSync(join(TESTDATA, file), "utf8")).cases)
  .flatMap(({ input }) => {
    const outcome = parseSql(input);
    return outcome.kind === "statements" ? outcome.statements : [];
  })
  .map(renamed)
  .filter(({ names }) => names.length > 0);

test("texts renamed where the tree says are the same by their tokens, and to the grammar", () => {
  const told = STATEMENTS.filter((each) =>
    isRenamedAlone(each.statement.text, spliced(each), each.names),
  );
  for (const each of told)
    expect(isSameToGrammar(each, spliced(each)), each.statement.text).toBe(true);
  expect(told.length / STATEMENTS.length).toBeGreaterThan(0.98);
  expect(told.length).toBeGreaterThan(800);
});

test("a text that lacks a token, has one twice, or another one, is not the same by its tokens", () => {
  for (const each of STATEMENTS) {
    // A comment is not among the tokens.
    if (/--|[/][*]/.test(each.statement.text)) continue;
    const sql = spliced(each);
    for (const changed of changes(sql))
      expect(isRenamedAlone(each.statement.text, changed, each.names), changed).toBe(false);
  }
});

/** Of a text of several words. */
function changes(sql: string): readonly string[] {
  const words = [...sql.matchAll(/[A-Za-z0-9_"$]+/g)];
  const word = words[words.length >> 1];
  if (word === undefined) return [];
  const [before, after] = [sql.slice(0, word.index), sql.slice(word.index + word[0].length)];
  return [
    `${before} ${after}`,
    `${before}${word[0]} ${word[0]}${after}`,
    `${before}x${word[0]}${after}`,
    sql.replace('"a ""new"" schema"', "other"),
    sql.replace('"a ""new"" schema".', ""),
    `${sql}; SELECT 1`,
    `/* ${sql}`,
  ];
}

test.each([
  ["the name of another token", "SELECT id FROM orders", 7, 9],
  ["a part of the name", "SELECT id FROM public.orders", 15, 21],
  ["more than the name", "SELECT id FROM orders o", 15, 23],
  ["the middle of a token", "SELECT id FROM orders", 16, 21],
  ["what is no token", "SELECT id FROM orders", 14, 21],
])("an edit of %s is not the same", (_, sql, start, end) => {
  const [own] = renamed(onlyStatement(sql)).names;
  if (own === undefined) throw new Error("it names a table");
  const edited = `${sql.slice(0, start)} "s"."orders"${sql.slice(end)}`;
  const names = [{ tree: own.tree, start, end, schema: "s" }];
  expect(isRenamedAlone(sql, edited, names)).toBe(false);
});

test.each([
  'SELECT id FROM U&"ord\\0065rs"',
  "SELECT id FROM größe",
  `SELECT id FROM ${"o".repeat(70)}`,
])("%s is left to the grammar", (sql) => {
  const each = renamed(onlyStatement(sql));
  expect(each.names).toHaveLength(1);
  expect(isRenamedAlone(sql, spliced(each), each.names)).toBe(false);
  expect(isSameToGrammar(each, spliced(each))).toBe(true);
});

test("a quoted name directly before the table's would take its first quote", () => {
  const statement = onlyStatement('SELECT 1 AS"x"FROM orders');
  const each = renamed(statement);
  expect(isRenamedAlone(statement.text, spliced(each), each.names)).toBe(true);
  const glued = spliced(each).replace('FROM "a', 'FROM"x""a');
  expect(isRenamedAlone(statement.text, glued, each.names)).toBe(false);
});
