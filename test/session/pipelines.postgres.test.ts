/**
 * Statements of one client that are sent to a server at once: message for message as PostgreSQL
 * answers them, whatever happens in their middle.
 */
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { RawClient } from "../support/raw-client.ts";
import { startListeningRelay } from "../support/listening-relay.ts";
import type { ListeningRelay } from "../support/listening-relay.ts";
import { startTestProxy } from "../support/proxy.ts";
import type { TestProxy } from "../support/proxy.ts";
import { cancelFrame } from "../support/raw-frames.ts";
import { comparing } from "./comparing.ts";
import { bind, converse, execute, line, parse, sync } from "./conversation.ts";
import type { Said, Script } from "./conversation.ts";
import { consoleClient } from "../console/console-servers.ts";
import { eventually, untilNothingIsHeld } from "./eventually.ts";
import { PIPELINES } from "./scripts-pipelines.ts";
import { startServers } from "./servers.ts";
import type { Servers } from "./servers.ts";

comparing("statements with a Sync each", PIPELINES);

const READ = "SELECT name FROM accounts WHERE id = $1";
const SLEEP = "SELECT name FROM accounts WHERE id = $1 AND late_sleep($2)";
const ADD = "UPDATE accounts SET balance = balance + 1 WHERE id = $1";

let servers: Servers;
let relay: ListeningRelay;
let proxy: TestProxy;
let client: RawClient;

beforeAll(async () => {
  servers = await startServers();
  relay = await startListeningRelay(servers.second.host, servers.second.port);
  const map = servers.map.replaceAll(`:${servers.second.port}/`, `:${relay.port}/`);
  proxy = await startTestProxy(map, {
    config: { pool: { size: 2, wait_ms: 5_000 }, console: { admin_users: ["ops"] } },
  });
});
afterAll(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await relay?.[Symbol.asyncDispose]();
  await servers[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await servers.reset();
  client = await proxy.connect();
  // Plans are known, and a connection has all three of them.
  const script = [
    [parse("read", READ), sync(), parse("sleep", SLEEP), sync(), parse("add", ADD), sync()],
    ...Array.from({ length: 3 }, () => [
      ...done("read", "1"),
      ...done("sleep", "1", "0"),
      ...done("add", "77"),
    ]),
  ];
  await converse(client, script, "one by one");
  relay.take();
  return async () => {
    client.destroy();
    await untilNothingIsHeld(servers);
    if (!proxy.isAlive()) throw new Error(`the proxy died: ${proxy.output()}`);
  };
});

const done = (name: string, ...values: readonly string[]): readonly Said[] => [
  bind("", name, values),
  execute(),
  sync(),
];
const send = (script: Script): void =>
  client.write(Buffer.concat(script.flat().map(({ bytes }) => bytes)));

/** Of each statement its tag, or its error's code. */
async function outcomes(count: number): Promise<readonly string[]> {
  const said: string[] = [];
  for (let n = 0; n < count; n++) {
    const lines = (await client.untilReady()).messages.map(line);
    const end = lines.find((each) => /^(?:CommandComplete|ErrorResponse)/.test(each)) ?? "";
    said.push(/ C=?(\w{5})\b/.exec(end)?.[1] ?? end.replace(/^\w+ /, ""));
  }
  return said;
}

async function sleeping(): Promise<number> {
  const { rows } = await servers.second.query(
    "postgres",
    "SELECT count(*)::integer AS n FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
  );
  return Number(rows[0]?.["n"]);
}
const untilItSleeps = () => eventually(async () => expect(await sleeping()).toBe(1));

test("are there before the first is answered", async () => {
  send([done("sleep", "1", "0.3"), done("read", "1"), done("add", "1"), done("read", "2")]);
  await untilItSleeps();
  expect(relay.take().filter((text) => text === "S")).toHaveLength(4);
  expect(await outcomes(4)).toEqual(["SELECT 1", "SELECT 1", "UPDATE 1", "SELECT 1"]);
});

