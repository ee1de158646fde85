/** Files and functions are small, and nothing unfinished is left behind. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { functionsOf } from "./functions.ts";
import { repositoryFiles, ROOT, sourceFiles } from "./sources.ts";

const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;

/** `path` or `path function`, and why splitting it would make it worse. */
const LONGER_FOR_A_REASON: Readonly<Record<string, string>> = {
  "test/session/sequences/messages.ts textsFor": "statements, as data",
  "test/session/sequences/steps.ts stepsFor": "statements, as data",
  "base/limits.ts": "the catalogue of limits is one table",
  "base/sql-error.ts": "the catalogue of errors is one table",
  "proxy/protocol/saslprep-tables.ts": "the tables of RFC 3454",
  "test/protocol/message-vectors.ts": "one vector for each message, as data",
  "test/session/scripts-extended.ts": "conversations, as data",
  "test/session/scripts-simple.ts": "conversations, as data",
};

const files = sourceFiles();

test(`no file has more than ${FILE_LINES_MAX} lines without a listed reason`, () => {
  const long = files
    .map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 }))
    .filter(({ path, lines }) => lines > FILE_LINES_MAX && !(path in LONGER_FOR_A_REASON));
  expect(long).toEqual([]);
});

test(`no function has more than ${FUNCTION_LINES_MAX} lines without a listed reason`, () => {
  const long = files.flatMap((file) =>
    functionsOf(file)
      .filter(({ lines }) => lines > FUNCTION_LINES_MAX)
      .map(({ name, lines }) => ({ name: `${file.path} ${name}`, lines })),
  );
  expect(long.filter(({ name }) => !(name in LONGER_FOR_A_REASON))).toEqual([]);
});

test("the counting of functions counts", () => {
  const body = "  a();\n".repeat(80);
  const text = `export async function long(\n  x: { a: 1 },\n): Promise<{ b: 2 }> {\n${body}}\nclass A {\n  #short(): void {\n    b();\n  }\n}\n`;
  expect(functionsOf({ path: "planted.ts", text })).toEqual([
    { name: "long", lines: 84 },
    { name: "#short", lines: 3 },
  ]);
});

test("nothing is left for later", () => {
  const marks = new RegExp(["TO", "DO|FIX", "ME|X", "XX|HA", "CK"].join(""));
  const text = repositoryFiles().filter((path) =>
    /\.(?:ts|md|yaml|sql|json)$|^\.ci\/|Dockerfile/.test(path),
  );
  const found = text
    .filter((path) => path !== "package-lock.json" && !path.includes("/testdata/"))
    .filter((path) =>
      new RegExp(`\\b(?:${marks.source})\\b`).test(readFileSync(join(ROOT, path), "utf8")),
    );
  expect(found).toEqual([]);
});

test("the changelog has its Unreleased part", () => {
  expect(readFileSync(join(ROOT, "CHANGELOG.md"), "utf8")).toMatch(/^## Unreleased$/m);
});

test("every product file says what it is for, near its top", () => {
  const product = files.filter(({ path }) => !path.startsWith("test/"));
  const silent = product.filter(({ text }) => !text.slice(0, 1_000).includes("/**"));
  expect(silent.map(({ path }) => path)).toEqual([]);
});
