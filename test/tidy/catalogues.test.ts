/** What the catalogues name is used, is tested, and stands in the documents. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import * as limits from "../../base/limits.ts";
import { METRICS } from "../../base/metrics.ts";
import { ERRORS } from "../../base/sql-error.ts";
import { generatedDocuments } from "../../cli/generated-docs.ts";
import { repositoryFiles, ROOT, sourceFiles } from "./sources.ts";

const files = sourceFiles();
const product = files.filter(({ path }) => !/^(?:test|bench)\//.test(path));

/** Which of the words stand in one of the texts. */
function wordsIn(texts: readonly string[]): ReadonlySet<string> {
  return new Set(texts.flatMap((text) => text.match(/\w+/g) ?? []));
}

test("every limit is used", () => {
  const used = wordsIn(
    product.filter(({ path }) => path !== "base/limits.ts").map(({ text }) => text),
  );
  expect(Object.keys(limits).filter((name) => !used.has(name))).toEqual([]);
});

test("every metric is set", () => {
  const used = wordsIn(
    product.filter(({ path }) => path !== "base/metrics.ts").map(({ text }) => text),
  );
  expect(Object.keys(METRICS).filter((name) => !used.has(name))).toEqual([]);
});

test("every error id is raised", () => {
  const raised = wordsIn(
    product.filter(({ path }) => path !== "base/sql-error.ts").map(({ text }) => text),
  );
  expect(Object.keys(ERRORS).filter((id) => !raised.has(id))).toEqual([]);
});

test("every error id has a case that raises it", () => {
  const paths = repositoryFiles().filter(
    (path) => path.startsWith("test/") && !path.startsWith("test/tidy/"),
  );
  const cases = wordsIn(paths.map((path) => readFileSync(join(ROOT, path), "utf8")));
  expect(Object.keys(ERRORS).filter((id) => !cases.has(id))).toEqual([]);
});

test.each([...generatedDocuments()])("%s is fresh", (path, text) => {
  expect(readFileSync(join(ROOT, path), "utf8"), "run npm run docs").toBe(text);
});
