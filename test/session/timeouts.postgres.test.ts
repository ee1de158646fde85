/** The timeouts that end a session: when they do, and what the client is told, as by PostgreSQL; and when they do not. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { RawClient } from "../support/raw-client.ts";
import { converse, line, query, run, sync } from "./conversation.ts";
import type { Script } from "./conversation.ts";
import { untilNothingIsHeld } from "./eventually.ts";
import { startServers } from "./servers.ts";
import type { Servers } from "./servers.ts";

let servers: Servers;
beforeAll(async () => {
  servers = await startServers();
});
afterAll(async () => {
  await servers[Symbol.asyncDispose]();
});
beforeEach(() => servers.reset());

const MOVE = [
  query("UPDATE accounts SET balance = balance - 1 WHERE id = 1"),
  query("UPDATE accounts SET balance = balance + 1 WHERE id = 101"),
];
const IDLE = query("SET idle_session_timeout = '150ms'");
const IDLE_WITHIN = query("SET idle_in_transaction_session_timeout = '150ms'");
const TRANSACTION = query("SET transaction_timeout = '250ms'");

/** All that is said from here to the end of the connection. */
async function untilClosed(client: RawClient): Promise<readonly string[]> {
  const lines: string[] = [];
  for (;;) {
    try {
      lines.push(line(await client.receive()));
    } catch {
      return lines;
    }
  }
}

/** What the script is answered and, behind it, what the client is told before it is sent away. */
async function toTheEnd(
  connect: Promise<RawClient>,
  script: Script,
  last: Script,
): Promise<readonly string[]> {
  const client = await connect;
  try {
    const said = await converse(client, script);
    client.write(Buffer.concat(last.flat().map(({ bytes }) => bytes)));
    return [...said, ...(await untilClosed(client))];
  } finally {
    client.destroy();
  }
}

/** The last one is not answered, since it takes too long. */
const ENDS: Readonly<Record<string, readonly [script: Script, last?: Script]>> = {
  "a client that is idle": [[query("SELECT 1"), IDLE]],
  "that uses a temporary table": [[query("CREATE TEMP TABLE t (a int)"), IDLE]],
  "idle in a transaction that has used no database": [[IDLE, IDLE_WITHIN, query("BEGIN")]],
  "idle in one that has used several": [[IDLE_WITHIN, query("BEGIN"), ...MOVE]],
  "idle in one that has failed": [[IDLE_WITHIN, query("BEGIN"), query("SELECT 1/0")]],
  "by SET LOCAL": [[query("BEGIN; SET LOCAL idle_in_transaction_session_timeout = 100"), ...MOVE]],
  "a transaction that takes too long, and is idle": [[TRANSACTION, query("BEGIN"), ...MOVE]],
  "one that has used no database": [[TRANSACTION, query("BEGIN")]],
  "whichever comes first": [
    [TRANSACTION, query("SET idle_in_transaction_session_timeout = 400"), query("BEGIN")],
  ],
  "a transaction over several databases in which a statement runs": [
    [TRANSACTION, query("BEGIN"), ...MOVE],
    [
      query(
        "SELECT pg_sleep(9) FROM notes RIGHT JOIN countries ON true RIGHT JOIN (SELECT 1) AS one ON true",
      ),
    ],
  ],
  "a statement of several databases": [
    [TRANSACTION],
    [query("SELECT late_sleep(9) FROM accounts")],
  ],
  "a statement that stands alone": [[TRANSACTION], [query("SELECT pg_sleep(9)")]],
  "a statement of a string": [[TRANSACTION], [query("SELECT 1; SELECT pg_sleep(9)")]],
};

describe("who is sent away, compared", () => {
  test.each(Object.entries(ENDS))("%s", async (_name, [script, last = []]) => {
    const [proxied = [], plain] = await Promise.all(
      [servers.proxy.connect(), servers.connectPlain()].map((each) => toTheEnd(each, script, last)),
    );
    expect(proxied).toEqual(plain);
    expect(proxied.at(-1)).toContain("S=FATAL V=FATAL");
    await untilNothingIsHeld(servers);
    const after = await servers.proxy.connect();
    expect(await after.query("SELECT sum(balance) FROM accounts")).toEqual([["100"]]);
    expect(await after.query("SELECT balance FROM accounts WHERE id = 1")).toEqual([["10"]]);
    after.destroy();
  });
});

test("a database that waits while another works ends the session, too", async () => {
  const script = [IDLE_WITHIN, query("BEGIN"), ...MOVE];
  const slow = query("SELECT late_sleep(0.6) FROM accounts WHERE id = 101");
  const told = await toTheEnd(servers.proxy.connect(), [script, slow].flat(), [MOVE[0] ?? []]);
  expect(told.at(-1)).toContain("S=FATAL V=FATAL C=25P03");
  await untilNothingIsHeld(servers);
});

test("in the startup packet", async () => {
  const settings = { options: "-c idle_session_timeout=100" };
  const told = await toTheEnd(servers.proxy.connect(settings), [], []);
  expect(told).toEqual(await toTheEnd(servers.connectPlain(settings), [], []));
});

test("a client that works is not idle, and one that has reset its timeouts may be", async () => {
  const client = await servers.proxy.connect();
  const script = [
    query("SET idle_session_timeout = 300; SET idle_in_transaction_session_timeout = 300"),
    query("SET transaction_timeout = 900"),
    query("SELECT pg_sleep(0.4)"),
    run("SELECT late_sleep(0.4)"),
    sync(),
  ];
  await converse(client, script);
  for (let round = 0; round < 10; round += 1) {
    await client.query("SELECT name FROM accounts WHERE id = 1");
    await sleep(50);
  }
  await client.query("BEGIN");
  for (let round = 0; round < 10; round += 1) {
    await client.query("SELECT name FROM accounts WHERE id = 1");
    await sleep(50);
  }
  await client.query(
    "COMMIT; RESET ALL; BEGIN; SET LOCAL idle_in_transaction_session_timeout = 100",
  );
  await client.query("COMMIT");
  await client.query("BEGIN");
  await sleep(300);
  await client.query("COMMIT");
  await sleep(300);
  expect(await client.query("SELECT name FROM accounts WHERE id = 1")).toEqual([["ann"]]);
  client.destroy();
});
