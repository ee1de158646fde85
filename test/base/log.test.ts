import { expect, test } from "vitest";
import { createLog, type LogLevel } from "../../base/log.ts";

function logged(level: LogLevel): string {
  let text = "";
  const log = createLog(level, { write: (line: string) => void (text += line) });
  const event = {
    sql: "SELECT 'secret-literal'",
    parameters: ["secret-parameter"],
    statement: { sql: "secret-nested" },
    url: "postgres://app:secret-password@host/db",
    database: "users0",
  };
  log.error(event, "statement failed");
  return text;
}

test.each(["fatal", "error", "warn", "info"] as const)("at %s no SQL text is written", (level) => {
  expect(logged(level)).not.toContain("secret");
});

test("at debug the SQL text is written, and passwords still are not", () => {
  const text = logged("debug");
  expect(text).toContain("secret-literal");
  expect(text).toContain("secret-parameter");
  expect(text).toContain("secret-nested");
  expect(text).not.toContain("secret-password");
  expect(JSON.parse(text)).toMatchObject({ level: "error", database: "users0" });
});
