import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { databaseName } from "../../base/ids.ts";
import { Pauses } from "../../proxy/execution/pauses.ts";

const [EAST, WEST] = [databaseName("east"), databaseName("west")];
const never = new AbortController().signal;

function pausesOf(waitMs = 5_000, waitersMax = 10): Pauses {
  return new Pauses({ waitMs, waitersMax });
}

/** `waits` or what came of it, within a moment. */
async function outcome(passing: Promise<void>): Promise<string> {
  const ended = passing.then(
    () => "passed",
    (error: Error & { readonly id?: string }) => error.id ?? error.message,
  );
  return await Promise.race([ended, sleep(20).then(() => "waits")]);
}

test("what is new waits until the database resumes, what ran before goes on", async () => {
  const pauses = pausesOf();
  expect(pauses.pause(EAST, 5)).toBe(true);
  const waiting = pauses.pass(EAST, undefined, never);
  expect(await outcome(waiting)).toBe("waits");
  expect(await outcome(pauses.pass(EAST, 6, never))).toBe("waits");
  expect(await outcome(pauses.pass(EAST, 4, never))).toBe("passed");
  expect(await outcome(pauses.pass(WEST, undefined, never))).toBe("passed");
  pauses.resume(EAST);
  expect(await outcome(waiting)).toBe("passed");
  expect([pauses.isAny, pauses.isPaused(EAST)]).toEqual([false, false]);
});

test("a second pause changes nothing, and one resume ends it", async () => {
  const pauses = pausesOf();
  pauses.pause(EAST, 5);
  expect(pauses.pause(EAST, 9)).toBe(false);
  expect(await outcome(pauses.pass(EAST, 7, never))).toBe("waits");
  pauses.resume(EAST);
  expect(pauses.isPaused(EAST)).toBe(false);
});

test("who waits is refused at the deadline, and where too many do", async () => {
  const pauses = pausesOf(10, 2);
  pauses.pause(EAST, 1);
  const waiting = [pauses.pass(EAST, undefined, never), pauses.pass(EAST, undefined, never)];
  await expect(pauses.pass(EAST, undefined, never)).rejects.toMatchObject({
    id: "database_paused",
    detail: "Too many transactions wait for it.",
  });
  for (const each of waiting)
    await expect(each).rejects.toMatchObject({
      id: "database_paused",
      detail: "It did not resume within 10 ms.",
    });
});

test("the deadline is one for all pauses that a transaction meets", async () => {
  const pauses = pausesOf(60);
  pauses.pause(EAST, 1);
  const waiting = pauses.pass(EAST, undefined, never);
  await sleep(30);
  pauses.resume(EAST);
  pauses.pause(EAST, 2);
  await expect(waiting).rejects.toMatchObject({ id: "database_paused" });
});

test("a cancelled wait ends with the cancel's reason", async () => {
  const pauses = pausesOf();
  pauses.pause(EAST, 1);
  const cancel = new AbortController();
  const waiting = pauses.pass(EAST, undefined, cancel.signal);
  cancel.abort(new Error("cancelled"));
  await expect(waiting).rejects.toThrow("cancelled");
});

test("a proxy that stops tells who waits, and pauses nothing any more", async () => {
  const pauses = pausesOf();
  pauses.pause(EAST, 1);
  const waiting = pauses.pass(EAST, undefined, never);
  pauses.close();
  await expect(waiting).rejects.toMatchObject({ id: "proxy_shutdown" });
  expect([pauses.pause(WEST, 2), pauses.isAny]).toEqual([false, false]);
});
