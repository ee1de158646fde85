import { expect, test } from "vitest";
import { ERRORS, type ErrorDefinition } from "../../base/sql-error.ts";
import { printBound, SIZE_BOUNDS } from "../../cli/size-bounds.ts";

/** Bounds that no statement of a client's has: of what the proxy asks for itself, and of its admin console. */
const OWN: ReadonlySet<string> = new Set([
  "control_answer_too_large",
  "console_statements_exceeded",
  "session_defaults_too_long",
]);

test("every error of a program's limit is told with the bound", () => {
  const told = new Set<string>(SIZE_BOUNDS.map(({ id }) => id));
  const exceeded = Object.entries<ErrorDefinition>(ERRORS)
    .filter(([id, { sqlstate }]) => sqlstate.startsWith("54") && !OWN.has(id))
    .map(([id]) => id);
  expect(exceeded.filter((id) => !told.has(id))).toEqual([]);
});

test.each([
  [{ of: "a", most: 1_000, id: "statement_too_long" }, "1,000"],
  [{ of: "a", most: 64 * 1024 ** 2, unit: "bytes", id: "statement_too_long" }, "64 MB"],
  [{ of: "a", most: 1024 ** 3, unit: "bytes", id: "statement_too_long" }, "1 GB"],
  [{ of: "a", most: 16_384, unit: "characters", id: "statement_too_long" }, "16,384 characters"],
] as const)("%j", (bound, text) => {
  expect(printBound(bound)).toBe(text);
});
