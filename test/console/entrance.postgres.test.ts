/** Who is let into the console, what it makes of what drivers send by themselves, and of what nobody should send. */
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CONSOLE_CLIENTS_MAX, CONSOLE_STATEMENTS_MAX } from "../../base/limits.ts";
import { ServerError } from "../support/raw-client.ts";
import type { Exchange, RawClient } from "../support/raw-client.ts";
import {
  bindFrame,
  closeFrame,
  cstring,
  describeFrame,
  executeFrame,
  frame,
  parseFrame,
  queryFrame,
  readFields,
  readTypeOids,
  syncFrame,
  uint16,
} from "../support/raw-frames.ts";
import { consoleClient, driver, PASSWORD, psql, startConsoleServers } from "./console-servers.ts";
import type { ConsoleServers } from "./console-servers.ts";

let servers: ConsoleServers;

beforeAll(async () => {
  servers = await startConsoleServers();
});

afterAll(async () => await servers?.[Symbol.asyncDispose]());

async function refusal(connecting: Promise<unknown>): Promise<Readonly<Record<string, string>>> {
  return await connecting.then(
    () => ({ M: "it was let in" }),
    (error: unknown) => (error instanceof ServerError ? error.fields : { M: String(error) }),
  );
}

function errorsOf({ messages }: Exchange): readonly (string | undefined)[] {
  return messages
    .filter(({ type }) => type === "E")
    .map(({ body }) => readFields(body))
    .map(({ S, C, R }) => `${S} ${C} ${R}`);
}

const typesOf = ({ messages }: Exchange): string => messages.map(({ type }) => type).join("");

test("nobody but the named users gets in, each by its password", async () => {
  const { proxy } = servers;
  for (const [user, password, code] of [
    ["ops", "wrong", "28P01"],
    ["ops", "", "28P01"],
    ["nobody", PASSWORD, "28P01"],
    ["postgres", "", "28P01"],
  ] as const)
    expect(await refusal(consoleClient(proxy, user, password)), user).toMatchObject({
      S: "FATAL",
      C: code,
    });
  expect(await refusal(consoleClient(proxy, "stranger"))).toMatchObject({
    S: "FATAL",
    C: "28000",
    R: "console_user_refused",
  });
  // The clients' own way in is another one, and asks this user for nothing.
  expect(await (await proxy.connect()).query("SELECT 1")).toEqual([["1"]]);
});

test("stats_users look, and change nothing", async () => {
  const client = await consoleClient(servers.proxy, "watcher");
  expect(client.parameterStatus.get("is_superuser")).toBe("off");
  expect(await client.query("SHOW POOLS")).toHaveLength(3);
  for (const command of [
    "PAUSE",
    "RESUME east",
    "KILL 1",
    "KILL east",
    "RELOAD",
    "DRAIN",
    "SHOW PLANS",
  ])
    expect(await refusal(client.query(command)), command).toMatchObject({
      S: "ERROR",
      C: "42501",
      R: "console_admin_required",
    });
  expect((await client.query("SHOW PROXIES"))[0]).toContain("serving");
  await client.close();
});

test("the console has places of its own, and no more than those", async () => {
  const clients: RawClient[] = [];
  for (let count = 0; count < CONSOLE_CLIENTS_MAX; count += 1)
    clients.push(await consoleClient(servers.proxy));
  expect(await refusal(consoleClient(servers.proxy))).toMatchObject({
    C: "53300",
    H: `The admin console takes ${CONSOLE_CLIENTS_MAX} connections at once: close one, or end one with KILL from another.`,
  });
  await (await servers.proxy.connect()).close();
  for (const client of clients) await client.close();
});

