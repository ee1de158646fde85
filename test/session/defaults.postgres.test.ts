/**
 * The defaults of a session's settings: those of the catalog database when the proxy started,
 * on every backend, whatever a server's roles, databases or earlier clients have made of them.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { databaseName } from "../../base/ids.ts";
import { parseBackendAddress } from "../../proxy/backend/backend-address.ts";
import { BackendConnection } from "../../proxy/backend/backend-connection.ts";
import { readSessionDefaults } from "../../proxy/backend/session-defaults.ts";
import { startTestProxy } from "../support/proxy.ts";
import { RawClient } from "../support/raw-client.ts";
import type { ServerError } from "../support/raw-client.ts";
import { startServers } from "./servers.ts";
import type { Servers } from "./servers.ts";

let servers: Servers;

beforeAll(async () => {
  servers = await startServers({ config: { pool: { size: 2, wait_ms: 5_000 } } });
});
afterAll(async () => {
  await servers[Symbol.asyncDispose]();
});
beforeEach(() => servers.reset());

async function connect(held: DisposableStack, proxy = servers.proxy): Promise<RawClient> {
  return held.adopt(await proxy.connect(), (client) => client.destroy());
}

/** Who is asked next is a backend that was born just now. */
async function endBackends(): Promise<void> {
  for (const server of [servers.first, servers.second]) {
    await server.query(
      "postgres",
      "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname IN ('main', 'east', 'west')",
    );
  }
}

const SHOWN = `SELECT id, current_setting('TimeZone'), current_setting('search_path'), '2026-01-31'::date
  FROM accounts ORDER BY id`;
const SHARED = ["UTC", '"$user", public', "2026-01-31"];

