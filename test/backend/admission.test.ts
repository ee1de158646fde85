/** Who is let into a pool, and in what order: no connection and no clock has a part in it. */
import { describe, expect, test } from "vitest";
import {
  CONCURRENCY_SAMPLES_MIN,
  CONCURRENCY_STEP_MS,
  SERVICE_WINDOW_MS,
} from "../../base/limits.ts";
import type { Priority } from "../../base/priority.ts";
import { Admission } from "../../proxy/backend/admission.ts";
import type { AdmissionOptions } from "../../proxy/backend/admission.ts";
import type { Claim } from "../../proxy/backend/claim.ts";
import { ConcurrencyLimit } from "../../proxy/backend/concurrency-limit.ts";
import { WaitQueue } from "../../proxy/backend/wait-queue.ts";
import type { WaitEnd } from "../../proxy/backend/wait-queue.ts";
import { Claimant, priorityInComment } from "../../proxy/execution/claimant.ts";

const claim = (user: string, priority: Priority = "normal"): Claim => ({
  standing: "new",
  priority,
  user,
});

class Line {
  readonly queue: WaitQueue<number>;
  readonly order: string[] = [];

  constructor(sizeMax = 1_000) {
    const refusal = (reason: WaitEnd) => new Error(reason);
    this.queue = new WaitQueue({ sizeMax, waitMs: 60_000, refusal });
  }

  /** Its name is told once it is served, or why it was not. */
  wait(name: string, of: Claim): void {
    void this.queue.wait(undefined, of).then(
      () => this.order.push(name),
      (error: Error) => this.order.push(`${name}: ${error.message}`),
    );
  }

  async serve(count: number, onlyPrivileged = false): Promise<readonly string[]> {
    for (let served = 0; served < count; served += 1)
      this.queue.resolveFirst(served, onlyPrivileged);
    await Promise.resolve();
    await Promise.resolve();
    return this.order;
  }
}

describe("the queue", () => {
  test("twenty clients of one user do not stand before one of another", async () => {
    const line = new Line();
    for (let index = 0; index < 20; index += 1) line.wait(`many${index}`, claim("many"));
    line.wait("one", claim("one"));
    expect(await line.serve(3)).toEqual(["many0", "one", "many1"]);
  });

  test("users take turns, and one user's come in order", async () => {
    const line = new Line();
    for (const name of ["a1", "a2", "a3", "b1", "b2", "c1"]) line.wait(name, claim(name.charAt(0)));
    expect(await line.serve(6)).toEqual(["a1", "b1", "c1", "a2", "b2", "a3"]);
    expect(line.queue.size).toBe(0);
  });

  test("who holds connections comes first, then the proxy's own work, then by priority", async () => {
    const line = new Line();
    line.wait("low", claim("u", "low"));
    line.wait("normal", claim("u"));
    line.wait("high", claim("u", "high"));
    line.wait("own", { ...claim(""), standing: "own" });
    line.wait("holding", { ...claim("u", "low"), standing: "holding" });
    expect(line.queue.ahead(claim("other", "high"))).toBe(3);
    expect(await line.serve(9, true)).toEqual(["holding", "own"]);
    expect(await line.serve(9)).toEqual(["holding", "own", "high", "normal", "low"]);
  });

  test("how many stand before one is counted in turns", () => {
    const line = new Line();
    for (let index = 0; index < 20; index += 1) line.wait("x", claim("many"));
    expect(line.queue.ahead(claim("many"))).toBe(20);
    expect(line.queue.ahead(claim("one"))).toBe(1);
    expect(line.queue.ahead(claim("one", "low"))).toBe(20);
    expect(line.queue.ahead(claim("one", "high"))).toBe(0);
    line.queue.rejectAll(new Error("over"));
  });

  test("a full queue makes room for the more urgent, and for who has little waiting", async () => {
    const line = new Line(3);
    line.wait("low", claim("a", "low"));
    line.wait("a1", claim("a"));
    line.wait("a2", claim("a"));
    line.wait("high", claim("b", "high"));
    line.wait("b1", claim("b"));
    line.wait("a3", claim("a"));
    line.wait("b2", claim("b"));
    line.wait("holding", { ...claim("b"), standing: "holding" });
    expect(line.queue.refused).toBe(5);
    expect(await line.serve(9)).toEqual([
      "low: queue full",
      // Two of a's wait, and none of b's: one each is fairer.
      "a2: queue full",
      "a3: queue full",
      "b2: queue full",
      // A transaction that holds connections is not kept out by any that holds none.
      "a1: queue full",
      "holding",
      "high",
      "b1",
    ]);
  });
});