test("a cancel request ends the one that runs", async () => {
  const { processId, secretKey } = client;
  send([done("read", "1"), done("sleep", "1", "60"), done("add", "1"), done("read", "1")]);
  await untilItSleeps();
  await new Promise<void>((resolve) => {
    const socket = net.connect(proxy.port, "127.0.0.1", () =>
      socket.write(cancelFrame(processId, secretKey)),
    );
    socket.on("close", () => resolve()).resume();
  });
  expect(await outcomes(4)).toEqual(["SELECT 1", "57014", "UPDATE 1", "SELECT 1"]);
});

test("a client that goes away leaves nothing running", async () => {
  send([done("read", "1"), ...Array.from({ length: 5 }, () => done("sleep", "1", "30"))]);
  await untilItSleeps();
  client.destroy();
  await eventually(async () => expect(await sleeping()).toBe(0));
  await untilNothingIsHeld(servers);
});

describe("a backend that is lost", () => {
  const loseIt = async () => {
    await untilItSleeps();
    // What comes behind is on its way, too: a busy machine takes its time to hand it on.
    await sleep(200);
    await servers.second.query(
      "postgres",
      "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
    );
  };

  test("leaves what was written behind in doubt, and makes reads again", async () => {
    send([
      done("read", "1"),
      done("sleep", "1", "60"),
      done("read", "1"),
      done("add", "1"),
      done("read", "2"),
      done("add", "2"),
    ]);
    await loseIt();
    expect(await outcomes(6)).toEqual([
      "SELECT 1",
      "57P01",
      "SELECT 1",
      "08007",
      "SELECT 1",
      "08007",
    ]);
    expect(await client.query("SELECT name FROM accounts WHERE id = 1")).toEqual([["ann"]]);
  });

  test("behind which more were taken than were sent", async () => {
    send([
      done("sleep", "1", "60"),
      ...Array.from({ length: 40 }, () => done("add", "1")),
      done("read", "1"),
    ]);
    await loseIt();
    const said = await outcomes(42);
    const inDoubt = said.filter((code) => code === "08007").length;
    expect(inDoubt).toBe(31);
    expect(said.filter((tag) => tag === "UPDATE 1")).toHaveLength(40 - inDoubt);
    expect(said.at(-1)).toBe("SELECT 1");
  });
});

test("an operator's KILL ends them all", async () => {
  const ops = await consoleClient(proxy);
  send([done("read", "1"), ...Array.from({ length: 5 }, () => done("sleep", "1", "30"))]);
  await untilItSleeps();
  await ops.query(`KILL ${client.processId}`);
  expect(await outcomes(1)).toEqual(["SELECT 1"]);
  await expect(client.untilReady()).rejects.toMatchObject({ fields: { C: "57P01" } });
  await untilNothingIsHeld(servers);
  await ops.close();
});

test("a client that does not read gets all it asked for later, errors among it", async () => {
  const long = "SELECT repeat(name, 100000) FROM accounts, generate_series(1, 100) WHERE id = $1";
  const bad = "SELECT 1 / (balance - 10) FROM accounts WHERE id = $1";
  await converse(client, [
    [parse("long", long), sync(), parse("bad", bad), sync()],
    ...Array.from({ length: 3 }, () => [...done("long", "77"), ...done("bad", "77")]),
  ]);
  client.pause();
  const script = Array.from({ length: 5 }, () => [...done("long", "1"), ...done("bad", "1")]);
  send(script);
  const other = await proxy.connect();
  for (let n = 0; n < 20; n++)
    expect(await other.query("SELECT name FROM accounts WHERE id = 1")).toEqual([["ann"]]);
  await other.close();
  client.resume();
  expect(await outcomes(10)).toEqual(
    Array.from({ length: 5 }, () => ["SELECT 100", "22012"]).flat(),
  );
});
