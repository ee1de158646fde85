/**
 * What one client makes of its session is seen by that client alone, although all of them
 * share one backend for each database; and what a client prepares stays prepared.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { RawClient, ServerError } from "../support/raw-client.ts";
import {
  bind,
  close,
  converse,
  describe as describeMessage,
  execute,
  parse,
  query,
  run,
  sync,
} from "./conversation.ts";
import { startServers } from "./servers.ts";
import type { Servers } from "./servers.ts";

let servers: Servers;

beforeAll(async () => {
  servers = await startServers({ config: { pool: { size: 1, wait_ms: 5_000 } } });
});
afterAll(async () => {
  await servers[Symbol.asyncDispose]();
});
beforeEach(() => servers.reset());

async function withClients<T>(
  count: number,
  use: (first: RawClient, second: RawClient) => Promise<T>,
  settings?: Readonly<Record<string, string>>,
): Promise<T> {
  const clients = await Promise.all(
    Array.from({ length: count }, () => servers.proxy.connect(settings)),
  );
  try {
    const [first, second = first] = clients;
    if (first === undefined || second === undefined) throw new Error("no client");
    return await use(first, second);
  } finally {
    for (const client of clients) client.destroy();
  }
}

const errorOf = (promise: Promise<unknown>): Promise<Readonly<Record<string, string>>> =>
  promise.then(
    () => ({}),
    (error: ServerError) => error.fields,
  );

const TWO =
  "SELECT current_setting('TimeZone'), current_setting('application_name') FROM accounts WHERE id = ";

describe("settings", () => {
  test("never reach the next client on the same backend", async () => {
    await withClients(2, async (first, second) => {
      await first.query("SET TimeZone = 'Asia/Tokyo'; SET application_name = 'first'");
      for (const id of [1, 101, 201]) {
        expect(await first.query(TWO + id)).toEqual([["Asia/Tokyo", "first"]]);
        expect(await second.query(TWO + id)).toEqual([["UTC", ""]]);
      }
      await first.query("BEGIN; SET LOCAL TimeZone = 'Europe/Rome'");
      expect(await first.query(TWO + 1)).toEqual([["Europe/Rome", "first"]]);
      await first.query("COMMIT");
      expect(await second.query(TWO + 1)).toEqual([["UTC", ""]]);
      await first.query("BEGIN; SET TimeZone = 'Europe/Rome'");
      expect(await first.query(TWO + 1)).toEqual([["Europe/Rome", "first"]]);
      await first.query("ROLLBACK");
      expect(await second.query(TWO + 1)).toEqual([["UTC", ""]]);
      expect(await first.query(TWO + 1)).toEqual([["Asia/Tokyo", "first"]]);
      await errorOf(first.query("SET TimeZone = 'nowhere'"));
      expect(await second.query(TWO + 1)).toEqual([["UTC", ""]]);
    });
  });

  test("of extensions and of one statement's set_config leave nothing either", async () => {
    await withClients(2, async (first, second) => {
      await first.query("SET my.own = 'secret'");
      expect(await first.query("SHOW my.own")).toEqual([["secret"]]);
      expect(await second.query("SELECT current_setting('my.own', true)")).toEqual([[null]]);
      await first.query("SELECT set_config('TimeZone', 'Asia/Tokyo', false)");
      expect(await first.query("SHOW TimeZone")).toEqual([["Asia/Tokyo"]]);
      expect(await second.query("SHOW TimeZone")).toEqual([["UTC"]]);
    });
  });

  test("of the start-up packet hold on every database", async () => {
    const settings = { TimeZone: "Asia/Tokyo", options: "-c application_name=by\\ options" };
    await withClients(
      1,
      async (client) => {
        for (const id of [1, 101])
          expect(await client.query(TWO + id)).toEqual([["Asia/Tokyo", "by options"]]);
        expect(client.parameterStatus.get("TimeZone")).toBe("Asia/Tokyo");
      },
      settings,
    );
  });

  test.each([
    [{ nothing_like_it: "1" }, "42704"],
    [{ TimeZone: "Nowhere/At all" }, "22023"],
    [{ client_encoding: "LATIN1" }, "0A000"],
    [{ standard_conforming_strings: "off" }, "0A000"],
    [{ options: "-c work_mem=much" }, "22023"],
  ])("%j is refused at the start", async (settings, sqlstate) => {
    const fields = await errorOf(servers.proxy.connect(settings));
    expect(fields).toMatchObject({ S: "FATAL", C: sqlstate });
  });

  test("DISCARD ALL goes back to the start", async () => {
    await withClients(1, async (client) => {
      await client.query("SET TimeZone = 'Asia/Tokyo'");
      await converse(client, [parse("s", "SELECT 1"), sync()]);
      await client.query("DISCARD ALL");
      expect(await client.query(TWO + 1)).toEqual([["UTC", ""]]);
      expect(client.parameterStatus.get("TimeZone")).toBe("UTC");
      expect((await converse(client, [bind("", "s"), sync()]))[0]).toContain("26000");
    });
  });

  test("a search_path resolves other schemas", async () => {
    await withClients(2, async (first, second) => {
      await first.query("SET search_path = side, public");
      const sql = "SELECT * FROM accounts WHERE id = 1";
      for (let round = 0; round < 2; round += 1) {
        expect(await first.query(sql)).toEqual([["1", "of side"]]);
        expect(await second.query(sql)).toEqual([["1", "ann", "10"]]);
      }
      await first.query("BEGIN; SET LOCAL search_path = public");
      expect(await first.query(sql)).toEqual([["1", "ann", "10"]]);
      await first.query("COMMIT");
      expect(await first.query(sql)).toEqual([["1", "of side"]]);
    });
  });

  test("a transaction that undid its settings can still be ended", async () => {
    await withClients(1, async (client) => {
      await client.query(
        "BEGIN; SET application_name = 'one'; SAVEPOINT a; SET application_name = 'two'",
      );
      await client.query("ROLLBACK TO a");
      await errorOf(client.query("SELECT 1/0"));
      expect(await converse(client, [query("ROLLBACK"), query("SHOW application_name")])).toContain(
        "DataRow ",
      );
    });
  });
});

describe("prepared statements", () => {
  test("of the same name belong to their clients", async () => {
    await withClients(2, async (first, second) => {
      await converse(first, [
        parse("s", "SELECT 'first', name FROM accounts WHERE id = $1"),
        sync(),
      ]);
      await converse(second, [
        parse("s", "SELECT 'second', name FROM accounts WHERE id = $1"),
        sync(),
      ]);
      for (let round = 0; round < 3; round += 1) {
        expect(await converse(first, [bind("", "s", ["1"]), execute(), sync()])).toContain(
          "DataRow first | ann",
        );
        expect(await converse(second, [bind("", "s", ["101"]), execute(), sync()])).toContain(
          "DataRow second | cid",
        );
      }
      await second.query("DEALLOCATE s");
      expect(await converse(first, [bind("", "s", ["1"]), execute(), sync()])).toContain(
        "DataRow first | ann",
      );
    });
  });

  test("more than a backend keeps are prepared again", { timeout: 120_000 }, async () => {
    await withClients(1, async (client) => {
      const names = Array.from({ length: 620 }, (_, index) => `s${index}`);
      for (const round of [0, 1]) {
        const script = names.map((name, index) => [
          ...(round === 0
            ? [parse(name, `SELECT name, ${index} FROM accounts WHERE id = $1`)]
            : []),
          bind("", name, ["1"]),
          execute(),
          sync(),
        ]);
        const rows = (await converse(client, script)).filter((line) => line.startsWith("DataRow"));
        expect(rows).toEqual(names.map((_, index) => `DataRow ann | ${index}`));
      }
      const { rows } = await servers.second.query(
        "east",
        "SELECT count(*)::int AS n FROM pg_prepared_statements",
      );
      expect(rows).toEqual([{ n: 0 }]);
    });
  });

  test("of a pooled backend are not shown: they are other clients', too", async () => {
    await withClients(1, async (client) => {
      for (const source of ["pg_prepared_statements", "pg_catalog.pg_prepared_statements"]) {
        await expect(client.query(`SELECT statement FROM ${source}`)).rejects.toMatchObject({
          fields: { R: "session_view" },
        });
      }
      await expect(client.query("SELECT * FROM pg_prepared_statement()")).rejects.toMatchObject({
        fields: { R: "session_state_function" },
      });
    });
  });

  test("settings cannot be changed behind the proxy's back", async () => {
    await withClients(1, async (client) => {
      const update = "UPDATE pg_settings SET setting = 'Asia/Tokyo' WHERE name = 'TimeZone'";
      await expect(client.query(update)).rejects.toMatchObject({
        fields: { R: "system_catalog_written" },
      });
    });
  });

  test("after a change of their tables are planned anew, or refused", async () => {
    await withClients(2, async (client, other) => {
      await other.query("CREATE TABLE shape (id integer, a text)");
      await other.query("INSERT INTO shape VALUES (1, 'x')");
      const script = [bind("", "all"), execute(), sync(), bind("", "some"), execute(), sync()];
      await converse(client, [
        parse("all", "SELECT * FROM shape"),
        parse("some", "SELECT a FROM shape"),
        sync(),
        ...script,
      ]);
      await other.query("ALTER TABLE shape ADD COLUMN b integer");
      const lines = await converse(client, script);
      expect(lines[0]).toContain("C=0A000 M=cached plan must not change result type");
      expect(lines).toContain("DataRow x");
      await other.query("DROP TABLE shape");
      expect((await converse(client, [bind("", "some"), execute(), sync()]))[0]).toContain("42P01");
    });
  });
});

describe("a pipeline", () => {
  test("of 1,000 statements, written before anything is read", async () => {
    await withClients(1, async (client) => {
      const script = Array.from({ length: 1_000 }, (_, index) =>
        run(
          `SELECT name, $1::int FROM accounts WHERE id = ${1 + (index % 2) * 100}`,
          String(index),
        ),
      );
      const lines = await converse(client, [script.flat(), sync()]);
      const rows = lines.filter((line) => line.startsWith("DataRow"));
      expect(rows).toEqual(
        script.map((_, index) => `DataRow ${index % 2 === 0 ? "ann" : "cid"} | ${index}`),
      );
    });
  });

  test("of 1,000 statements each with its Sync", async () => {
    await withClients(1, async (client) => {
      const script = Array.from({ length: 1_000 }, (_, index) => [
        run(
          "UPDATE accounts SET balance = balance + 1 WHERE id = $1",
          String(1 + (index % 2) * 100),
        ),
        sync(),
      ]);
      await converse(client, script.flat(2));
      expect(
        await client.query("SELECT balance FROM accounts WHERE id IN (1, 101) ORDER BY id"),
      ).toEqual([["510"], ["530"]]);
    });
  });

  test("of messages without a Sync is bounded", async () => {
    await withClients(1, async (client) => {
      const script = Array.from({ length: 3_000 }, (_, index) => [
        bind(`p${index}`, "s"),
        describeMessage("P", `p${index}`),
      ]);
      const lines = await converse(client, [
        parse("s", "SELECT 1"),
        script.flat(),
        sync(),
        close("S", "s"),
        sync(),
      ]);
      expect(lines.filter((line) => line.startsWith("ErrorResponse"))).toEqual([
        expect.stringContaining("54000"),
      ]);
    });
  });
});

/** Errors whose words are the proxy's own, by their id. */
describe("the proxy's own errors", () => {
  test.each<readonly [string, Parameters<typeof converse>[1]]>([
    ["savepoint_unknown", [query("BEGIN; ROLLBACK TO a")]],
    ["no_transaction", [query("SAVEPOINT a")]],
    ["not_in_transaction_block", [query("BEGIN; DISCARD ALL")]],
    ["transaction_failed", [query("BEGIN; SELECT 1/0"), query("SELECT 1")]],
    ["several_statements_prepared", [parse("", "SELECT 1; SELECT 2"), sync()]],
    ["bind_mismatch", [parse("", "SELECT 1"), bind("", "", ["1"]), sync()]],
    [
      "portal_not_runnable",
      [parse("", "DELETE FROM accounts WHERE id = 1"), bind("", ""), execute(), execute(), sync()],
    ],
    ["portal_exists", [parse("", "SELECT 1"), bind("p", ""), bind("p", ""), sync()]],
    ["portal_unknown", [execute("p"), sync()]],
    ["prepared_statement_exists", [parse("s", "SELECT 1"), parse("s", "SELECT 1"), sync()]],
    ["prepared_statement_unknown", [bind("", "s"), sync()]],
    [
      "too_many_portals",
      [
        parse("s", "SELECT 1"),
        Array.from({ length: 1_001 }, (_, index) => bind(`p${index}`, "s")),
        sync(),
      ],
    ],
    [
      "too_many_prepared_statements",
      [Array.from({ length: 10_001 }, (_, index) => parse(`s${index}`, "SELECT 1")), sync()],
    ],
    [
      "settings_too_long",
      [
        query(`SET my.own = '${"x".repeat(20_000)}'`),
        query("BEGIN"),
        query(`SET my.own = '${"x".repeat(20_000)}'`),
      ],
    ],
    [
      "too_many_savepoints",
      [
        query("BEGIN"),
        Array.from({ length: 10_001 }, () => query("SAVEPOINT a")),
        query("ROLLBACK"),
      ],
    ],
    [
      "portal_too_large",
      [
        parse("", "SELECT repeat('x', 100000) FROM generate_series(1, 2000)"),
        bind("", ""),
        execute("", 1),
        sync(),
      ],
    ],
    [
      "message_malformed",
      [parse("", "SELECT 1"), { bytes: Buffer.from("D\0\0\0\x04"), isAnswered: false }, sync()],
    ],
  ])("%s", async (id, script) => {
    await withClients(1, async (client) => {
      const bytes = script.flat();
      client.write(Buffer.concat(bytes.map((said) => said.bytes)));
      const routines: (string | undefined)[] = [];
      for (const { isAnswered } of bytes) {
        if (!isAnswered) continue;
        for (const { type, body } of (await client.untilReady()).messages)
          if (type === "E") routines.push(/R([a-z_]+)\0/.exec(body.toString("latin1"))?.[1]);
      }
      expect(routines.filter((routine) => routine === id)).not.toEqual([]);
    });
  });
});
