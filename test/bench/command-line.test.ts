/** `npm run bench` as a script sees it: its complaints and its exit codes. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../tidy/sources.ts";

function bench(...words: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(ROOT, "bench", "main.ts"), ...words],
    { encoding: "utf8" },
  );
  return { status, stdout, stderr };
}

test.each([
  [
    ["--only", "nonsense"],
    '--only: there is no part "nonsense"; there are planner, idle, select, scatter',
  ],
  [
    ["--only", "toString"],
    '--only: there is no part "toString"; there are planner, idle, select, scatter',
  ],
  [["--seconds", "x"], '--seconds: a whole number from 1 to 3600 is needed, not "x"'],
  [["--seconds", "0"], '--seconds: a whole number from 1 to 3600 is needed, not "0"'],
  [["--second", "5"], "Unknown option '--second'"],
  [
    ["compare", "--contenders", "odyssey"],
    '--contenders: there is no "odyssey"; there are direct, haproxy, node-relay, pgbouncer, pgpool',
  ],
  [
    ["compare", "--cases", "valueOf"],
    /^--cases: there is no "valueOf"; there are select-simple-32/,
  ],
  [["compare", "--gigabytes", "-1"], /^Option '--gigabytes' argument is ambiguous/],
  [["compare", "--json", "/dev/null/slices.json"], /^ENOTDIR: not a directory, open/],
  [["compare", "--profile", "/dev/null/profiles"], /^ENOTDIR: not a directory, mkdir/],
  [["compare", "--turns", "0"], '--turns: a whole number from 1 to 1000 is needed, not "0"'],
])("%j is refused in one line", (words, expected) => {
  const { status, stdout, stderr } = bench(...words);
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  const lines = stderr.split("\n");
  expect(lines).toEqual([expect.stringMatching(/^bench: /), ""]);
  expect(lines[0]?.slice("bench: ".length)).toMatch(expected);
});

test("a bound that is not held is named, and is the exit code", () => {
  const { status, stdout, stderr } = bench("--only", "planner");
  const broken = [...stdout.matchAll(/^(.+?) {2,}.*NOT HELD$/gm)].map(([, name]) => name);
  expect(stdout.match(/: (?:held|NOT HELD)$/gm)).toHaveLength(3);
  expect(stderr).toBe(broken.map((name) => `bench: bound not held: ${name}\n`).join(""));
  expect(status).toBe(broken.length === 0 ? 0 : 1);
}, 60_000);