test("what drivers send by themselves is answered as a server does", async () => {
  const client = await consoleClient(servers.proxy);
  expect(client.parameterStatus.get("server_version")).toMatch(/^\d+\.\d+ \(Colonnade /);
  expect(Object.fromEntries(client.parameterStatus)).toMatchObject({
    client_encoding: "UTF8",
    DateStyle: "ISO, MDY",
    TimeZone: "UTC",
    integer_datetimes: "on",
    standard_conforming_strings: "on",
  });
  const told = await client.exchange(
    queryFrame("SET application_name TO 'app'; SET extra_float_digits = 3"),
  );
  expect(typesOf(told)).toBe("CCSZ");
  expect(await client.query("SHOW application_name")).toEqual([["app"]]);
  expect(await client.query("SHOW TRANSACTION ISOLATION LEVEL")).toEqual([["read committed"]]);
  expect(
    await client.query("SELECT 1, 'x', current_user, current_database(), current_schema()"),
  ).toEqual([["1", "x", "ops", "colonnade", "colonnade"]]);
  expect((await client.query("select pg_catalog.version()"))[0]?.[0]).toMatch(/^PostgreSQL \d/);
  expect(typesOf(await client.exchange(queryFrame("-- ping")))).toBe("IZ");
  expect(typesOf(await client.exchange(queryFrame("DISCARD ALL")))).toBe("CZ");
  expect(await refusal(client.query("SET client_encoding = 'LATIN1'"))).toMatchObject({
    R: "console_not_supported",
  });
  expect(await refusal(client.query("SET work_mem = 1"))).toMatchObject({ C: "42704" });
  await client.close();
});

test("a transaction block is one, as far as its state goes", async () => {
  const client = await consoleClient(servers.proxy);
  expect((await client.exchange(queryFrame("BEGIN"))).status).toBe("T");
  expect((await client.exchange(queryFrame("BEGIN"))).messages[0]?.type).toBe("N");
  const failed = await client.exchange(queryFrame("SHOW NOTHING; SHOW POOLS"));
  expect([typesOf(failed), failed.status]).toEqual(["EZ", "E"]);
  expect(await refusal(client.query("SHOW POOLS"))).toMatchObject({ C: "25P02" });
  const ended = await client.exchange(queryFrame("COMMIT"));
  expect([ended.messages[0]?.body.toString("latin1"), ended.status]).toEqual(["ROLLBACK\0", "I"]);
  expect((await client.exchange(queryFrame("COMMIT"))).messages[0]?.type).toBe("N");
  await client.close();
});

test("the extended protocol: described before, run in parts, run once, closed", async () => {
  const client = await consoleClient(servers.proxy);
  const described = await client.exchange(
    Buffer.concat([parseFrame("a", "SHOW HELP", []), describeFrame("S", "a"), syncFrame()]),
  );
  expect(typesOf(described)).toBe("1tTZ");
  expect(readTypeOids(described.messages[1]?.body ?? Buffer.alloc(0))).toEqual([]);
  const part = [bindFrame("p", "a", [], []), executeFrame("p", 2), executeFrame("p", 3)];
  const cut = await client.exchange(Buffer.concat([...part, executeFrame("p", 0), syncFrame()]));
  expect(typesOf(cut)).toMatch(/^2DDsDDDsD+CZ$/);
  const nothing = [parseFrame("", "RESUME", []), describeFrame("S", ""), bindFrame("", "", [], [])];
  const run = [executeFrame("", 0), executeFrame("", 0), executeFrame("", 0), syncFrame()];
  const twice = await client.exchange(Buffer.concat([...nothing, ...run]));
  expect(typesOf(twice)).toBe("1tn2CEZ");
  expect(errorsOf(twice)).toEqual(["ERROR 55000 portal_not_runnable"]);
  const closed = [closeFrame("S", "a"), bindFrame("", "a", [], []), syncFrame()];
  expect(errorsOf(await client.exchange(Buffer.concat(closed)))).toEqual([
    "ERROR 26000 prepared_statement_unknown",
  ]);
  await client.close();
});

test("what no database's client should send is an error of its own, and the next message is answered", async () => {
  const client = await consoleClient(servers.proxy);
  const ask = async (...frames: readonly Buffer[]): Promise<readonly (string | undefined)[]> =>
    errorsOf(await client.exchange(Buffer.concat([...frames, syncFrame()])));
  expect(await ask(parseFrame("", "KILL $1", [23]))).toEqual(["ERROR 0A000 console_not_supported"]);
  expect(await ask(parseFrame("", "SELECT 1", [23]))).toEqual([
    "ERROR 0A000 console_not_supported",
  ]);
  expect(await ask(parseFrame("", "SHOW POOLS; RELOAD", []))).toEqual([
    "ERROR 42601 several_statements_prepared",
  ]);
  const one = { typeOid: 25, format: 0, value: Buffer.from("x") } as const;
  expect(await ask(parseFrame("", "SHOW POOLS", []), bindFrame("", "", [one], []))).toEqual([
    "ERROR 08P01 bind_mismatch",
  ]);
  expect(await ask(parseFrame("", "SHOW POOLS", []), bindFrame("", "", [], [1, 1]))).toEqual([
    "ERROR 08P01 bind_mismatch",
  ]);
  expect(await ask(executeFrame("none", 0))).toEqual(["ERROR 34000 portal_unknown"]);
  expect(await ask(frame("F", uint16(1)))).toEqual(["ERROR 0A000 console_not_supported"]);
  expect(await ask(frame("B", cstring("")))).toHaveLength(1);
  expect(await ask(frame("P", Buffer.from([0xff, 0xfe, 0, 0, 0, 0])))).toEqual([
    "ERROR 22021 invalid_byte_sequence",
  ]);
  expect(await ask(frame("d", Buffer.from("1\t2\n")), frame("c"))).toEqual([]);
  const many = Array.from({ length: CONSOLE_STATEMENTS_MAX + 1 }, (_, index) =>
    parseFrame(`s${index}`, "SHOW POOLS", []),
  );
  expect(await ask(...many)).toEqual(["ERROR 54000 console_statements_exceeded"]);
  expect(errorsOf(await client.exchange(queryFrame("COPY users FROM STDIN")))).toEqual([
    "ERROR 42601 console_command_unknown",
  ]);
  expect(await client.query("SELECT 1")).toEqual([["1"]]);
  expect(servers.proxy.isAlive()).toBe(true);
  await client.close();
});

test("a message of no kind that there is ends in an error, and the proxy lives", async () => {
  const client = await consoleClient(servers.proxy);
  client.write(frame("\u0001", Buffer.from("bytes")));
  const { body } = await client.receive();
  expect(readFields(body)).toMatchObject({ C: "08P01" });
  client.destroy();
  expect(await psql(servers.proxy, "SELECT 1 AS one")).toMatch(/one/);
});

test("node-postgres and postgres.js read it; a parameter is refused in words", async () => {
  const client = await driver(servers.proxy);
  const { rows } = await client.query("SHOW PROXIES");
  expect(rows).toMatchObject([{ state: "serving", started_at: expect.any(Date) }]);
  await expect(client.query("KILL $1", ["1"])).rejects.toThrow("takes no parameters");
  await client.end();
  const { host, port } = servers.proxy;
  const sql = postgres({
    host,
    port,
    user: "ops",
    password: PASSWORD,
    database: "colonnade",
    fetch_types: false,
    max: 1,
  });
  try {
    expect(await sql`SHOW PROXIES`).toMatchObject([{ pid: servers.proxy.pid }]);
    expect(await sql.begin(async (transaction) => await transaction`SHOW POOLS`)).toHaveLength(3);
  } finally {
    await sql.end();
  }
});