describe("the defaults of settings", () => {
  test("are the catalog database's on every backend, and stay", async () => {
    using held = new DisposableStack();
    const client = await connect(held);
    const rows = ["1", "2", "101", "201"].map((id) => [id, ...SHARED]);
    expect(await client.query(SHOWN)).toEqual(rows);
    const changes = [
      [servers.second, "ROLE postgres", "TimeZone", "'Pacific/Auckland'"],
      [servers.second, "ROLE postgres", "DateStyle", "'German'"],
      [servers.second, "DATABASE west", "search_path", "far"],
      [servers.first, "DATABASE main", "TimeZone", "'Pacific/Auckland'"],
    ] as const;
    try {
      for (const [server, of, name, value] of changes)
        await server.query("postgres", `ALTER ${of} SET ${name} TO ${value}`);
      await endBackends();
      await client.query("SELECT 1").catch(() => undefined);
      const other = await connect(held);
      for (const each of [client, other]) {
        expect(await each.query(SHOWN)).toEqual(rows);
        expect(await each.query("SET TimeZone = 'Asia/Tokyo'; RESET ALL; SHOW TimeZone")).toEqual([
          ["UTC"],
        ]);
        expect(each.parameterStatus.get("TimeZone")).toBe("UTC");
      }
    } finally {
      for (const [server, of, name] of changes)
        await server.query("postgres", `ALTER ${of} RESET ${name}`);
    }
  });

  test("are read when the proxy starts, custom ones among them", async () => {
    const main = async (sql: string) =>
      servers.first.query("postgres", `ALTER DATABASE main ${sql}`);
    try {
      await main("SET TimeZone = 'Asia/Tokyo'");
      await main("SET app.tenant = '7'");
      await using proxy = await startTestProxy(servers.map);
      using held = new DisposableStack();
      const client = await connect(held, proxy);
      const sql = `SELECT id, current_setting('TimeZone'), current_setting('app.tenant') FROM accounts ORDER BY id`;
      expect(client.parameterStatus.get("TimeZone")).toBe("Asia/Tokyo");
      expect(await client.query(sql)).toEqual(
        ["1", "2", "101", "201"].map((id) => [id, "Asia/Tokyo", "7"]),
      );
      await client.query("SET app.tenant = '8'; RESET app.tenant");
      expect((await client.query(sql)).map((row) => row[2])).toEqual(["7", "7", "7", "7"]);
      await main(`SET app.long = '${"x".repeat(9_000)}'`);
      const catalog = databaseName("main");
      const addresses = new Map([[catalog, parseBackendAddress(servers.first.url("main"))]]);
      await expect(readSessionDefaults(catalog, addresses)).rejects.toMatchObject({
        id: "session_defaults_too_long",
      });
    } finally {
      await main("RESET ALL");
    }
  });

  test("leave a startup packet's DateStyle in the order of the server's configuration", async () => {
    const main = async (sql: string) =>
      servers.first.query("postgres", `ALTER DATABASE main ${sql}`);
    const script = ["SHOW DateStyle", "SET DateStyle TO SQL", "SHOW DateStyle", "RESET DateStyle"];
    try {
      await main("SET DateStyle = 'SQL, DMY'");
      await using proxy = await startTestProxy(servers.map);
      using held = new DisposableStack();
      for (const DateStyle of ["ISO", "postgres", "YMD", "sql, dmy", "German", "Default"]) {
        const asked = { host: servers.first.host, port: servers.first.port, user: "postgres" };
        const options = { ...asked, database: "main", settings: { DateStyle } };
        const direct = held.adopt(await RawClient.connect(options), (client) => client.destroy());
        const client = held.adopt(await proxy.connect({ DateStyle }), (each) => each.destroy());
        for (const sql of [...script, "SHOW DateStyle"])
          expect(await client.query(sql), `${DateStyle}: ${sql}`).toEqual(await direct.query(sql));
        const far = "SELECT id, current_setting('DateStyle') FROM accounts WHERE id = 201";
        const [shown] = await direct.query("SHOW DateStyle");
        expect(await client.query(far), DateStyle).toEqual([["201", shown?.[0]]]);
      }
    } finally {
      await main("RESET ALL");
    }
  });

  test("come back where a statement has left another value behind", async () => {
    // An implicit cast shows in no statement.
    await servers.first.query(
      "main",
      `CREATE TYPE zone AS ENUM ('Asia/Tokyo'); CREATE TABLE leaving AS SELECT 'Asia/Tokyo'::zone AS zone;
       CREATE FUNCTION leave(zone) RETURNS macaddr LANGUAGE plpgsql IMMUTABLE AS
         $$ BEGIN PERFORM set_config('TimeZone', 'Asia/Tokyo', false); RETURN '08:00:2b:01:02:03'; END $$;
       CREATE CAST (zone AS macaddr) WITH FUNCTION leave(zone) AS IMPLICIT`,
    );
    await using proxy = await startTestProxy(servers.map, { config: { pool: { size: 1 } } });
    using held = new DisposableStack();
    try {
      const [first, second] = [await connect(held, proxy), await connect(held, proxy)];
      const read = await first.query("SELECT trunc(zone) FROM leaving");
      expect(read).toEqual([["08:00:2b:00:00:00"]]);
      expect(await second.query("SELECT '2026-01-01 00:00+00'::timestamptz")).toEqual([
        ["2026-01-01 00:00:00+00"],
      ]);
      expect(await first.query("SHOW TimeZone")).toEqual([["UTC"]]);
    } finally {
      await servers.first.query(
        "main",
        "DROP TABLE leaving; DROP CAST (zone AS macaddr); DROP FUNCTION leave(zone); DROP TYPE zone",
      );
    }
  });

  test("that a server does not know are told with the database's name", async () => {
    const opened = BackendConnection.open(parseBackendAddress(servers.second.url("east")), {
      database: databaseName("east"),
      settings: new Map([["lc_time", "nowhere"]]),
      connectTimeoutMs: 5_000,
    });
    await expect(opened).rejects.toMatchObject({
      id: "backend_settings_refused",
      message: expect.stringMatching(/"east".*lc_time/),
    });
  });

  test.each([
    "ALTER ROLE postgres SET search_path TO side",
    "ALTER ROLE ALL IN DATABASE main RESET ALL",
    "ALTER USER postgres SET TimeZone TO 'Asia/Tokyo'",
    "ALTER DATABASE main SET TimeZone TO 'Asia/Tokyo'",
  ])("are not changed through the proxy: %s", async (sql) => {
    using held = new DisposableStack();
    const client = await connect(held);
    await expect(client.query(sql)).rejects.toMatchObject({
      fields: { C: "0A000", H: expect.stringContaining("restart the proxy") },
    });
  });
});

