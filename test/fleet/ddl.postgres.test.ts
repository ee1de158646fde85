/**
 * DDL through one proxy of a fleet, as clients of another see it: once who made it has been
 * answered, nobody is answered by what was before. Proxies that are stopped, cut off from the
 * control schema, or killed in the middle of it are no exception.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CATALOG_TRUST_MS } from "../../base/limits.ts";
import { announceDdl, untilSeen } from "../../control/ddl-intents.ts";
import { listProxies } from "../../control/fleet-state.ts";
import { LeaseWatch } from "../../control/lease-watch.ts";
import { startFleet } from "./fleet-servers.ts";
import type { Fleet } from "./fleet-servers.ts";

const ROUNDS = process.env["COLONNADE_FULL"] === undefined ? 6 : 200;

/** On a machine that has more to do than it can. */
const ROUNDS_TIMEOUT_MS = 60_000 + ROUNDS * 5_000;

let fleet: Fleet;
let first: pg.Client;
let second: pg.Client;

beforeAll(async () => {
  fleet = await startFleet([{}, {}]);
  [first, second] = (await Promise.all(fleet.proxies.map((proxy) => proxy.connect()))) as [
    pg.Client,
    pg.Client,
  ];
});
afterAll(async () => {
  await first.end();
  await second.end();
  await fleet.stop();
});

async function valueOf(client: pg.Client, sql: string, values?: unknown[]): Promise<unknown> {
  const { rows } = await client.query<Record<string, unknown>>(sql, values);
  return Object.values(rows[0] ?? {})[0];
}

test(
  "a view is what it was last replaced by",
  async () => {
    await first.query("CREATE VIEW recent AS SELECT id FROM users WHERE id < 1");
    const wrong: unknown[] = [];
    for (let round = 1; round <= ROUNDS; round++) {
      const bound = 1 + (round % 100);
      const sql = `CREATE OR REPLACE VIEW recent AS SELECT id FROM users WHERE id <= ${bound}`;
      if (round % 2 === 0) await first.query(sql);
      else {
        await first.query("BEGIN");
        await first.query(sql);
        await first.query("COMMIT");
      }
      const seen = await valueOf(second, "SELECT count(*)::int FROM recent");
      const named = { name: "named", text: "SELECT count(*)::int AS n FROM recent WHERE id > $1" };
      const { rows } = await second.query<{ n: number }>({ ...named, values: [0] });
      if (seen !== bound || rows[0]?.n !== bound) wrong.push({ bound, seen, named: rows[0]?.n });
    }
    expect(wrong).toEqual([]);
  },
  ROUNDS_TIMEOUT_MS,
);

test(
  "a default, a trigger, a function and a type are what they were last made",
  async () => {
    await first.query(`CREATE TABLE notes (id bigint, at_round integer DEFAULT 0, doubled integer);
    CREATE FUNCTION current_round() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 0';
    CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.doubled := 0; RETURN NEW; END $$;
    CREATE TYPE mood AS ENUM ('m0')`);
    const wrong: unknown[] = [];
    for (let round = 1; round <= ROUNDS; round++) {
      await first.query(`ALTER TABLE notes ALTER at_round SET DEFAULT ${round}`);
      await second.query("INSERT INTO notes (id) VALUES ($1)", [round]);
      const byDefault = await valueOf(second, "SELECT at_round FROM notes WHERE id = $1", [round]);
      await first.query(
        `CREATE OR REPLACE FUNCTION current_round() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT ${round}'`,
      );
      const byFunction = await valueOf(second, "SELECT current_round()");
      await first.query(`DROP TRIGGER IF EXISTS filled ON notes;
      CREATE OR REPLACE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN NEW.doubled := ${2 * round}; RETURN NEW; END $$;
      CREATE TRIGGER filled BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION fill()`);
      await second.query("INSERT INTO notes (id) VALUES ($1)", [-round]);
      const byTrigger = await valueOf(second, "SELECT doubled FROM notes WHERE id = $1", [-round]);
      await first.query(`ALTER TYPE mood ADD VALUE 'm${round}'`);
      const byType = await valueOf(second, `SELECT 'm${round}'::mood::text`);
      const seen = [byDefault, byFunction, byTrigger, byType];
      if (String(seen) !== String([round, round, 2 * round, `m${round}`]))
        wrong.push({ round, seen });
    }
    expect(wrong).toEqual([]);
  },
  ROUNDS_TIMEOUT_MS,
);

