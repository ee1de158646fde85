/** Every SHOW, read by psql and by node-postgres in both protocols and formats, against what really is. */
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SHOWS } from "../../proxy/console/console-help.ts";
import type { ConsoleType } from "../../proxy/console/console-value.ts";
import {
  bindFrame,
  describeFrame,
  executeFrame,
  parseFrame,
  readColumns,
  readRow,
  syncFrame,
} from "../support/raw-frames.ts";
import { eventually } from "../session/eventually.ts";
import { consoleClient, driver, psql, rowsOf, startConsoleServers } from "./console-servers.ts";
import type { ConsoleServers, Row } from "./console-servers.ts";

let servers: ConsoleServers;
let console: pg.Client;

beforeAll(async () => {
  servers = await startConsoleServers({ pool: { size: 2, wait_ms: 20_000 } });
  await servers.reset();
  console = await driver(servers.proxy);
});

afterAll(async () => {
  await console?.end();
  await servers?.[Symbol.asyncDispose]();
});

const OIDS = { text: 25, integer: 23, bigint: 20, boolean: 16, timestamptz: 1184 };

/** From PostgreSQL's binary forms to its text forms. */
const READ: Readonly<Record<ConsoleType, (value: Buffer) => string>> = {
  text: (value) => value.toString(),
  integer: (value) => String(value.readInt32BE()),
  bigint: (value) => String(value.readBigInt64BE()),
  boolean: (value) => (value[0] === 1 ? "t" : "f"),
  timestamptz: (value) => {
    const date = new Date(Number(value.readBigInt64BE() / 1_000n) + Date.UTC(2000, 0, 1));
    return date.toISOString().replace("T", " ").replace("Z", "+00");
  },
};

const rows = async (show: string): Promise<readonly Row[]> =>
  (await console.query<Row>(`SHOW ${show}`)).rows;

describe.each(SHOWS.map(({ name, columns }) => [name.toUpperCase(), columns] as const))(
  "SHOW %s",
  (name, columns) => {
    const names = columns.map((column) => column.name);

    test("is read by psql", async () => {
      const [first = ""] = (await psql(servers.proxy, `SHOW ${name}`)).split("\n");
      expect(first.split("|").map((part) => part.trim())).toEqual(names);
    });

    test("is read by node-postgres in both protocols", async () => {
      const simple = await console.query({ text: `SHOW ${name}`, rowMode: "array" });
      const named = { text: `SHOW ${name}`, name: `show ${name}`, rowMode: "array" as const };
      const extended = await console.query(named);
      const again = await console.query(named);
      expect(simple.fields.map((field) => [field.name, field.dataTypeID])).toEqual(
        columns.map((column) => [column.name, OIDS[column.type]]),
      );
      for (const result of [extended, again]) {
        expect(result.fields).toEqual(simple.fields);
        expect(result.command).toBe("SHOW");
        expect(result.rows.map((row) => row.length)).toEqual(simple.rows.map(() => names.length));
      }
    });

    test("is the same in binary", async () => {
      const client = await consoleClient(servers.proxy);
      const ask = async (format: 0 | 1): Promise<(string | null)[][]> => {
        const { messages } = await client.exchange(
          Buffer.concat([
            parseFrame("", `SHOW ${name}`, []),
            bindFrame("", "", [], [format]),
            describeFrame("P", ""),
            executeFrame("", 0),
            syncFrame(),
          ]),
        );
        expect(messages.map(({ type }) => type).join("")).toMatch(/^12TD*CZ$/);
        const described = readColumns(messages[2]?.body ?? Buffer.alloc(0));
        expect(described.map((column) => column.format)).toEqual(names.map(() => format));
        return messages
          .filter(({ type }) => type === "D")
          .map(({ body }) =>
            readRow(body).map((value, at) =>
              format === 0 || value === null
                ? (value?.toString() ?? null)
                : READ[columns[at]?.type ?? "text"](value),
            ),
          );
      };
      const [text, binary] = [await ask(0), await ask(1)];
      expect(binary.length).toBe(text.length);
      for (const [index, row] of binary.entries())
        for (const [at, value] of row.entries())
          expect(like(value, columns[at]?.type), names[at]).toEqual(
            like(text[index]?.[at] ?? null, columns[at]?.type),
          );
      await client.close();
    });
  },
);

