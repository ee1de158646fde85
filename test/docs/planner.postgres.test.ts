/** The examples of docs/planner.md are run, in their order. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { checkCommand, checkSession, commandsOf, readDocument, sessionsOf } from "./examples.ts";
import { startSample } from "./sample.ts";
import type { Sample } from "./sample.ts";

const document = readDocument("docs/planner.md");
const [commands, sessions] = [commandsOf(document), sessionsOf(document)];

let sample: Sample;

beforeAll(async () => {
  sample = await startSample();
});

afterAll(() => sample[Symbol.asyncDispose]());

test("there are examples of all that is told", () => {
  expect(commands.length).toBeGreaterThanOrEqual(5);
  expect(sessions.length).toBeGreaterThanOrEqual(12);
});

test.each(commands)("%s", (example) => checkCommand(document, example));

test.each(sessions)("%s", (session) =>
  checkSession(document, session, (sql, data) => sample.answer(sql, data)),
);
