import { expect, test } from "vitest";
import { combineCommandTags } from "../../../proxy/execution/gather/gather.ts";

test.each([
  ["counts", ["UPDATE 3", "UPDATE 4"], "UPDATE 7"],
  ["counts", ["INSERT 0 1", "INSERT 0 2", "INSERT 0 0"], "INSERT 0 3"],
  ["counts", ["DELETE 9007199254740993", "DELETE 1"], "DELETE 9007199254740994"],
  ["agree", ["UPDATE 3", "UPDATE 3"], "UPDATE 3"],
] as const)("%s of %j is %s", (gather, tags, expected) => {
  expect(combineCommandTags(gather, tags)).toBe(expected);
});

test("databases that disagree on a reference table are an error", () => {
  expect(() => combineCommandTags("agree", ["UPDATE 3", "UPDATE 2"])).toThrow(
    expect.objectContaining({
      id: "reference_copies_differ",
      message: "databases disagree on a reference table: one answered UPDATE 3, another UPDATE 2",
    }),
  );
});

test.each([[["UPDATE 3", "DELETE 3"]], [["UPDATE"]], [[]]])("tags %j are no sum", (tags) => {
  expect(() => combineCommandTags("counts", tags)).toThrow(
    expect.objectContaining({ name: "InvariantViolation" }),
  );
});
