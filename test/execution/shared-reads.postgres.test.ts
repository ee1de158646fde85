/** Reads of several owners on one connection of a real server: each hazard, in the order that makes it one. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { databaseName } from "../../base/ids.ts";
import { COALESCED_UNREAD_BYTES_MAX } from "../../base/limits.ts";
import { Metrics } from "../../base/metrics.ts";
import type { Sharing } from "../../planner/logical-plan.ts";
import { parseBackendAddress } from "../../proxy/backend/backend-address.ts";
import { Backends } from "../../proxy/backend/backends.ts";
import { PreparedText } from "../../proxy/execution/prepared-texts.ts";
import type { SharedRead } from "../../proxy/execution/shared-reads/shared-read.ts";
import { SharedReads } from "../../proxy/execution/shared-reads/shared-reads.ts";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { countedIn, fallbacksIn, Owner } from "./read-owner.ts";

const NAME = databaseName("main");
const TAG = "some settings";
const SETTINGS = { tag: TAG, sql: "", isOtherRole: false, customNames: new Set<string>() };

/** A server that gets no time of a busy machine looks as one that is stalled, and its reads are made elsewhere. */
const PATIENT = { retry: 2 };

let server: TestPostgres;
let backends: Backends;
let metrics: Metrics;
let reads: SharedReads;

beforeAll(async () => {
  server = await startPostgres({ databases: ["main"] });
});
afterAll(async () => {
  await server.stop();
});
beforeEach(async () => {
  const addresses = new Map([[NAME, parseBackendAddress(server.url("main"))]]);
  backends = new Backends(addresses, { pool: { size: 4 }, drainMs: 0 });
  metrics = new Metrics();
  reads = new SharedReads({ backends, connectionsMax: 1, metrics });
  await makeReady();
});
afterEach(async () => {
  await backends.close();
});

/** A connection that is idle with the settings, as a session leaves it. */
async function makeReady(): Promise<void> {
  const connection = await backends.acquire(NAME);
  connection.sessionTag = TAG;
  backends.release(connection);
}

interface Take {
  readonly sharing?: Sharing;
  readonly kept?: PreparedText;
  readonly likeness?: string;
}

function ask(sql: string, { sharing = { coalesces: false }, kept, likeness }: Take = {}) {
  const owner = new Owner({ sql, ...(kept && { kept }) });
  const read = reads.take(
    { database: NAME, settings: SETTINGS, sharing, prepared: kept, likeness },
    owner,
  );
  if (read === undefined) owner.lost("not taken");
  return { owner, read: read as SharedRead, end: owner.end.promise };
}

const keptText = (sql: string): PreparedText =>
  new PreparedText({ catalogEpoch: 1, parameterTypes: [], rendered: { sql } });

/** What was collected in this turn is on its way. */
const sent = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const fallbacks = (): Promise<Readonly<Record<string, number>>> => fallbacksIn(metrics);
const counter = (name: string): Promise<number> => countedIn(metrics, name);

function stats() {
  const found = backends.stats().get(NAME);
  if (found === undefined) throw new Error("there is a pool");
  return found;
}