describe("admission", () => {
  const options: AdmissionOptions = {
    size: 4,
    waitMs: 1_000,
    shedsEarly: true,
    adaptive: undefined,
    breaker: { failuresMin: 10, failedShare: 0.5 },
  };

  test("a wait is hopeless where those ahead take longer than anybody may wait", () => {
    const admission = new Admission(options);
    for (let index = 0; index < 9; index += 1) admission.served(100, 500, 0, 4);
    expect(admission.hopelessWaitMs(100, 1_000_000)).toBeUndefined();
    admission.served(100, 500, 0, 4);
    // Four at a time, of half a second each.
    expect(admission.hopelessWaitMs(100, 7)).toBeUndefined();
    expect(admission.hopelessWaitMs(100, 8)).toBe(1_125);
    expect(admission.hopelessWaitMs(100 + 2 * SERVICE_WINDOW_MS, 8)).toBeUndefined();
    expect(new Admission({ ...options, shedsEarly: false }).hopelessWaitMs(100, 8)).toBeUndefined();
  });

  test("a server that has become slow is known for it at once, and is forgiven as soon", () => {
    const admission = new Admission(options);
    for (let index = 0; index < 10_000; index += 1) admission.served(100, 1, 0, 4);
    for (let index = 0; index < 10; index += 1) admission.served(1_100, 500, 0, 4);
    expect(admission.expectedWaitMs(1_100, 7)).toBe(1_000);
    for (let index = 0; index < 10; index += 1) admission.served(2_100, 1, 0, 4);
    expect(admission.expectedWaitMs(2_100, 7)).toBe(2);
  });

  test("the circuit opens for most failing, and not for a few among many", () => {
    const admission = new Admission(options);
    for (let index = 0; index < 30; index += 1) admission.served(1_000, 1, 0, 1);
    expect(admission.failed(2_000, 29)).toBe(false);
    expect(admission.isOpen).toBe(false);
    expect(admission.failed(2_000, 1)).toBe(true);
    expect(admission.failed(2_000, 1)).toBe(false);
    expect(admission.isOpen).toBe(true);
    admission.close();
    expect(admission.isOpen).toBe(false);
    expect(admission.failed(2_000, 9)).toBe(false);
    // What is older than the window does not count.
    expect(admission.failed(2_000 + SERVICE_WINDOW_MS, 9)).toBe(false);
    expect(admission.failed(2_000 + SERVICE_WINDOW_MS, 1)).toBe(true);
  });

  test("nothing opens a circuit that is turned off", () => {
    const admission = new Admission({ ...options, breaker: undefined });
    expect(admission.failed(0, 1_000_000)).toBe(false);
  });
});

describe("the adaptive limit", () => {
  /** One move's worth of answers, each of so long. */
  function step(limit: ConcurrencyLimit, at: number, answerMs: number, used: number): number {
    for (let index = 0; index < CONCURRENCY_SAMPLES_MIN; index += 1)
      limit.record(at * 2 * CONCURRENCY_STEP_MS, answerMs, used);
    return limit.value;
  }

  test("falls while answers take long, to its least, and grows again as they are quick", () => {
    const limit = new ConcurrencyLimit(20, { min: 3, tolerance: 2 });
    let at = 1;
    for (; at < 5; at += 1) expect(step(limit, at, 1, 20)).toBe(20);
    const slow = Array.from({ length: 8 }, () => step(limit, (at += 1), 1_000, limit.value));
    expect(slow[0]).toBeLessThan(20);
    expect(slow.at(-1)).toBeLessThanOrEqual(5);
    expect(slow.at(-1)).toBeGreaterThanOrEqual(3);
    for (let index = 0; index < 12; index += 1) step(limit, (at += 1), 1, limit.value);
    expect(limit.value).toBe(20);
  });

  test("a server that stays slow gets its connections back", () => {
    const limit = new ConcurrencyLimit(20, { min: 3, tolerance: 2 });
    step(limit, 1, 1, 20);
    for (let at = 2; at < 20; at += 1) step(limit, at, 1_000, limit.value);
    expect(limit.value).toBeLessThan(6);
    for (let at = 20; at < 400; at += 1) step(limit, at, 1_000, limit.value);
    expect(limit.value).toBe(20);
  });

  test("one report among point reads says nothing, and what is off does not move", () => {
    const limit = new ConcurrencyLimit(20, { min: 3, tolerance: 2 });
    step(limit, 1, 1, 20);
    for (let at = 2; at < 10; at += 1) {
      limit.record(at * 2 * CONCURRENCY_STEP_MS, 5_000, 20);
      step(limit, at, 1, 20);
    }
    expect(limit.value).toBe(20);
    const off = new ConcurrencyLimit(20, undefined);
    step(off, 1, 1, 20);
    expect(step(off, 2, 1_000, 20)).toBe(20);
  });
});

describe("priorities", () => {
  const rules = {
    users: { reports: "low", billing: "high" },
    applications: { nightly: "low", urgent: "high" },
    comments: true,
  } as const;

  test.each([
    ["anybody", "app", "SELECT 1", "normal"],
    ["billing", "app", "SELECT 1", "high"],
    ["billing", "nightly", "SELECT 1", "low"],
    ["anybody", "urgent", "SELECT 1", "high"],
    // A user that is named gets no further.
    ["reports", "urgent", "/* colonnade:priority=high */ SELECT 1", "low"],
    ["anybody", "nightly", "SELECT 1 /* colonnade:priority=high */;\n", "high"],
    ["constructor", "__proto__", "SELECT 1", "normal"],
  ])("user %s, application %s, %s", (user, application, sql, priority) => {
    const claimant = new Claimant(rules, user, () => application);
    claimant.statement = { sql: sql };
    expect(claimant.claim(false)).toEqual({ standing: "new", priority, user });
    expect(claimant.claim(true).standing).toBe("holding");
  });

  test.each([
    ["  /*colonnade:priority=low*/SELECT 1", "low"],
    [`SELECT '${"x".repeat(100_000)}' /* colonnade:priority=high */`, "high"],
    ["SELECT '/* colonnade:priority=high */'", undefined],
    ["SELECT /* colonnade:priority=high */ 1", undefined],
    ["/* colonnade:priority=highest */ SELECT 1", undefined],
    ["/* colonnade:priority=HIGH */ SELECT 1", undefined],
    ["-- colonnade:priority=high\nSELECT 1", undefined],
    ["", undefined],
  ])("%s", (sql, priority) => {
    expect(priorityInComment(sql)).toBe(priority);
  });

  test("comments are not read where the configuration says so", () => {
    const claimant = new Claimant({ ...rules, comments: false }, "anybody", () => "");
    claimant.statement = { sql: "/* colonnade:priority=high */ SELECT 1" };
    expect(claimant.claim(false).priority).toBe("normal");
  });
});