/** What goes on between two questions is compared by its form. */
function like(value: string | null, type: ConsoleType | undefined): string | null {
  if (value === null || type === "text" || type === "boolean") return value;
  return value.replaceAll(/\d+/g, "0");
}

test("the map is the file, and PROXIES, VERSION and CONFIG are this process", async () => {
  expect(await rows("MAP")).toEqual([{ version: 1, catalog: "main", yaml: servers.map }]);
  expect(await rows("PROXIES")).toMatchObject([
    {
      pid: servers.proxy.pid,
      port: servers.proxy.port,
      admin_port: servers.proxy.adminPort,
      map_version: 1,
      state: "serving",
    },
  ]);
  expect(await rows("VERSION")).toEqual([{ version: expect.stringMatching(/^Colonnade \d/) }]);
  const config = new Map((await rows("CONFIG")).map(({ key, value }) => [key, value]));
  expect(config.get("pool.size")).toBe("2");
  expect(config.get("console.admin_users")).toBe("ops");
});

test("DATABASES and PLACEMENTS are the map's", async () => {
  expect(
    (await rows("DATABASES")).map((row) => [
      row["name"],
      row["port"],
      row["catalog"],
      row["placements"],
    ]),
  ).toEqual([
    ["main", servers.first.port, 1, 0],
    ["east", servers.second.port, 0, 1],
    ["west", servers.second.port, 0, 2],
  ]);
  const places = await rows("PLACEMENTS");
  expect(
    places.map(({ kind, placement, shard_ranges: shards }) => [kind, placement, shards]),
  ).toEqual([
    ["colocation", "east.public", "0"],
    ["colocation", "west.public", "1"],
    ["colocation", "west.far", "2"],
    ["reference", "main.public", null],
    ["reference", "east.public", null],
    ["reference", "west.public", null],
    ["unlisted", "main.public", null],
  ]);
});

test("CLIENTS, SERVERS and POOLS tell of a transaction, of a statement that runs, and of who waits", async () => {
  const { proxy } = servers;
  const idle = await proxy.connect({ application_name: "resting" });
  const holder = await proxy.connect({ application_name: "holding" });
  await holder.query("BEGIN");
  await holder.query("SELECT name FROM accounts WHERE id = 1");
  const runner = await proxy.connect({ application_name: "running" });
  const running = runner.query("SELECT name, pg_sleep(3) FROM accounts WHERE id = 1");
  const waiter = await proxy.connect();
  await waiter.query("SET application_name = 'standing'");
  const waiting = eventually(async () => {
    const found = new Map((await rows("CLIENTS")).map((row) => [row["application_name"], row]));
    expect(found.get("running")).toMatchObject({ state: "active", waits_for: "answer of east" });
    return found;
  });
  const before = await waiting;
  const third = waiter.query("SELECT name FROM accounts WHERE id = 1");
  const clients = await eventually(async () => {
    const found = new Map((await rows("CLIENTS")).map((row) => [row["application_name"], row]));
    expect(found.get("standing")).toMatchObject({
      state: "waiting",
      waits_for: "connection to east",
      link: "",
    });
    return found;
  });
  expect(clients.get("resting")).toMatchObject({
    state: "idle",
    waits_for: null,
    link: "",
    id: idle.processId,
  });
  expect(clients.get("holding")).toMatchObject({
    state: "idle in transaction",
    user: "postgres",
    database: "app",
  });
  expect(Number(clients.get("holding")?.["statements"])).toBe(2);
  expect(before.get("standing")).toMatchObject({ state: "idle" });

  const linked = (await rows("SERVERS")).filter(({ link }) => link === holder.processId);
  expect(linked).toMatchObject([
    { database: "east", state: "active", application_name: "holding" },
  ]);
  expect(linked[0]?.["id"]).toBe(clients.get("holding")?.["link"]);
  const east = (await rows("POOLS")).find(({ database }) => database === "east");
  expect(east).toMatchObject({ cl_active: 2, cl_waiting: 1, sv_active: 2, sv_idle: 0 });

  await holder.query("COMMIT");
  await Promise.all([third, running]);
  for (const client of [idle, holder, runner, waiter]) await client.close();
});

