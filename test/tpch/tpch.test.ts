/** docs/tpch.md is what the planner says; `REWRITE=1` writes it anew. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { loadParser } from "../../planner/parse.ts";
import { ROOT } from "../tidy/sources.ts";
import { tpchDocument } from "./document.ts";
import { allRows } from "./rows.ts";

beforeAll(loadParser);

test("docs/tpch.md is up to date", () => {
  const path = join(ROOT, "docs", "tpch.md");
  const text = tpchDocument();
  if (process.env["REWRITE"] === "1") writeFileSync(path, text);
  expect(readFileSync(path, "utf8"), "REWRITE=1 npx vitest run --project unit test/tpch").toBe(
    text,
  );
});

test("the rows are the same on every machine", () => {
  expect(allRows()).toEqual(allRows());
  const counts = Object.fromEntries(allRows().map(({ table, rows }) => [table, rows.length]));
  expect(counts).toMatchObject({
    region: 5,
    nation: 25,
    supplier: 50,
    part: 1_000,
    customer: 750,
    orders: 4_000,
  });
});
