/** The load generator: what it sends, and that it does not forget what came while it waited. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { runPaced } from "../../../bench/compare/load/paced.ts";
import { measureOrmMisses } from "../../../bench/compare/orm-miss.ts";
import { ormStatement } from "../../../bench/compare/orm-statements.ts";

const STALL_MS = 200;

test("a stall is in the latency of all that was due meanwhile", async () => {
  let asked = 0;
  const stalling = async (): Promise<void> => {
    asked += 1;
    if (asked === 100) await sleep(STALL_MS);
  };
  const { latencies, lateness } = await runPaced([stalling], { perSecond: 500, seconds: 1 });
  expect([asked, latencies.count, lateness.count]).toEqual([500, 500, 500]);
  // A hundred were due in the fifth of a second: each waited for what was left of it.
  expect(latencies.quantile(1)).toBeGreaterThan(0.9 * STALL_MS * 1_000);
  expect(latencies.quantile(0.9)).toBeGreaterThan(0.3 * STALL_MS * 1_000);
});

test("clients share what is due, and none is asked twice at once", async () => {
  const running = [0, 0, 0];
  const counts = [0, 0, 0];
  const clients = running.map((_, own) => async () => {
    running[own] = (running[own] ?? 0) + 1;
    expect(running[own]).toBe(1);
    await sleep(5);
    running[own] = (running[own] ?? 0) - 1;
    counts[own] = (counts[own] ?? 0) + 1;
  });
  await runPaced(clients, { perSecond: 400, seconds: 1 });
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(400);
  expect(Math.min(...counts)).toBeGreaterThan(0);
});

test("a client's error ends the load", async () => {
  const failing = () => Promise.reject(new Error("the server closed the connection"));
  await expect(runPaced([failing], { perSecond: 10, seconds: 1 })).rejects.toThrow(
    "the server closed the connection",
  );
});

test("no text of an ORM comes twice", () => {
  const texts = Array.from({ length: 2_000 }, (_, nonce) => ormStatement(nonce));
  const again = texts.filter((text, index) => texts.indexOf(text) !== index);
  expect(again).toEqual([]);
});

test("each of them is planned", async () => {
  // More than there are templates.
  const medians = await measureOrmMisses({ warmUp: 0, turns: 2, statements: 20 });
  expect(medians).toHaveLength(2);
  expect(Math.min(...medians)).toBeGreaterThan(1);
});
