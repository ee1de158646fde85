/** Database gathers that go wrong, or are too much: what the client is told, and what is left. */
import { setFlagsFromString } from "node:v8";
import { setTimeout as sleep } from "node:timers/promises";
import { runInNewContext } from "node:vm";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { SqlError } from "../../base/sql-error.ts";
import { BackendError } from "../../proxy/backend/backend-error.ts";
import type { SessionBackends } from "../../proxy/execution/session-backends.ts";
import { COUNTED, COUNTED_AS, startGatherServers, USERS, users } from "./gathering-servers.ts";
import type { GatherServers } from "./gathering-servers.ts";
import { Gathering, gatherPlan, rowTexts } from "./gathering.ts";

let servers: GatherServers;
let gathering: Gathering;

beforeAll(async () => {
  servers = await startGatherServers();
  ({ gathering } = servers);
  await servers.first.query("main", "CREATE DOMAIN small AS bigint CHECK (VALUE < 200000)");
});

afterEach(() => expectNothingLost(servers));

/** Nothing is left behind, and the same backends serve the next statement. */
async function expectNothingLost(of: GatherServers): Promise<void> {
  await of.expectNothingLeft();
  const counted = await of.gathering.run(COUNTED, { as: COUNTED_AS });
  expect(rowTexts(counted)).toEqual([["9", "203"]]);
}

afterAll(() => servers[Symbol.asyncDispose]());

/** The machine may be busy. */
const POLLING = { timeout: 20_000 };

const MANY = "SELECT n::bigint, 'n ' || n FROM generate_series(1, 300000) n";

describe("an error", () => {
  test("of one database in the middle of its rows stops the others", async () => {
    const failing = "SELECT n::bigint / (n - 200000), 'n' FROM generate_series(1, 300000) n";
    const plan = gatherPlan([users({ main: USERS, east: failing, west: MANY })], "SELECT 1");
    await expect(gathering.run(plan, { as: "SELECT 1" })).rejects.toMatchObject({
      fields: { C: "22012", M: "division by zero" },
    });
  });

  test("of the table that is copied into ends the copy", async () => {
    const pull = { ...users({ east: MANY, west: MANY }), shape: "SELECT 0::small, ''::text" };
    const failed = gathering.run(gatherPlan([pull], "SELECT 1"), { as: "SELECT 1" });
    await expect(failed).rejects.toMatchObject({ fields: { C: "23514", d: "small" } });
  });

  test("of the shape, and of the finish, is the server's own, in its place", async () => {
    const shapeless = { ...users(), shape: "SELECT id, nothing FROM users" };
    const unshaped = gathering.run(gatherPlan([shapeless], "SELECT 1"), { as: "SELECT 1" });
    await expect(unshaped).rejects.toMatchObject({ fields: { C: "42703", P: "12" } });
    const unfinished = gathering.run(gatherPlan([users()], "SELECT 1 / 0"), { as: "SELECT 1" });
    await expect(unfinished).rejects.toMatchObject({ fields: { C: "22012" } });
  });

  test("is made of rows that have another type than their table", async () => {
    // Eight bytes each: read as the other's, they would be another value and no error.
    const plan = gatherPlan([{ ...users({ east: "SELECT clock_timestamp(), 'x'" }) }], "SELECT 1");
    await expect(gathering.run(plan, { as: "SELECT 1" })).rejects.toMatchObject({
      id: "placement_columns_differ",
    });
  });

  test("is made of an answer that is not what the client was told", async () => {
    const typed = gathering.run(gatherPlan([users()], "SELECT id FROM pg_temp.users"), {
      as: "SELECT now() AS today",
    });
    await expect(typed).rejects.toMatchObject({
      id: "gather_result_differs",
      message: expect.stringContaining('"today"'),
    });
    const counted = gathering.run(gatherPlan([users()], "SELECT id, name FROM pg_temp.users"), {
      as: "SELECT 1::bigint",
    });
    await expect(counted).rejects.toMatchObject({ id: "gather_result_differs" });
  });

  test("is made of object identifiers of another database", async () => {
    const sql = "SELECT 'users'::regclass AS of_table";
    const pull = { table: "t", columns: ["of_table"], shape: sql };
    const remote = gatherPlan([{ ...pull, from: { east: sql } }], "SELECT 1");
    await expect(gathering.run(remote, { as: "SELECT 1" })).rejects.toMatchObject({
      id: "type_not_translatable",
    });
    const own = gatherPlan(
      [{ ...pull, from: { main: sql } }],
      "SELECT of_table::text FROM pg_temp.t",
    );
    const answer = await gathering.run(own, { as: "SELECT ''::text" });
    expect(rowTexts(answer)).toEqual([["users"]]);
  });

  test("says so where the role may not make temporary tables", async () => {
    await servers.first.query(
      "main",
      `CREATE ROLE reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;
       REVOKE TEMPORARY ON DATABASE main FROM PUBLIC`,
    );
    const { first, second } = servers;
    const asReader = { ...first, url: (database?: string) => first.url(database, "reader") };
    await using limited = await Gathering.open({ main: asReader, east: second, west: second });
    await expect(limited.run(COUNTED, { as: COUNTED_AS })).rejects.toMatchObject({
      fields: { C: "42501" },
    });
  });
});

