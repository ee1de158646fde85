/** Circles of waits over several servers: found where no server sees them, and only there. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { databaseName } from "../../base/ids.ts";
import { DEADLOCK_DETAIL_LINES_MAX } from "../../base/limits.ts";
import {
  describeDeadlock,
  findDeadlocks,
  inBoth,
  joinWaits,
} from "../../proxy/execution/wait-graph.ts";
import { stillWaiting, waitingOf } from "../../proxy/execution/shared-holders.ts";
import type { LockWait, Party, ServerProcess } from "../../proxy/execution/wait-graph.ts";

/** `a12` is process 12 of database a, on a server of its own. */
function process(name: string): ServerProcess {
  const database = name.slice(0, 1);
  return {
    server: `${database}:5432`,
    database: databaseName(database),
    processId: Number(name.slice(1)),
  };
}

/** `a12 a11`: process 12 waits for 11. */
function waits(...texts: readonly string[]): readonly LockWait[] {
  return texts.map((text) => {
    const [waiter = "", ...blockers] = text.split(" ");
    return { waiter: process(waiter), statementStart: "", blockers: blockers.map(process) };
  });
}

function party(number: number, ...names: readonly string[]): Party {
  return { proxy: "here", number, processes: names.map(process) };
}

function victims(lockWaits: readonly LockWait[], parties: readonly Party[]): readonly number[] {
  return findDeadlocks(joinWaits(lockWaits, parties), 100).map(({ victim }) => victim.number);
}

const T1 = party(1, "a11", "b21", "c31");
const T2 = party(2, "a12", "b22", "c32");
const T3 = party(3, "a13", "b23", "c33");

describe("a deadlock", () => {
  test("of two transactions over two databases stops the younger", () => {
    expect(victims(waits("a12 a11", "b21 b22"), [T1, T2])).toEqual([2]);
    const older = { ...T2, number: 0 };
    expect(victims(waits("a12 a11", "b21 b22"), [T1, older])).toEqual([1]);
  });

  test("of three transactions over three databases", () => {
    expect(victims(waits("a11 a12", "b22 b23", "c33 c31"), [T1, T2, T3])).toEqual([3]);
  });

  test("goes through processes of one database that nobody here knows", () => {
    expect(victims(waits("a12 a90", "a90 a91", "a91 a11", "b21 b22"), [T1, T2])).toEqual([2]);
  });

  test("goes through a transaction that is entered and left at one process, and may stop it", () => {
    expect(victims(waits("a12 a13", "a13 a11", "b21 b22"), [T1, T2, T3])).toEqual([3]);
  });

  test("is found behind one of several blockers", () => {
    expect(victims(waits("a12 a80 a11 a81", "b21 b70 b22"), [T1, T2])).toEqual([2]);
  });

  test("of a statement that waits in two databases at once", () => {
    expect(victims(waits("a11 a80", "b21 b22", "a12 a11"), [T1, T2])).toEqual([2]);
  });

  test("of a transaction with itself, over two backends", () => {
    expect(victims(waits("b21 b21"), [T1])).toEqual([]);
    expect(victims(waits("b21 b29"), [party(1, "b21", "b29")])).toEqual([1]);
  });

  test("over databases of one server, by a lock that they share", () => {
    const at = (name: string) => ({ ...process(name), server: "one:5432" });
    const shared = { waiter: at("b21"), statementStart: "", blockers: [at("a11")] };
    expect(
      victims([shared], [{ proxy: "here", number: 1, processes: [at("a11"), at("b21")] }]),
    ).toEqual([1]);
  });
});

describe("two deadlocks", () => {
  test("that have nothing in common are both broken", () => {
    const [t4, t5] = [party(4, "a14", "b24"), party(5, "a15", "b25")];
    const both = waits("a12 a11", "b21 b22", "a15 a14", "b24 b25");
    expect(new Set(victims(both, [T1, T2, t4, t5]))).toEqual(new Set([2, 5]));
    expect(findDeadlocks(joinWaits(both, [T1, T2, t4, t5]), 1)).toHaveLength(1);
  });

  test("through one transaction end with it where it is the youngest", () => {
    const both = waits("a13 a11", "b21 b23", "a13 a12", "c32 c33");
    expect(victims(both, [T1, T2, T3])).toEqual([3]);
  });
});

