/** Conversations that end the connection, in the middle of a pipeline too, and what a pipeline cannot hold. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { RawClient } from "../../support/raw-client.ts";
import { terminateFrame } from "../../support/raw-frames.ts";
import {
  bind,
  converse,
  execute,
  flush,
  line,
  parse,
  query,
  raw,
  run,
  sync,
} from "../conversation.ts";
import type { Script } from "../conversation.ts";
import { startServers } from "../servers.ts";
import type { Servers } from "../servers.ts";

let servers: Servers;
beforeAll(async () => {
  servers = await startServers();
});
afterAll(async () => {
  await servers[Symbol.asyncDispose]();
});
beforeEach(() => servers.reset());

const ADD = "UPDATE accounts SET balance = balance + 1 WHERE id = 1";
const ADD_ELSEWHERE = "UPDATE accounts SET balance = balance + 1 WHERE id = 101";
/** PostgreSQL keeps back what nobody has asked it to send. */
const terminate = [flush(), { bytes: terminateFrame(), isAnswered: false }];

/** Everything up to the connection's end, which has to come. */
async function untilEnd(client: RawClient, script: Script): Promise<string[]> {
  client.write(Buffer.concat(script.flat().map(({ bytes }) => bytes)));
  const lines: string[] = [];
  for (;;) {
    try {
      lines.push(line(await client.receive()));
    } catch (error) {
      return [...lines, (error as Error).message];
    }
  }
}

async function bothToTheEnd(script: Script): Promise<readonly string[]> {
  const plain = await untilEnd(await servers.connectPlain(), script);
  const proxied = await untilEnd(await servers.proxy.connect(), script);
  expect(proxied).toEqual(plain);
  expect(plain.at(-1)).toBe("the server closed the connection");
  return plain;
}

async function balances(connect: Promise<RawClient>): Promise<(string | null)[][]> {
  const client = await connect;
  try {
    return await client.query("SELECT id, balance FROM accounts ORDER BY id");
  } finally {
    client.destroy();
  }
}

const BEFORE = [
  ["1", "10"],
  ["2", "20"],
  ["101", "30"],
  ["201", "40"],
];

test.each<[string, Script]>([
  ["at once", [terminate]],
  ["after a statement without Sync", [run(ADD), terminate]],
  ["after statements in two databases", [run(ADD), run(ADD_ELSEWHERE), terminate]],
  ["before a Sync that nobody reads", [run(ADD), terminate, sync()]],
  ["in a transaction", [query("BEGIN"), query(ADD), terminate]],
  ["while skipping", [run(ADD), parse("", "SELEC"), run(ADD), terminate]],
  [
    "with a portal's rows outstanding",
    [
      query("BEGIN"),
      parse("", "SELECT id FROM accounts ORDER BY id"),
      bind("", ""),
      execute("", 1),
      terminate,
    ],
  ],
])("Terminate %s: nothing of the transaction stays", async (_, script) => {
  await bothToTheEnd(script);
  for (const connect of [() => servers.connectPlain(), () => servers.proxy.connect()])
    expect(await balances(connect())).toEqual(BEFORE);
});

test.each<[string, Script]>([
  ["of no message", [raw("y")]],
  ["of a backend's message", [raw("Z", Buffer.from("I"))]],
  ["in a pipeline", [run(ADD), raw("y", Buffer.from("what")), sync()]],
  ["while skipping", [parse("", "SELEC"), raw("?"), sync()]],
  ["in a transaction", [query("BEGIN"), query(ADD), raw("1"), query("COMMIT")]],
])("a type %s ends the connection, and the transaction", async (_, script) => {
  const lines = await bothToTheEnd(script);
  expect(lines.at(-2)).toContain("S=FATAL V=FATAL C=08P01 M=invalid frontend message type");
  for (const connect of [() => servers.connectPlain(), () => servers.proxy.connect()])
    expect(await balances(connect())).toEqual(BEFORE);
});

test("a transaction that has written to several databases cannot become read-only: its commit writes", async () => {
  const client = await servers.proxy.connect();
  try {
    const lines = await converse(client, [
      query("BEGIN"),
      query(ADD),
      query("SAVEPOINT a"),
      query("SET TRANSACTION READ ONLY"),
      query("ROLLBACK TO a"),
      query(ADD_ELSEWHERE),
      query("SET TRANSACTION READ ONLY"),
      query("ROLLBACK TO a"),
      query(ADD_ELSEWHERE),
      query("COMMIT"),
    ]);
    const errors = lines.filter((text) => text.startsWith("ErrorResponse"));
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(/C=0A000 M=a transaction that has written to databases .* read-only/);
    // The id is in the routine's field, which is not compared.
    const again = await client.exchange(
      Buffer.concat([query(`BEGIN; ${ADD}; ${ADD_ELSEWHERE}; SET TRANSACTION READ ONLY`).bytes]),
    );
    expect(again.messages.some(({ body }) => body.includes("read_only_after_writes"))).toBe(true);
    expect(again.status).toBe("E");
    const level = await client.exchange(
      query(
        "ROLLBACK; BEGIN; SAVEPOINT a; SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
      ).bytes,
    );
    expect(level.messages.some(({ body }) => body.includes("mode_after_savepoint"))).toBe(true);
  } finally {
    client.destroy();
  }
  expect((await balances(servers.proxy.connect()))[2]).toEqual(["101", "31"]);
});
