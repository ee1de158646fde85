/** The harness itself: it finds nothing between equals, and finds what is wrong. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startEnvironment } from "./environment.ts";
import type { Environment } from "./environment.ts";
import { printReport, runDifferential } from "./run.ts";

let environment: Environment;
beforeAll(async () => {
  environment = await startEnvironment();
});
afterAll(async () => {
  await environment[Symbol.asyncDispose]();
});

test("two plain servers answer alike", async () => {
  const report = await runDifferential(environment, {
    seed: 11,
    statements: 3_000,
    connectOther: environment.connectTwin,
    isSharded: false,
  });
  expect(report.differences, printReport(report)).toEqual([]);
  expect(report.answered).toBe(report.statements);
});

test("one seed is one stream of statements", async () => {
  const streams: string[][] = [[], []];
  for (const stream of streams) {
    await runDifferential(environment, {
      seed: 12,
      statements: 200,
      connectOther: environment.connectTwin,
      isSharded: false,
      trace: (sql) => stream.push(sql),
    });
  }
  expect(streams[0]).toEqual(streams[1]);
});

test.for([
  [
    "a changed value",
    "UPDATE %I SET balance = balance + 1 WHERE id = (SELECT min(id) FROM users)",
    "users",
  ],
  ["a lost row", "DELETE FROM %I WHERE ctid = (SELECT min(ctid) FROM readings)", "readings"],
  ["a doubled row", "INSERT INTO %I (org, region) VALUES (31337, 'doubled')", "tenants"],
])("%s on one side is found", async ([, sql = "", table = ""]) => {
  const vandal = await environment.connectTwin();
  let isDone = false;
  const report = await runDifferential(environment, {
    seed: 13,
    statements: 1_000,
    connectOther: environment.connectTwin,
    isSharded: false,
    differencesMax: 1,
    onUnit: async (unit) => {
      if (unit < 20 || isDone) return;
      await vandal.query(sql.replace("%I", table));
      isDone = true;
    },
  });
  await vandal.close();
  expect(report.differences.length).toBeGreaterThan(0);
});