describe("what arrives in one turn", PATIENT, () => {
  test("goes in one write, and each gets its own answer, in order", async () => {
    const asked = Array.from({ length: 40 }, (_, index) => ask(`SELECT 'answer ${index}!'`));
    expect(await Promise.all(asked.map(({ end }) => end))).toEqual(asked.map(() => "answered"));
    for (const [index, { owner }] of asked.entries()) {
      expect(owner.text).toContain(`answer ${index}!`);
      expect(owner.text.match(/answer/g)).toHaveLength(1);
      expect(owner.text.endsWith("I")).toBe(true);
    }
    expect(await counter("colonnade_shared_read_writes_total")).toBe(1);
    expect(await counter("colonnade_shared_reads_total")).toBe(40);
    expect(stats()).toMatchObject({ used: 0, idle: 1, lost: 0 });
  });

  test("an error ends its own batch alone", async () => {
    const asked = ["SELECT 'one!'", "SELECT 1/0", "SELECT 'two!'"].map((sql) => ask(sql));
    expect(await Promise.all(asked.map(({ end }) => end))).toEqual(asked.map(() => "answered"));
    expect(asked.map(({ owner }) => /one!|two!|22012/.exec(owner.text)?.[0])).toEqual([
      "one!",
      "22012",
      "two!",
    ]);
  });

  test("what is refused before it is written keeps nobody else from being asked", async () => {
    const asked = ["SELECT 'one!'", "refused", "SELECT 'two!'"].map((sql) => ask(sql));
    const ends = ["answered", "placement_lease_lost", "answered"];
    expect(await Promise.all(asked.map(({ end }) => end))).toEqual(ends);
    const alone = ask("refused");
    expect(await alone.end).toBe("placement_lease_lost");
    expect(stats()).toMatchObject({ used: 0, idle: 1 });
  });

  test("each statement has its own moment", async () => {
    const asked = Array.from({ length: 3 }, () =>
      ask("SELECT 'at ' || now(), pg_sleep(0.005) IS NOT NULL"),
    );
    await Promise.all(asked.map(({ end }) => end));
    const moments = asked.map(({ owner }) => /at (.*)\+/.exec(owner.text)?.[1]);
    expect(new Set(moments).size).toBe(3);
  });

  test("as much as may be under way is; the others are made elsewhere", async () => {
    const asked = Array.from({ length: 80 }, () => ask("SELECT 1"));
    const ends = await Promise.all(asked.map(({ end }) => end));
    expect(ends.filter((end) => end === "answered")).toHaveLength(64);
    expect(await fallbacks()).toEqual({ full: 16 });
  });
});

describe("statements that are kept prepared", PATIENT, () => {
  test("are prepared once", async () => {
    const kept = keptText("SELECT 'kept!'");
    const asked = Array.from({ length: 3 }, () => ask("", { kept }));
    await Promise.all(asked.map(({ end }) => end));
    for (const { owner } of asked) expect(owner.text).toContain("kept!");
    const names = ask("SELECT 'there are ' || count(*) FROM pg_prepared_statements");
    await names.end;
    expect(names.owner.text).toContain("there are 1");
  });

  test("a Parse that fails is told to its own; those that counted on it ask again", async () => {
    const kept = keptText("SELECT nothing FROM nowhere");
    const asked = Array.from({ length: 3 }, () => ask("", { kept }));
    const ends = await Promise.all(asked.map(({ end }) => end));
    expect(ends).toEqual(["answered", "again", "again"]);
    expect(asked[0]?.owner.text).toContain("42P01");
    expect(await fallbacks()).toEqual({ "not prepared": 2 });
    // Nothing is taken for prepared that is not.
    const next = ask("", { kept });
    expect(await next.end).toBe("answered");
    expect(next.owner.text).toContain("42P01");
  });

  test("one that has to leave for another is prepared again", async () => {
    const text = (index: number): PreparedText => keptText(`SELECT 'text ${index}!'`);
    const first = ask("", { kept: text(0) });
    await first.end;
    for (let from = 1; from <= 520; from += 8) {
      const more = Array.from({ length: 8 }, (_, index) => ask("", { kept: text(from + index) }));
      expect(await Promise.all(more.map(({ end }) => end))).toEqual(more.map(() => "answered"));
    }
    const again = ask("", { kept: text(0) });
    expect(await again.end).toBe("answered");
    expect(again.owner.text).toContain("text 0!");
  });
});

