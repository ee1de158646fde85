/** What is waited for, what stops a migration, and what ends an orchestrator's part in it. */
import { expect, test } from "vitest";
import { SqlError } from "../../../base/sql-error.ts";
import { failureOf } from "../../../migration/orchestrator/failures.ts";
import { BackendError } from "../../../proxy/backend/backend-error.ts";

function fromServer(sqlstate: string): BackendError {
  return new BackendError({ S: "ERROR", C: sqlstate, M: "told" });
}

test.each(["08006", "57P01", "57P03", "53300", "40001", "40P01", "55P03", "55006"])(
  "the server's %s passes",
  (sqlstate) => {
    expect(failureOf(fromServer(sqlstate))).toMatchObject({ kind: "away" });
  },
);

test.each(["42501", "42P01", "23503", "XX000"])(
  "the server's %s stops the migration",
  (sqlstate) => {
    expect(failureOf(fromServer(sqlstate))).toEqual({
      kind: "failed",
      because: "server_refused",
      detail: `told (${sqlstate})`,
    });
  },
);

test("a key that is there already stops it by a reason of its own", () => {
  const error = new BackendError({
    S: "ERROR",
    C: "23505",
    M: "told",
    D: "Key (id)=(7) already exists.",
  });
  expect(failureOf(error)).toEqual({
    kind: "failed",
    because: "keys_collide",
    detail: "told (23505): Key (id)=(7) already exists.",
  });
});

test("our own errors say what they mean, with their detail", () => {
  expect(failureOf(new SqlError("backend_lost", "gone"))).toEqual({ kind: "away", detail: "gone" });
  expect(failureOf(new SqlError("migration_epoch_lost", "late"))).toMatchObject({
    kind: "superseded",
  });
  expect(failureOf(new SqlError("migration_slot_lost", "no slot"))).toMatchObject({
    kind: "slotLost",
  });
  expect(
    failureOf(new SqlError("migration_row_mismatch", "0 rows", { detail: "At 0/1." })),
  ).toEqual({ kind: "failed", because: "apply_not_exact", detail: "0 rows. At 0/1." });
  expect(failureOf(new SqlError("migration_copy_mismatch", "7 rows"))).toMatchObject({
    because: "rows_differ",
  });
  expect(failureOf(new SqlError("migration_schema_changed", "altered"))).toMatchObject({
    because: "schema_changed",
  });
  expect(failureOf(new SqlError("migration_foreign_write", "theirs"))).toMatchObject({
    because: "foreign_write",
  });
  expect(failureOf(new SqlError("migration_reference_missing", "no row"))).toMatchObject({
    because: "reference_missing",
  });
  expect(failureOf(new SqlError("hold_not_possible", "silent"))).toMatchObject({
    because: "proxy_silent",
  });
});

test("what nobody foresaw is no event: it ends the process's part", () => {
  expect(() => failureOf(new TypeError("a bug"))).toThrow("a bug");
});
