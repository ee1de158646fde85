/** What `npm run bench -- compare` takes, and what it says to what it does not. */
import { expect, test } from "vitest";
import { readWish } from "../../../bench/compare/wish.ts";
import { CASES } from "../../../bench/compare/cases.ts";

test("all of it, in full, unless told otherwise", () => {
  const wish = readWish([]);
  expect(wish.cases).toEqual(CASES);
  expect(wish.contenders).toEqual([
    "direct",
    "haproxy",
    "node-relay",
    "pgbouncer",
    "pgpool",
    "postgres_fdw",
    "plproxy",
    "colonnade",
    "colonnade-multiplexed",
  ]);
  expect(wish.size).toEqual({
    turns: 5,
    seconds: 2,
    gigabytes: 1,
    idleClients: 10_000,
    warmUps: 4,
  });
  expect(wish.isChecked).toBe(false);
});

test("--short is less of everything, but for what is named besides", () => {
  const wish = readWish(["--short", "--gigabytes", "0.25", "--check"]);
  expect(wish.cases.every(({ isShort }) => isShort)).toBe(true);
  expect(wish.contenders).not.toContain("pgpool");
  expect(wish.size).toEqual({
    turns: 3,
    seconds: 1,
    gigabytes: 0.25,
    idleClients: 5_000,
    warmUps: 1,
  });
  expect(wish.isChecked).toBe(true);
  const named = readWish(["--short", "--cases", "workers", "--contenders", "pgpool"]);
  expect(named.cases.map(({ name }) => name)).toEqual(["workers"]);
  expect(named.contenders).toEqual(["pgpool"]);
});

test.each([
  [["--turns", "0"], '--turns: a whole number from 1 to 1000 is needed, not "0"'],
  [["--turns", "1e3"], '--turns: a whole number from 1 to 1000 is needed, not "1e3"'],
  [["--seconds", "1.5"], '--seconds: a whole number from 1 to 3600 is needed, not "1.5"'],
  [["--seconds", ""], '--seconds: a whole number from 1 to 3600 is needed, not ""'],
  [["--gigabytes", "0"], '--gigabytes: a number above 0 up to 100 is needed, not "0"'],
  [["--gigabytes", "101"], '--gigabytes: a number above 0 up to 100 is needed, not "101"'],
  [
    ["--gigabytes", "Infinity"],
    '--gigabytes: a number above 0 up to 100 is needed, not "Infinity"',
  ],
  [
    ["--idle-clients", "11001"],
    '--idle-clients: a whole number from 1 to 11000 is needed, not "11001"',
  ],
  [["--cases", ""], '--cases: there is no ""; there are select-simple-32,'],
  [["--cases", "idle,idle "], '--cases: there is no "idle "; there are select-simple-32,'],
  [["--contenders", "toString"], '--contenders: there is no "toString"; there are direct,'],
  [["--pgbouncer", "/nowhere/pgbouncer"], '--pgbouncer: there is no file "/nowhere/pgbouncer"'],
  [["--chekc"], "Unknown option '--chekc'"],
  [["extra"], "Unexpected argument 'extra'"],
])("%j is refused", (words, expected) => {
  expect(() => readWish(words)).toThrow(expected);
});