/** What each statement gave: rows, or the SQLSTATE. */
async function outcomes(client: RawClient, script: readonly string[]): Promise<readonly unknown[]> {
  const given: unknown[] = [];
  for (const sql of script)
    given.push(await client.query(sql).catch((error: ServerError) => error.fields["C"]));
  return given;
}

const CUSTOM = "SELECT id, current_setting('app.tenant', true) FROM accounts ORDER BY id";

describe("a custom setting", () => {
  test.each([
    ["SET", ["SET app.tenant = '7'", CUSTOM, "RESET app.tenant", CUSTOM, "SHOW app.tenant"]],
    [
      "SET LOCAL",
      ["BEGIN; SET LOCAL app.tenant = '7'", CUSTOM, "COMMIT", CUSTOM, "DISCARD ALL", CUSTOM],
    ],
    ["a rolled back SET", ["BEGIN; SET app.tenant = '7'", "ROLLBACK", CUSTOM, "RESET ALL", CUSTOM]],
    ["set_config", ["SELECT set_config('app.tenant', '7', true)", CUSTOM, "SHOW app.tenant"]],
    [
      "a SET that fails",
      ['SET app."1 x" = 1', CUSTOM, "SHOW app.tenant", "SET app.tenant = '8'", CUSTOM],
    ],
    [
      "another name",
      ["SET app.other = '7'", CUSTOM, "SET APP.Tenant = '8'", CUSTOM, "RESET ALL", CUSTOM],
    ],
  ])("is unknown to who has not set it, and empty afterwards: %s", async (_name, script) => {
    using held = new DisposableStack();
    const plain = held.adopt(await servers.connectPlain(), (client) => client.destroy());
    const setting = await connect(held);
    const other = await connect(held);
    const unset = [...(await outcomes(plain, [CUSTOM, "SHOW app.tenant"]))];
    expect(unset).toEqual([expect.arrayContaining([["201", null]]), "42704"]);
    for (const sql of script) {
      expect(await outcomes(setting, [sql]), sql).toEqual(await outcomes(plain, [sql]));
      expect(await outcomes(other, [CUSTOM, "SHOW app.tenant"]), sql).toEqual(unset);
    }
  });

  test("of many sessions, beside others without it, needs no more connections than there are", async () => {
    using held = new DisposableStack();
    const clients = await Promise.all(Array.from({ length: 8 }, () => connect(held)));
    await Promise.all(
      clients.map(async (client, index) => {
        const isSetting = index % 2 === 0;
        for (let round = 0; round < 8; round += 1) {
          if (isSetting) await client.query(`BEGIN; SET LOCAL app.tenant = '${index}'`);
          const rows = await client.query(CUSTOM);
          const told = isSetting ? String(index) : null;
          expect(rows).toEqual(["1", "2", "101", "201"].map((id) => [id, told]));
          if (isSetting) await client.query("COMMIT");
        }
      }),
    );
  });
});

describe("a statement_timeout", () => {
  test("of one client ends no statement of another, in one database or in several", async () => {
    using held = new DisposableStack();
    const own = await Promise.all(Array.from({ length: 4 }, () => connect(held)));
    const others = await Promise.all(Array.from({ length: 4 }, () => connect(held)));
    const until = performance.now() + (process.env["COLONNADE_FULL"] ? 20_000 : 2_500);
    const ended = new Set<string | undefined>();
    let serial = 0;
    const insert = (client: RawClient): Promise<unknown> => {
      serial += 1;
      const key = serial * 1_000;
      return client.query(
        `INSERT INTO accounts VALUES (${-key}, 'low', 0), (${key + 301}, 'high', 0)`,
      );
    };
    const impatient = own.map(async (client, index) => {
      while (performance.now() < until) {
        await client.query(`SET statement_timeout = ${1 + index}`).catch(() => undefined);
        await insert(client).catch((error: ServerError) => ended.add(error.fields["C"]));
        // However fast its writes are, this is not.
        const asleep = client.query("SELECT pg_sleep(0.1)");
        await asleep.catch((error: ServerError) => ended.add(error.fields["C"]));
      }
    });
    const patient = others.map(async (client) => {
      let done = 0;
      for (; performance.now() < until; done += 1) await insert(client);
      return done;
    });
    await Promise.all(impatient);
    expect([...ended]).toEqual(["57014"]);
    for (const done of await Promise.all(patient)) expect(done).toBeGreaterThan(0);
  }, 60_000);
});