test("CLIENTS names why a client keeps a connection, and /clients says the same", async () => {
  const client = await servers.proxy.connect({ application_name: "locking" });
  await client.query("SELECT pg_advisory_lock(1)");
  const row = (await rows("CLIENTS")).find((each) => each["id"] === client.processId);
  expect(row).toMatchObject({ state: "idle", pinned: "advisory lock" });
  const json = await fetch(`http://127.0.0.1:${servers.proxy.adminPort}/clients`);
  const reports = (await json.json()) as readonly Row[];
  expect(reports.find((each) => each["id"] === client.processId)).toMatchObject({
    application_name: "locking",
    state: "idle",
    pinned: ["advisory lock"],
    servers: [row?.["link"]],
  });
  await client.close();
});

test("PLANS counts what was found, and STATS what was asked", async () => {
  const client = await servers.proxy.connect();
  const before = new Map((await rows("STATS")).map((row) => [row["database"], row]));
  const asked = async (): Promise<unknown> => {
    for (let times = 0; times < 5; times += 1)
      await client.query("SELECT balance FROM accounts WHERE id = 2");
    return (await rows("PLANS")).find(({ text }) => String(text).includes("balance"));
  };
  // Where the catalog is read again in the middle of it, it is planned again.
  await expect.poll(asked).toMatchObject({
    kind: "query",
    rule: "pinByShardKey",
    hits: expect.stringMatching(/^[4-9]$/),
  });
  const after = new Map((await rows("STATS")).map((row) => [row["database"], row]));
  const grown = (column: string, database: string): number =>
    Number(after.get(database)?.[column]) - Number(before.get(database)?.[column]);
  // Recovery asks each database once a second, over the same connections.
  expect(grown("total_xact_count", "east")).toBeGreaterThanOrEqual(5);
  expect(grown("total_server_assignment_count", "east")).toBeGreaterThanOrEqual(5);
  expect(grown("total_received", "east")).toBeGreaterThan(5 * 40);
  expect(grown("total_sent", "east")).toBeGreaterThan(5 * 20);
  expect(grown("total_query_time", "east")).toBeGreaterThan(0);
  await client.close();
});

test("IN_DOUBT lists what is prepared, and says which database it could not ask", async () => {
  await servers.first.query(
    "main",
    "BEGIN; CREATE TABLE doubt (a int); PREPARE TRANSACTION 'colonnade:odd'",
  );
  expect(await rows("IN_DOUBT")).toMatchObject([
    { database: "main", name: "colonnade:odd", coordinator: null, error: null },
  ]);
  await servers.first.query("main", "ROLLBACK PREPARED 'colonnade:odd'");
  await servers.second.kill9();
  try {
    const found = await rowsOf(servers.proxy, "IN_DOUBT");
    expect(found.map(({ database, name }) => [database, name])).toEqual([
      ["east", null],
      ["west", null],
    ]);
    for (const { error } of found) expect(error).toMatch(/east|west/);
    // The console answers whatever becomes of the databases.
    const client = await consoleClient(servers.proxy);
    expect(await client.query("SHOW POOLS")).toHaveLength(3);
    await client.close();
  } finally {
    await servers.second.restart();
  }
});
