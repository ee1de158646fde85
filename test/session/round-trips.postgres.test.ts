/** What a session costs a backend: settings are told to it where they are others, and at no other time. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startListeningRelay } from "../support/listening-relay.ts";
import type { ListeningRelay } from "../support/listening-relay.ts";
import { startTestProxy } from "../support/proxy.ts";
import type { TestProxy } from "../support/proxy.ts";
import type { RawClient } from "../support/raw-client.ts";
import { bind, converse, execute, parse, sync } from "./conversation.ts";
import { startServers } from "./servers.ts";
import type { Servers } from "./servers.ts";

const READ = "SELECT name FROM accounts WHERE id = 101";

let servers: Servers;
let relay: ListeningRelay;
let proxy: TestProxy;

beforeAll(async () => {
  servers = await startServers();
  await servers.reset();
  relay = await startListeningRelay(servers.second.host, servers.second.port);
  const map = servers.map.replaceAll(`:${servers.second.port}/`, `:${relay.port}/`);
  proxy = await startTestProxy(map, { config: { pool: { size: 1, wait_ms: 5_000 } } });
});
afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await relay?.[Symbol.asyncDispose]();
  await servers[Symbol.asyncDispose]();
});

/** What `west` was asked for clients; the proxy looks after prepared transactions by itself. */
function told(): readonly string[] {
  return relay.take().filter((text) => !/pg_prepared_xacts|commit_record/.test(text));
}

async function withClients<T>(
  settings: readonly Readonly<Record<string, string>>[],
  use: (...clients: readonly RawClient[]) => Promise<T>,
): Promise<T> {
  const clients = await Promise.all(settings.map((each) => proxy.connect(each)));
  try {
    return await use(...clients);
  } finally {
    for (const client of clients) client.destroy();
  }
}

describe("with settings that have not changed", () => {
  test("a query string costs one message", async () => {
    await withClients([{ TimeZone: "Asia/Tokyo" }], async (client) => {
      await client?.query("SET work_mem = '7MB'");
      await client?.query("SELECT set_config('my.own', 'x', false)");
      await client?.query("SET ROLE postgres");
      await client?.query(READ);
      told();
      for (let round = 0; round < 20; round += 1) await client?.query(READ);
      expect(told()).toEqual(Array.from({ length: 20 }, () => `Q ${READ}`));
    });
  });

  test("clients whose settings are alike share a backend as it is", async () => {
    const alike = { application_name: "one of many" };
    await withClients([alike, alike], async (first, second) => {
      await first?.query("SET work_mem = '7MB'");
      await second?.query("SET work_mem = '7MB'");
      await first?.query(READ);
      told();
      for (let round = 0; round < 10; round += 1) {
        await first?.query(READ);
        await second?.query(READ);
      }
      expect(told()).toEqual(Array.from({ length: 20 }, () => `Q ${READ}`));
    });
  });

  test("a prepared statement is parsed once, and then bound and executed", async () => {
    await withClients([{}], async (client) => {
      if (client === undefined) throw new Error("no client");
      const run = [bind("", "s", ["101"]), execute(), sync()];
      await converse(client, [
        parse("s", "SELECT name FROM accounts WHERE id = $1"),
        sync(),
        run,
        run,
      ]);
      told();
      for (let round = 0; round < 10; round += 1) await converse(client, [run]);
      // Whether rows are described beside is of no account: it is one write, and one answer.
      const messages = told().filter((text) => text !== "D");
      expect(messages).toEqual(Array.from({ length: 10 }, () => ["B", "E", "S"]).flat());
    });
  });

  test("a transaction costs its BEGIN and COMMIT, and no setting", async () => {
    await withClients([{}], async (client) => {
      await client?.query("SET work_mem = '7MB'");
      await client?.query(READ);
      told();
      await client?.query("BEGIN");
      await client?.query(READ);
      await client?.query("COMMIT");
      expect(told()).toEqual(["P BEGIN", "B", "E", `Q ${READ}`, "Q COMMIT"]);
    });
  });
});

test("with others it is one message more, for all of them together", async () => {
  await withClients([{}, { TimeZone: "Asia/Tokyo" }], async (first, second) => {
    await first?.query("SET work_mem = '7MB'; SET search_path = public");
    await first?.query(READ);
    await second?.query(READ);
    told();
    await first?.query(READ);
    await second?.query(READ);
    const messages = told();
    expect(messages.map((text) => text.slice(0, 9))).toEqual([
      "Q RESET S",
      "Q SELECT ",
      "Q RESET S",
      "Q SELECT ",
    ]);
    expect(messages[0]).toContain("RESET ALL; ");
    expect(messages[0]).toContain("work_mem");
  });
});