describe("no deadlock of ours", () => {
  test.each([
    ["nobody waits", []],
    ["a chain that ends", ["a12 a11", "b21 b90"]],
    ["a queue for one row", ["a11 a90", "a12 a90 a11", "a13 a90 a11 a12"]],
    ["a circle in one server, which breaks it itself", ["a12 a11", "a11 a12"]],
    ["such a circle with a stranger", ["a12 a90", "a90 a12", "b22 b21"]],
    ["a circle of strangers", ["a90 a91", "a91 a90", "b22 b21"]],
  ])("%s", (_, texts) => {
    expect(victims(waits(...texts), [T1, T2, T3])).toEqual([]);
  });

  test("equal process ids of two servers", () => {
    expect(victims(waits("a12 a11", "b11 b12"), [])).toEqual([]);
    const parties = [party(1, "a11", "b21"), party(2, "a12", "b22")];
    expect(victims(waits("a12 a11", "b11 b12"), parties)).toEqual([]);
  });
});

describe("a second look", () => {
  const parties = [T1, T2];
  const first = joinWaits(waits("a12 a11", "b21 b22"), parties);
  const deadlocksIn = (later: typeof first) => findDeadlocks(inBoth(first, later), 9);

  test("that finds the same waits confirms", () => {
    expect(deadlocksIn(joinWaits(waits("b21 b22", "a12 a11"), parties))).toHaveLength(1);
  });

  test.each([
    ["a wait is over", waits("a12 a11"), parties],
    ["the blocker is another", waits("a12 a90", "b21 b22"), parties],
    [
      "the statement is another",
      waits("a12 a11", "b21 b22").map((wait) => ({ ...wait, statementStart: "later" })),
      parties,
    ],
    ["the transaction is another", waits("a12 a11", "b21 b22"), [T1, { ...T2, number: 3 }]],
  ])("does not where %s", (_, later, laterParties) => {
    expect(deadlocksIn(joinWaits(later, laterParties))).toEqual([]);
  });
});

describe("the detail", () => {
  test("names databases and processes", () => {
    const [deadlock] = findDeadlocks(joinWaits(waits("a12 a11", "b21 b22"), [T1, T2]), 1);
    expect(describeDeadlock(deadlock?.waits ?? []).split("\n")).toEqual([
      'Process 12 waits for a lock in database "a"; blocked by process 11.',
      'Process 11 of database "a" and process 21 of database "b" work for one transaction.',
      'Process 21 waits for a lock in database "b"; blocked by process 22.',
      'Process 22 of database "b" and process 12 of database "a" work for one transaction.',
    ]);
  });

  test("of a long circle is cut", () => {
    const chain = Array.from({ length: 300 }, (_, index) => `a${1000 + index} a${1001 + index}`);
    const circle = waits("a12 a1000", ...chain, "a1300 a11", "b21 b22");
    const [deadlock] = findDeadlocks(joinWaits(circle, [T1, T2]), 1);
    const lines = describeDeadlock(deadlock?.waits ?? []).split("\n");
    expect(lines).toHaveLength(DEADLOCK_DETAIL_LINES_MAX + 1);
    expect(lines.at(-1)).toBe(`(And ${303 + 2 - DEADLOCK_DETAIL_LINES_MAX} more.)`);
  });
});

test("a queue of five hundred for one row is looked through at once", () => {
  const names = Array.from({ length: 500 }, (_, index) => `a${100 + index}`);
  const queue = names.map((name, index) => [name, "a99", ...names.slice(0, index)].join(" "));
  const parties = names.map((name, index) => party(index + 10, name, `b${name.slice(1)}`));
  const started = performance.now();
  expect(victims(waits(...queue, "a99 a100"), parties)).toEqual([]);
  expect(performance.now() - started).toBeLessThan(3000);
});

