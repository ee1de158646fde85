/** The examples of docs/analyze.md are run. */
import { expect, test } from "vitest";
import { parseShardMap } from "../../shardmap/schema.ts";
import { checkCommand, commandsOf, readDocument } from "./examples.ts";

const document = readDocument("docs/analyze.md");
const commands = commandsOf(document);

test("there are examples", () => {
  expect(commands.length).toBeGreaterThanOrEqual(2);
});

test.each(commands)("%s", (example) => checkCommand(document, example));

test("the map to begin with is a map", () => {
  const map = document.blocks.find(({ language }) => language === "yaml")?.body ?? "";
  expect(parseShardMap(map, "map.yaml")).toHaveProperty("map");
});