describe("too many rows", () => {
  test.each([
    ["copied", { east: MANY, west: MANY }],
    ["of the catalog database itself", { main: MANY }],
  ])("%s are an error that names their table", async (_, from) => {
    const limited = await Gathering.open({
      main: servers.first,
      east: servers.second,
      west: servers.second,
    });
    await using _closing = limited;
    limited.bytesMax = 4 * 1024 * 1024;
    const plan = gatherPlan([users(from)], "SELECT 1");
    await expect(limited.run(plan, { as: "SELECT 1" })).rejects.toMatchObject({
      id: "gather_database_exceeded",
      sqlstate: "53400",
      message: expect.stringContaining('table "users"'),
    });
    expect(rowTexts(await limited.run(COUNTED, { as: COUNTED_AS }))).toEqual([["9", "203"]]);
  });

  test("for a server that takes none wait on the other servers", async () => {
    const wide = "SELECT generate_series(1, 500000)::bigint, repeat('x', 100)";
    const plan = gatherPlan(
      [users({ east: wide, west: wide })],
      COUNTED_AS.replace("users", "pg_temp.users"),
    );
    const before = heldBytes();
    const running = gathering.run(plan, { as: COUNTED_AS });
    const pid = await copyingProcess(servers);
    process.kill(pid, "SIGSTOP");
    try {
      await sleep(1_500);
      expect(heldBytes() - before).toBeLessThan(16 * 1024 * 1024);
    } finally {
      process.kill(pid, "SIGCONT");
    }
    expect(rowTexts(await running)).toEqual([["1000000", "500000"]]);
    expect((await gathering.metrics.render()).text).toMatch(
      /^colonnade_gather_copied_bytes_total [1-9]\d{8}$/m,
    );
  });
});

async function copyingProcess({ first }: GatherServers): Promise<number> {
  const sql = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active'";
  let pid = 0;
  const find = async (): Promise<number> => {
    const { rows } = await first.query("main", sql);
    return (pid = Number(rows[0]?.["pid"] ?? 0));
  };
  await expect.poll(find, POLLING).toBeGreaterThan(0);
  return pid;
}

/** After a collection: what is still referred to. */
function heldBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().arrayBuffers;
}

const SLOW = "SELECT dawdle(id), name FROM users";

describe("a statement that is cancelled", () => {
  test.each([
    ["while other databases answer", users({ main: USERS, east: SLOW, west: MANY }), "SELECT 1"],
    ["while the catalog database fills its table", users({ main: SLOW, west: MANY }), "SELECT 1"],
    ["while it is finished", users(), "SELECT dawdle(1)"],
  ])("%s stops at once", async (_, pull, finish) => {
    const session = gathering.openSession();
    const controller = new AbortController();
    const as = finish === "SELECT 1" ? finish : "SELECT 1::bigint";
    const running = gathering.run(
      gatherPlan([pull], finish),
      { as, signal: controller.signal },
      session,
    );
    // Told by a server, or by the proxy between two of its steps.
    const sqlstate = running.then(
      () => "none",
      (error: unknown) =>
        error instanceof BackendError ? error.fields.C : (error as SqlError).sqlstate,
    );
    await dawdling();
    const began = performance.now();
    cancel(session, controller);
    expect(await sqlstate).toBe("57014");
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  test("ends by the servers' own time limit", async () => {
    const session = gathering.openSession("SET statement_timeout = '300ms'");
    const plan = gatherPlan([users({ main: USERS, east: SLOW })], "SELECT 1");
    await expect(gathering.run(plan, { as: "SELECT 1" }, session)).rejects.toMatchObject({
      fields: { C: "57014", M: expect.stringContaining("statement timeout") },
    });
  });
});

/** As a session does it. */
function cancel(session: SessionBackends, controller: AbortController): void {
  controller.abort(new SqlError("query_canceled", "canceling statement due to user request"));
  session.cancel();
}

async function dawdling(): Promise<void> {
  const sql = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
  await expect
    .poll(async () => {
      const found = [servers.first, servers.second].map((server) => server.query("postgres", sql));
      return (await Promise.all(found)).flatMap(({ rows }) => rows).length;
    }, POLLING)
    .toBeGreaterThan(0);
}

test("two statements at once do not see each other's tables", async () => {
  const sessions = [gathering.openSession(), gathering.openSession()];
  const more = "SELECT n::bigint, 'x' FROM generate_series(1, 100000) n";
  const answers = await Promise.all(
    sessions.map((session, index) => {
      const plan = gatherPlan(
        [users(index === 0 ? { east: more, main: USERS } : { west: USERS })],
        COUNTED_AS.replace("users", "pg_temp.users"),
      );
      return gathering.run(plan, { as: COUNTED_AS }, session);
    }),
  );
  expect(answers.map(rowTexts)).toEqual([[["100003", "100000"]], [["3", "203"]]]);
});

test("a connection that an administrator terminates during the copy is lost, as one of a dead server", async () => {
  const many = "SELECT generate_series(1, 3000000)::bigint, repeat('x', 100)";
  const plan = gatherPlan([users({ main: USERS, east: many, west: many })], "SELECT 1");
  const running = gathering.run(plan, { as: "SELECT 1" });
  const failure = running.catch((error: unknown) => error);
  const pid = await copyingProcess(servers);
  await servers.first.query("main", `SELECT pg_terminate_backend(${pid})`);
  expect(await failure).toMatchObject({ id: "backend_lost" });
  await expectNothingLost(servers);
});

describe("a server that is killed", () => {
  test.each(["second", "first"] as const)("(the %s) during the copy is an error", async (name) => {
    await using killed = await startGatherServers();
    const wide = "SELECT generate_series(1, 3000000)::bigint, repeat('x', 100)";
    const plan = gatherPlan([users({ main: USERS, east: wide, west: wide })], "SELECT 1");
    const running = killed.gathering.run(plan, { as: "SELECT 1" });
    const failure = running.catch((error: unknown) => error);
    await copyingProcess(killed);
    await killed[name].kill9();
    expect(await failure).toMatchObject({ id: "backend_lost" });
    await killed[name].restart();
    const again = () => expectNothingLost(killed).then(() => "served", String);
    await expect.poll(again, POLLING).toBe("served");
  });
});