test("a table that somebody is changing keeps nobody from reading how the others are", async () => {
  await first.query(`CREATE TABLE busy (id int PRIMARY KEY, half int GENERATED ALWAYS AS (id / 2) STORED, CHECK (id > 0 AND id < 1000));
    CREATE INDEX ON busy ((id + 1)) WHERE id BETWEEN 5 AND 10;
    CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER passes BEFORE UPDATE ON busy FOR EACH ROW WHEN (OLD.id IS DISTINCT FROM NEW.id) EXECUTE FUNCTION pass()`);
  const changer = new pg.Client({ connectionString: fleet.data.url("main") });
  await changer.connect();
  await changer.query("BEGIN; LOCK TABLE busy");
  const sinceMs = performance.now();
  await fleet.data.query("main", "CREATE TABLE past_the_proxies (id int)");
  await first.query("CREATE TABLE calm (id int)");
  expect(await valueOf(second, "SELECT count(*)::int FROM calm")).toBe(0);
  expect(await valueOf(second, "SELECT count(*)::int FROM users")).toBeGreaterThan(0);
  // The catalog's readers would have waited for the lock for as long as this.
  expect(performance.now() - sinceMs).toBeLessThan(10_000);
  await changer.query("ROLLBACK");
  await changer.end();
});

test("views of a table that somebody is changing keep nobody either, as long as they are as they were", async () => {
  await first.query(
    "CREATE TABLE watched (id int PRIMARY KEY); CREATE VIEW watching AS SELECT id FROM watched; CREATE VIEW on_it AS SELECT id + 1 AS next FROM watching",
  );
  expect(await valueOf(second, "SELECT count(*)::int FROM on_it")).toBe(0);
  const changer = new pg.Client({ connectionString: fleet.data.url("main") });
  await changer.connect();
  await changer.query(
    "BEGIN; LOCK TABLE watched; CREATE OR REPLACE VIEW on_it AS SELECT id + 2 AS next FROM watching",
  );
  const sinceMs = performance.now();
  await first.query("CREATE TABLE beside_them (id int)");
  expect(await valueOf(second, "SELECT count(*)::int FROM beside_them")).toBe(0);
  expect(performance.now() - sinceMs).toBeLessThan(10_000);
  await changer.query("COMMIT");
  await changer.end();
  await first.query("INSERT INTO watched VALUES (1); ALTER TABLE watched RENAME id TO number");
  expect(await valueOf(second, "SELECT next FROM on_it")).toBe(3);
  await first.query("DROP TABLE watched CASCADE; DROP TABLE beside_them");
});

test.each(["ROLLBACK", { name: "the end", text: "COMMIT" }])(
  "a transaction that DDL waits for can end by %j, whatever cannot be read until then",
  async (end) => {
    await first.query("CREATE OR REPLACE VIEW locked AS SELECT id FROM users");
    await second.query("BEGIN");
    await second.query("UPDATE users SET id = id");
    const altering = first.query("ALTER TABLE users ADD COLUMN added int");
    const isWaiting =
      "SELECT FROM pg_stat_activity WHERE wait_event = 'relation' AND query ~ 'added'";
    await expect.poll(async () => (await fleet.data.query("main", isWaiting)).rowCount).toBe(1);
    const other = await fleet.proxies[1]?.connect();
    // From now on, every statement has to know more than the catalog database can tell.
    const creating = other?.query("CREATE TABLE beside (id int)");
    await sleep(CATALOG_TRUST_MS);
    const sinceMs = performance.now();
    await second.query(end);
    expect(performance.now() - sinceMs).toBeLessThan(10_000);
    await Promise.all([altering, creating]);
    await first.query("DROP VIEW locked; DROP TABLE beside; ALTER TABLE users DROP COLUMN added");
    await other?.end();
  },
);

test("in a transaction that is open, as in one PostgreSQL", async () => {
  await first.query("CREATE OR REPLACE VIEW recent AS SELECT id FROM users WHERE id <= 3");
  await second.query("BEGIN");
  expect(await valueOf(second, "SELECT count(*)::int FROM recent")).toBe(3);
  await second.query("ROLLBACK");
  await second.query("BEGIN");
  await first.query("CREATE OR REPLACE VIEW recent AS SELECT id FROM users WHERE id <= 4");
  expect(await valueOf(second, "SELECT count(*)::int FROM recent")).toBe(4);
  await second.query("COMMIT");
});

