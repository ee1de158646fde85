/**
 * The examples of docs/analyze.md are run. `REWRITE=1` writes what they print into it; the
 * diff is what is reviewed.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseShardMap } from "../../shardmap/schema.ts";
import { runCommand } from "../support/command.ts";
import { ROOT } from "../tidy/sources.ts";

const DOCUMENT = join(ROOT, "docs/analyze.md");
const text = readFileSync(DOCUMENT, "utf8");
const examples = [...text.matchAll(/^```console\n(\$ colonnade (.*)\n[\s\S]*?)^```$/gm)].map(
  ([, body = "", words = ""]) => ({ body, words }),
);

test("there are examples", () => {
  expect(examples.length).toBeGreaterThanOrEqual(2);
});

test.each(examples)("$words", async ({ body, words }) => {
  const { code, stdout, stderr } = await runCommand(...words.split(" "));
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const actual = `$ colonnade ${words}\n${stdout}`;
  if (process.env["REWRITE"] === "1") {
    writeFileSync(
      DOCUMENT,
      readFileSync(DOCUMENT, "utf8").replace(body, () => actual),
    );
  }
  expect(process.env["REWRITE"] === "1" ? actual : body).toBe(actual);
});

test("the map to begin with is a map", () => {
  const [, map = ""] = /^```yaml\n([\s\S]*?)^```$/m.exec(text) ?? [];
  expect(parseShardMap(map, "map.yaml")).toHaveProperty("map");
});