describe("one that takes long", PATIENT, () => {
  test("has the connection for itself; those behind it are made elsewhere", async () => {
    const slow = ask("SELECT pg_sleep(0.5), 'slow!'");
    const behind = ask("SELECT 'behind!'");
    await sent();
    const later = ask("SELECT 'later!'");
    expect([await behind.end, await later.end]).toEqual(["again", "again"]);
    expect(await slow.end).toBe("answered");
    expect(slow.owner.text).toContain("slow!");
    expect(slow.owner.endedAt - behind.owner.endedAt).toBeGreaterThan(200);
    expect(behind.owner.text + later.owner.text).toBe("");
    expect(await fallbacks()).toEqual({ stalled: 2 });
  });

  test("is not shared for some time, as are all of its plan; others are", async () => {
    const sharing = { coalesces: false };
    await ask("SELECT pg_sleep(0.2)", { sharing }).end;
    expect(await ask("SELECT pg_sleep(0.2)", { sharing }).end).toBe("not taken");
    await makeReady();
    expect(await ask("SELECT 1").end).toBe("answered");
    expect(await fallbacks()).toEqual({ "slow statement": 1 });
  });

  test("so is one with a long answer", async () => {
    const sharing = { coalesces: false };
    await ask("SELECT repeat('x', 100000)", { sharing }).end;
    expect(await ask("SELECT repeat('x', 100000)", { sharing }).end).toBe("not taken");
  });
});

describe("cancelling", PATIENT, () => {
  test("the one that is being answered stops it, and no neighbour", async () => {
    const slow = ask("SELECT pg_sleep(20)");
    const behind = ask("SELECT 'behind!'");
    await sent();
    await sleep(10);
    slow.read.cancel(false);
    expect(await behind.end).toBe("again");
    expect(await slow.end).toBe("answered");
    expect(slow.owner.text).toContain("57014");
    expect(await fallbacks()).toEqual({ "neighbour cancelled": 1 });
    // What was behind it is not met by whoever comes next.
    await makeReady();
    const next = ask("SELECT 'next!'");
    expect(await next.end).toBe("answered");
    expect(next.owner.text).toContain("next!");
  });

  test("one that waits for others ends it at once, and nothing else", async () => {
    const first = ask("SELECT pg_sleep(0.02), 'first!'");
    const second = ask("SELECT 'second!'");
    const third = ask("SELECT 'third!'");
    await sent();
    second.read.cancel(false);
    expect(await second.end).toBe("query_canceled");
    expect(await first.end).toBe("answered");
    expect(await third.end).toBe("answered");
    expect(third.owner.text).toContain("third!");
    expect(second.owner.text).toBe("");
    expect(stats().idle).toBe(1);
  });

  test("one that was not sent ends it at once", async () => {
    const first = ask("SELECT 'first!'");
    const second = ask("SELECT 'second!'");
    first.read.cancel(false);
    expect(await first.end).toBe("query_canceled");
    expect(await second.end).toBe("answered");
    expect(second.owner.text).toContain("second!");
  });

  test("one whose client is gone leaves what runs; where it runs for long, it is stopped", async () => {
    const slow = ask("SELECT pg_sleep(20)");
    await sent();
    slow.read.cancel(true);
    expect(await slow.end).toBe("query_canceled");
    await expect
      .poll(
        async () =>
          (
            await server.query(
              "main",
              "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
            )
          ).rows.length,
        { timeout: 5_000 },
      )
      .toBe(0);
    await expect.poll(() => stats().used).toBe(0);
  });
});

describe("a client that does not read", PATIENT, () => {
  const LONG = "SELECT repeat('x', 1000) FROM generate_series(1, 20000)";

  test("slows its own answer alone", async () => {
    const slow = ask(LONG);
    slow.owner.isFull = true;
    const behind = ask("SELECT 'behind!'");
    expect(await behind.end).toBe("again");
    await sleep(100);
    const before = slow.owner.bytes;
    await sleep(100);
    expect(slow.owner.bytes).toBe(before);
    expect(slow.owner.bytes).toBeLessThan(10_000_000);
    slow.owner.read();
    expect(await slow.end).toBe("answered");
    expect(slow.owner.bytes).toBeGreaterThan(20_000_000);
    expect(await fallbacks()).toEqual({ "slow client": 1 });
  });

  test("of an answer that several get is given up for the others", async () => {
    const sharing = { coalesces: true };
    const first = ask(LONG, { sharing, likeness: "long" });
    const second = ask(LONG, { sharing, likeness: "long" });
    first.owner.isFull = true;
    expect(await first.end).toBe("coalesced_answer_unread");
    expect(await second.end).toBe("answered");
    expect(second.owner.bytes).toBeGreaterThan(20_000_000);
    expect(first.owner.bytes).toBeLessThan(COALESCED_UNREAD_BYTES_MAX + 200_000);
  });
});

