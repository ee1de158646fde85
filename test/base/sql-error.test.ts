import { expect, test } from "vitest";
import { ERRORS, type ErrorDefinition, SqlError } from "../../base/sql-error.ts";

const DEFINITIONS = Object.entries<ErrorDefinition>(ERRORS);

test("what PostgreSQL would answer and the proxy refuses has a hint: what to do instead", () => {
  const silent = DEFINITIONS.filter(
    ([, { sqlstate, hint }]) => sqlstate === "0A000" && hint === undefined,
  );
  expect(silent.map(([id]) => id)).toEqual([]);
});

test("hints are sentences, and the place that throws knows better", () => {
  for (const [id, { hint = "Do." }] of DEFINITIONS) expect(hint, id).toMatch(/^[A-Z"].*[.]$/);
  const error = new SqlError("ddl_not_supported", "no", { hint: "Use another name." });
  expect(error.hint).toBe("Use another name.");
  expect(new SqlError("ddl_not_supported", "no", { hint: undefined }).hint).toBe(
    ERRORS.ddl_not_supported.hint,
  );
});