/** The definition itself: some transaction is reached again from what it waits for, at another process than it left by. */
function hasUnseenCircle(lockWaits: readonly LockWait[], parties: readonly Party[]): boolean {
  const edges = joinWaits(lockWaits, parties);
  const from = (key: string) => edges.filter((edge) => edge.from.key === key);
  return edges.some((start) => {
    if (start.from.party === undefined) return false;
    const seen = new Set([start]);
    for (const edge of seen) {
      if (edge.to.key !== start.from.key) for (const next of from(edge.to.key)) seen.add(next);
      else if (edge.blocker.processId !== start.waiter.processId) return true;
    }
    return false;
  });
}

const anyWaits = fc
  .array(fc.tuple(fc.constantFrom("a", "b", "c"), fc.nat(4), fc.nat(4)), { maxLength: 12 })
  .map((tuples) =>
    tuples
      .filter(([, waiter, blocker]) => waiter !== blocker)
      .map(([database, waiter, blocker]) => {
        const base = { a: 10, b: 20, c: 30 }[database] ?? 0;
        return `${database}${base + waiter} ${database}${base + blocker}`;
      }),
  )
  .map((texts) => waits(...texts));

test("whatever waits, a deadlock is found exactly where there is one, and its members are a circle", () => {
  fc.assert(
    fc.property(anyWaits, (lockWaits) => {
      const parties = [T1, T2, T3];
      const edges = joinWaits(lockWaits, parties);
      const found = findDeadlocks(edges, 100);
      expect(found.length > 0).toBe(hasUnseenCircle(lockWaits, parties));
      for (const { waits: circle, victim } of found) {
        const numbers = circle.flatMap(({ from }) => from.party?.number ?? []);
        expect(victim.number).toBe(Math.max(...numbers));
        expect(new Set(circle.map(({ from }) => from.key)).size).toBe(circle.length);
        for (const [index, { to }] of circle.entries())
          expect(to.key).toBe(circle[(index + 1) % circle.length]?.from.key);
      }
      const stopped = new Set(found.map(({ victim }) => victim));
      const left = lockWaits.filter(
        ({ waiter }) =>
          ![...stopped].some(({ processes }) =>
            processes.some(
              ({ server, processId }) => server === waiter.server && processId === waiter.processId,
            ),
          ),
      );
      expect(hasUnseenCircle(left, parties)).toBe(false);
    }),
    { numRuns: 2000 },
  );
});

describe("transactions of other proxies", () => {
  const at = (statementStart: string, ...texts: readonly string[]): readonly LockWait[] =>
    waits(...texts).map((wait) => ({ ...wait, statementStart }));

  test("are told of while they wait, with what they wait in", () => {
    const told = waitingOf([T1, T2], at("7", "b21 b22"));
    expect(told).toEqual([{ ...T1, waiting: [{ process: process("b21"), statementStart: "7" }] }]);
  });

  test("are believed while they wait by the same statement, and no longer", () => {
    const told = waitingOf([T1], at("7", "b21 b22"));
    expect(stillWaiting(told, at("7", "b21 b99", "a12 a11"))).toEqual(told);
    expect(stillWaiting(told, at("8", "b21 b22"))).toEqual([]);
    expect(stillWaiting(told, at("7", "b22 b21"))).toEqual([]);
  });

  test("that are as young as one here are told apart by their proxies' names", () => {
    const there = { ...T2, proxy: "there", number: T1.number };
    const found = findDeadlocks(joinWaits(waits("a12 a11", "b21 b22"), [T1, there]), 100);
    expect(found.map(({ victim }) => victim.proxy)).toEqual(["there"]);
    const turned = findDeadlocks(joinWaits(waits("a12 a11", "b21 b22"), [there, T1]), 100);
    expect(turned.map(({ victim }) => victim.proxy)).toEqual(["there"]);
  });
});
