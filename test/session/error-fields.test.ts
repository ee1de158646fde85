import { expect, test } from "vitest";
import { SqlError } from "../../base/sql-error.ts";
import { errorFields } from "../../proxy/session/error-fields.ts";

test("an error of the proxy tells its id where PostgreSQL tells its routine", () => {
  const error = new SqlError("cursor_unknown", 'cursor "c" does not exist');
  expect(errorFields(error, "ERROR")).toMatchObject({
    S: "ERROR",
    V: "ERROR",
    C: "34000",
    M: 'cursor "c" does not exist',
    R: "cursor_unknown",
  });
});

test("drivers know a changed plan by PostgreSQL's routine, and prepare again", () => {
  const error = new SqlError("cached_plan_changed", "cached plan must not change result type");
  expect(errorFields(error, "ERROR")).toMatchObject({ C: "0A000", R: "RevalidateCachedQuery" });
});