test("DDL that is rolled back changes nothing, and nothing is left of it", async () => {
  await first.query("BEGIN");
  await first.query("CREATE OR REPLACE VIEW recent AS SELECT id FROM users WHERE id <= 9");
  await first.query("CREATE TABLE parents (id integer PRIMARY KEY)");
  await first.query(
    "CREATE TABLE children (id integer REFERENCES parents DEFERRABLE INITIALLY DEFERRED)",
  );
  await first.query("INSERT INTO children VALUES (1)");
  await expect(first.query("COMMIT")).rejects.toMatchObject({ code: "23503" });
  expect(await valueOf(second, "SELECT count(*)::int FROM recent")).toBe(4);
  await untilNoneIsNamed();
});

async function untilNoneIsNamed(): Promise<void> {
  const left = async (): Promise<number> =>
    (await fleet.database.query("SELECT FROM colonnade.ddl")).length;
  const end = performance.now() + 5_000;
  while ((await left()) > 0) {
    expect(performance.now()).toBeLessThan(end);
    await sleep(20);
  }
}

test("who commits DDL may die of it: the others know by the time that it is there, and forget it", async () => {
  const maker = await fleet.data.connect("main");
  await maker.query("BEGIN; CREATE OR REPLACE VIEW recent AS SELECT id FROM users WHERE id <= 7");
  const transaction = String(await valueOf(maker, "SELECT pg_current_xact_id()::text"));
  const intent = { id: randomUUID(), transaction };
  const { revision } = await announceDdl(fleet.database, intent, randomUUID());
  await untilSeen(() => listProxies(fleet.database), revision, new LeaseWatch());
  // Whether it waits for the view's lock, as it would in one PostgreSQL, depends on what is described already.
  const early = valueOf(second, "SELECT count(*)::int FROM recent");
  await Promise.race([early, sleep(200)]);
  await maker.query("COMMIT");
  expect([4, 7]).toContain(await early);
  expect(await valueOf(second, "SELECT count(*)::int FROM recent")).toBe(7);
  await maker.end();
  await untilNoneIsNamed();
});

test("sessions that hold all connections of a pool do not wait for each other to be told", async () => {
  const small = await fleet.join("small", { pool: { size: 2 } });
  const clients = await Promise.all([small.connect(), small.connect()]);
  for (const client of clients) {
    await client.query("BEGIN");
    await client.query("SELECT count(*) FROM notes");
  }
  await first.query("CREATE OR REPLACE VIEW notes_now AS SELECT id FROM notes WHERE id > 0");
  const sql = "SELECT count(*)::int FROM notes_now";
  const startedMs = performance.now();
  const counts = await Promise.all(clients.map((client) => valueOf(client, sql)));
  expect(counts).toEqual([ROUNDS, ROUNDS]);
  expect(performance.now() - startedMs).toBeLessThan(3_000);
  for (const client of clients) {
    await client.query("COMMIT");
    await client.end();
  }
});

test("a proxy that is cut off from the control schema alone asks the catalog database", async () => {
  const lonely = await fleet.join("lonely", {});
  const client = await lonely.connect();
  await fleet.control.query(
    "postgres",
    "ALTER ROLE lonely NOLOGIN; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'lonely'",
  );
  for (let bound = 1; bound <= ROUNDS; bound++) {
    await first.query(`CREATE OR REPLACE VIEW recent AS SELECT id FROM users WHERE id <= ${bound}`);
    expect(await valueOf(client, "SELECT count(*)::int FROM recent")).toBe(bound);
  }
  await expect(client.query("CREATE VIEW mine AS SELECT 1")).rejects.toMatchObject({
    code: "55000",
    routine: "ddl_unconfirmed",
  });
  await client.end();
});

test("beside a proxy that is stopped, DDL waits until that one trusts itself no more", async () => {
  const [, other] = fleet.proxies;
  other?.command.child.kill("SIGSTOP");
  const startedMs = performance.now();
  await first.query("CREATE OR REPLACE VIEW recent AS SELECT id FROM users WHERE id <= 5");
  const tookMs = performance.now() - startedMs;
  expect(tookMs).toBeGreaterThan(CATALOG_TRUST_MS / 2);
  expect(tookMs).toBeLessThan(2 * CATALOG_TRUST_MS);
  await first.query("CREATE OR REPLACE VIEW recent AS SELECT id FROM users WHERE id <= 6");
  expect(performance.now() - startedMs - tookMs).toBeLessThan(CATALOG_TRUST_MS / 2);
  const seen = valueOf(second, "SELECT count(*)::int FROM recent");
  other?.command.child.kill("SIGCONT");
  expect(await seen).toBe(6);
});
