/**
 * A proxy is killed (SIGKILL) at exactly each step of a commit over three databases, and whoever
 * recovers it at each step of the recovery: the transaction is there wholly or not at all, and
 * decided within five seconds, whoever is left to do it. COLONNADE_FULL=1 kills at all steps of the
 * recovery, too.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Stop } from "../support/gate.ts";
import { startTestProxy } from "../support/proxy.ts";
import type { TestProxy } from "../support/proxy.ts";
import type { RawClient } from "../support/raw-client.ts";
import { inFullRun } from "../support/run-mode.ts";
import { COMMIT_STEPS } from "./commit-steps.ts";
import { KEYS, startThreeDatabases } from "./three-databases.ts";
import type { ThreeDatabases } from "./three-databases.ts";

/** What is promised, and what a busy machine of two cores adds. */
const DECIDED_WITHIN_MS = 5_000;
const SLOW_MACHINE_MS = 5_000;

let databases: ThreeDatabases;
let survivor: TestProxy;

beforeAll(async () => {
  databases = await startThreeDatabases();
  survivor = await startTestProxy(databases.map("direct"));
});
afterAll(async () => {
  await survivor?.stop();
  await databases?.[Symbol.asyncDispose]();
});
const proxies: TestProxy[] = [];
beforeEach(() => databases.reset());
afterEach(async () => {
  process.kill(survivor.pid, "SIGCONT");
  await Promise.all(proxies.splice(0).map((proxy) => proxy.stop()));
});

async function startProxy(): Promise<TestProxy> {
  const proxy = await startTestProxy(databases.map("gated"));
  proxies.push(proxy);
  return proxy;
}

function kill(proxy: TestProxy): void {
  process.kill(proxy.pid, "SIGKILL");
}

/** Its transaction has written to all three, and waits for COMMIT. The record's table is there. */
async function openTransaction(proxy: TestProxy): Promise<RawClient> {
  const client = await proxy.connect();
  await client.query("UPDATE items SET note = 'older'");
  await client.query("UPDATE items SET note = 'old'");
  await client.query("BEGIN; UPDATE items SET note = 'new'");
  return client;
}

const DONE = ["new", "new", "new"];
const UNDONE = ["old", "old", "old"];

const request = (name: "first" | "second", ...words: readonly string[]): Stop =>
  databases.gates[name].stop("request", ...words);
const answer = (name: "first" | "second", ...words: readonly string[]): Stop =>
  databases.gates[name].stop("answer", ...words);

async function expectDecided(expected: readonly string[]): Promise<void> {
  await expect
    .poll(() => databases.prepared(), { timeout: DECIDED_WITHIN_MS + SLOW_MACHINE_MS })
    .toEqual([]);
  await expect.poll(() => databases.notes(), { timeout: SLOW_MACHINE_MS }).toEqual(expected);
  // Nothing is locked any more.
  const client = await survivor.connect();
  await client.query("UPDATE items SET note = 'next'");
  await client.close();
}

describe("a proxy killed", () => {
  test.each(COMMIT_STEPS)("$when", async ({ stop, outcome }) => {
    const victim = await startProxy();
    const client = await openTransaction(victim);
    const held = stop(databases);
    const committing = client.query("COMMIT").catch(() => "lost");
    await held.reached;
    kill(victim);
    expect(await committing).toBe("lost");
    await expectDecided(outcome === "committed" ? DONE : UNDONE);
  });

  test("between two COMMITs of one database has committed the first alone", async () => {
    const victim = await startProxy();
    const client = await victim.connect();
    await client.query(`BEGIN; UPDATE items SET note = 'new' WHERE id = ${KEYS.b}; COMMIT`);
    await client.query(`BEGIN; UPDATE items SET note = 'lost' WHERE id = ${KEYS.b}`);
    const held = request("second", "COMMIT");
    const committing = client.query("COMMIT").catch(() => "lost");
    await held.reached;
    kill(victim);
    expect(await committing).toBe("lost");
    await expectDecided(["old", "new", "old"]);
  });
});

/** Of a transaction that is decided, or not: both COMMIT PREPAREDs are outstanding, or the record is. */
async function leaveInDoubt(decided: boolean): Promise<void> {
  const victim = await startProxy();
  const client = await openTransaction(victim);
  const held = decided
    ? [request("second", "COMMIT PREPARED", ":b'"), request("second", "COMMIT PREPARED", ":c'")]
    : [request("first", "INSERT INTO colonnade.commit_record")];
  const committing = client.query("COMMIT").catch(() => "lost");
  await Promise.all(held.map(({ reached }) => reached));
  kill(victim);
  await committing;
  expect(await databases.prepared()).toHaveLength(2);
}

/** Only these are there to recover, until `survivor` goes on. */
async function startRecovering(count: number): Promise<readonly TestProxy[]> {
  const recovering = await Promise.all(Array.from({ length: count }, () => startProxy()));
  process.kill(survivor.pid, "SIGSTOP");
  return recovering;
}

const RECOVERY_STEPS = [
  {
    step: "after it has decided, before a part is rolled back",
    decided: false,
    stop: () => request("second", "ROLLBACK PREPARED"),
    expected: UNDONE,
  },
  {
    step: "before it has decided",
    decided: false,
    stop: () => request("first", "false) ON CONFLICT"),
    expected: UNDONE,
  },
  {
    step: "after a part is committed, before it hears of that",
    decided: true,
    stop: () => answer("second", "COMMIT PREPARED"),
    expected: DONE,
  },
];

describe("a proxy killed while it recovers", () => {
  test.each(RECOVERY_STEPS.slice(0, inFullRun(3, 1)))(
    "$step, leaves the rest to another",
    async ({ decided, stop, expected }) => {
      const [recovering] = await startRecovering(1);
      if (recovering === undefined) throw new Error("nobody recovers");
      await leaveInDoubt(decided);
      const held = stop();
      await held.reached;
      kill(recovering);
      process.kill(survivor.pid, "SIGCONT");
      await expectDecided(expected);
    },
  );
});

const DECISIONS = [
  { what: "is decided", decided: true, expected: DONE },
  { what: "is not decided", decided: false, expected: UNDONE },
];

describe("two proxies that recover at once", () => {
  test.each(DECISIONS.slice(0, inFullRun(2, 1)))(
    "what $what do it once",
    async ({ decided, expected }) => {
      await startRecovering(2);
      await leaveInDoubt(decided);
      // Both have the decision, and stand before the same part.
      const stops = [request("second", "PREPARED '"), request("second", "PREPARED '")];
      await Promise.all(stops.map(({ reached }) => reached));
      for (const stop of stops) stop.release();
      await expect
        .poll(() => databases.prepared(), { timeout: DECIDED_WITHIN_MS + SLOW_MACHINE_MS })
        .toEqual([]);
      process.kill(survivor.pid, "SIGCONT");
      await expectDecided(expected);
    },
  );
});
