/** What is read from /proc, by lines as the kernel prints them, and by processes that are there. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { coreLayout } from "../../../bench/compare/pinning.ts";
import {
  descendants,
  kilobytes,
  parseMachine,
  parseStat,
  treeOf,
  treeSeconds,
} from "../../../bench/compare/proc.ts";
import { preparesStatements } from "../../../bench/compare/contenders/poolers.ts";

test("a process may be named as it likes", () => {
  const line =
    "77 (a) S 1 (b) R 12 77 77 0 -1 4194304 100 200 3 4 150 50 25 5 20 0 1 0 100 0 0 184467440737";
  expect(parseStat(line)).toEqual({ parent: 12, seconds: 2.3 });
});

test("the machine's time is what is not idle, and what its host took", () => {
  const text = "cpu  100 20 300 9000 80 7 3 50 11 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
  expect(parseMachine(text)).toBeCloseTo(4.8);
});

test("a tree has all that is below, and nothing that is gone", () => {
  const stat = (parent: number) => ({ parent, seconds: 1 });
  const stats = new Map([
    [10, stat(1)],
    [30, stat(20)],
    [20, stat(10)],
    [11, stat(1)],
  ]);
  expect(descendants([10, 99], stats)).toEqual([10, 20, 30]);
});

test("memory that is not told is none", () => {
  expect(kilobytes("Rss:  12 kB\nPss:    7 kB\nPss_Anon:  3 kB\n", "Pss")).toBe(7);
  expect(kilobytes("", "Pss")).toBe(0);
});

test("a process' time stays its parent's when it has ended", async () => {
  const before = treeSeconds([process.pid]);
  const child = spawn(process.execPath, [
    "-e",
    "for (const end = Date.now() + 300; Date.now() < end;);",
  ]);
  expect(treeOf([process.pid])).toContain(child.pid);
  await once(child, "exit");
  expect(treeOf([process.pid])).not.toContain(child.pid);
  expect(treeSeconds([process.pid]) - before).toBeGreaterThan(0.1);
});

test.each([
  [1, true, { proxy: undefined, load: undefined, server: undefined }],
  [2, true, { proxy: "0", load: undefined, server: undefined }],
  [4, true, { proxy: "0", load: "1", server: "2-3" }],
  [16, true, { proxy: "0", load: "1", server: "2-15" }],
  [16, false, { proxy: undefined, load: undefined, server: undefined }],
])("%i cores, taskset %s", (cores, hasTaskset, expected) => {
  expect(coreLayout(cores, hasTaskset)).toEqual(expected);
});

test.each([
  ["1.18.0", false],
  ["1.20.1", false],
  ["1.21.0", true],
  ["1.25.2", true],
  ["2.0.0", true],
])("PgBouncer %s pools named statements: %s", (version, expected) => {
  expect(preparesStatements(version)).toBe(expected);
});