describe("reads that ask for the same", PATIENT, () => {
  const sharing = { coalesces: true };

  test("before it is sent get one answer; who asks after that gets another", async () => {
    await server.query("main", "CREATE SEQUENCE IF NOT EXISTS asked; SELECT setval('asked', 1)");
    const sql = "SELECT 'number ' || nextval('asked')";
    const asked = Array.from({ length: 5 }, () => ask(sql, { sharing, likeness: sql }));
    await sent();
    const later = ask(sql, { sharing, likeness: sql });
    await Promise.all([...asked, later].map(({ end }) => end));
    for (const { owner } of asked) expect(owner.text).toContain("number 2");
    expect(later.owner.text).toContain("number 3");
    expect(await counter("colonnade_coalesced_reads_total")).toBe(4);
  });

  test("one that is cancelled leaves the others theirs", async () => {
    const sql = "SELECT pg_sleep(0.02), 'all!'";
    const [first, second, third] = [1, 2, 3].map(() => ask(sql, { sharing, likeness: sql }));
    first?.read.cancel(false);
    await sent();
    second?.read.cancel(false);
    expect(await first?.end).toBe("query_canceled");
    expect(await second?.end).toBe("query_canceled");
    expect(await third?.end).toBe("answered");
    expect(third?.owner.text).toContain("all!");
  });
});

describe("a connection that ends", PATIENT, () => {
  test("has those asked again that were given nothing", async () => {
    const head = ask("SELECT pg_sleep(20)");
    const behind = ask("SELECT 'behind!'");
    await sent();
    await sleep(10);
    const ended = server.query(
      "main",
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
    );
    expect([await head.end, await behind.end]).toEqual(["again", "again"]);
    await ended;
    expect(await fallbacks()).toMatchObject({ lost: expect.any(Number) as number });
    expect(stats()).toMatchObject({ used: 0, lost: 1 });
  });

  test("is told to who was given a part", async () => {
    const head = ask(
      "SELECT repeat('x', 100000), pg_sleep(n * 20) FROM generate_series(0, 1) AS n",
    );
    const behind = ask("SELECT 'behind!'");
    expect(await behind.end).toBe("again");
    await server.query(
      "main",
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
    );
    expect(await head.end).toBe("backend_lost");
    expect(head.owner.bytes).toBeGreaterThan(50_000);
  });

  test("by what runs on it is told to that alone", async () => {
    await makeTimed();
    const head = ask("SELECT pg_sleep(20)");
    const behind = ask("SELECT 'behind!'");
    expect([await head.end, await behind.end]).toEqual(["backend_lost", "again"]);
  });

  test("since a read has left a transaction open has the others asked again", async () => {
    const head = ask("BEGIN");
    const behind = ask("SELECT 'behind!'");
    expect([await head.end, await behind.end]).toEqual(["answered", "again"]);
    expect(stats()).toMatchObject({ used: 0, idle: 0 });
  });
});

/** Its server ends a transaction that takes longer, as PostgreSQL 17 and later do. */
async function makeTimed(): Promise<void> {
  const connection = await backends.acquire(NAME);
  await connection.query("SET transaction_timeout = '300ms'");
  connection.sessionTag = TAG;
  backends.release(connection);
}

test("a message of one frame and a byte that come apart are put together", async () => {
  const asked = Array.from({ length: 20 }, (_, index) =>
    ask(`SELECT repeat('${index % 10}', ${30_000 + index})`),
  );
  await Promise.all(asked.map(({ end }) => end));
  for (const [index, { owner }] of asked.entries()) {
    expect(owner.bytes).toBeGreaterThan(30_000 + index);
    expect(owner.text.includes(String((index + 1) % 10).repeat(9))).toBe(false);
  }
});
