/** What ends a COPY before its end: what a client, its data or a server does wrong, and that nothing of it is kept. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { COPY_ROW_BYTES_MAX } from "../../base/limits.ts";
import type { ErrorId } from "../../base/sql-error.ts";
import type { RawClient } from "../support/raw-client.ts";
import { query } from "./conversation.ts";
import type { Script } from "./conversation.ts";
import { BINARY_END, BINARY_HEADER, binaryRow, copy, data, done, fail, int8 } from "./copying.ts";
import { errorsOf, expectRefused } from "./refusing.ts";
import type { Fields } from "./refusing.ts";
import { ROWS, startServers } from "./servers.ts";
import type { Servers } from "./servers.ts";

let servers: Servers;

beforeAll(async () => {
  servers = await startServers();
});
afterAll(async () => {
  await servers[Symbol.asyncDispose]();
});
beforeEach(() => servers.reset());

const ROWS_AT_FIRST = ROWS.split("(").length - 1;

async function expectNothingKept(): Promise<void> {
  const client = await servers.proxy.connect();
  try {
    expect(await client.query("SELECT count(*) FROM accounts")).toEqual([[`${ROWS_AT_FIRST}`]]);
    expect(await client.query("SELECT count(*) FROM countries")).toEqual([["0"]]);
  } finally {
    client.destroy();
  }
}

const SCRIPTS: readonly (readonly [ErrorId, string, Script])[] = [
  ["copy_server_file", "a file of the server", [query("COPY accounts FROM '/tmp/accounts'")]],
  [
    "copy_option_not_supported",
    "rows that a server would leave out",
    [query("COPY accounts FROM STDIN WITH (ON_ERROR ignore)")],
  ],
  [
    "copy_of_several_placements",
    "an INSERT whose rows go to several placements",
    [query("COPY (INSERT INTO accounts VALUES (3, '', 1), (150, '', 1) RETURNING id) TO STDOUT")],
  ],
  [
    "copy_failed_by_client",
    "the client gives up after a row",
    [query("COPY accounts FROM STDIN"), data("3\teve\t1\n"), fail("no more")],
  ],
  [
    "shard_key_null",
    "no value for the shard key",
    [copy("COPY accounts FROM STDIN", "3\ta\t1\n\\N\tb\t1\n")],
  ],
  [
    "execute_argument_count",
    "one argument for two parameters",
    [
      query("PREPARE two AS SELECT name FROM accounts WHERE id = $1 AND balance = $2"),
      query("EXECUTE two (1)"),
    ],
  ],
];

test.each(SCRIPTS)("%s: %s", async (id, _what, script) => {
  const client = await servers.proxy.connect();
  try {
    expectRefused(await errorsOf(client, script), id);
  } finally {
    client.destroy();
  }
  await expectNothingKept();
});

const MALFORMED: Readonly<Record<string, readonly [sql: string, data: string | Buffer]>> = {
  "a quote that does not end": ["COPY accounts FROM STDIN csv", '3,"eve,1\n150,f,2\n'],
  "line ends of two kinds": ["COPY accounts FROM STDIN", "3\ta\t1\n150\tb\t2\r\n"],
  "a carriage return after newlines": ["COPY accounts FROM STDIN csv", "3,a,1\n150,b\r,2\n"],
  "a row without its key": ["COPY accounts (balance, name, id) FROM STDIN", "1\ta\n"],
  "text in place of binary data": ["COPY accounts FROM STDIN binary", "3\teve\t1\n"],
  "binary data without a header": ["COPY accounts FROM STDIN binary", ""],
  "binary data of unknown flags": [
    "COPY accounts FROM STDIN binary",
    Buffer.concat([BINARY_HEADER.subarray(0, 11), Buffer.from([0, 1, 0, 0, 0, 0, 0, 0])]),
  ],
  "a binary row that ends early": [
    "COPY accounts FROM STDIN binary",
    Buffer.concat([BINARY_HEADER, binaryRow(int8(3n), Buffer.from("eve")).subarray(0, -1)]),
  ],
  "a binary field of negative length": [
    "COPY accounts FROM STDIN binary",
    Buffer.concat([BINARY_HEADER, Buffer.from([0, 1, 0xff, 0xff, 0xff, 0xfe])]),
  ],
  "binary data after its end": [
    "COPY accounts FROM STDIN binary",
    Buffer.concat([BINARY_HEADER, BINARY_END, Buffer.from("more")]),
  ],
};

async function errorOf(connect: Promise<RawClient>, script: Script): Promise<Fields | undefined> {
  const client = await connect;
  try {
    const [error, ...more] = await errorsOf(client, script);
    expect(more).toEqual([]);
    // The connection is in step.
    expect(await client.query("SELECT 1")).toEqual([["1"]]);
    return error;
  } finally {
    client.destroy();
  }
}

test.each(Object.entries(MALFORMED))("copy_data_malformed: %s", async (_what, [sql, text]) => {
  const script = [copy(sql, text)];
  const plain = await errorOf(servers.connectPlain(), script);
  const proxied = await errorOf(servers.proxy.connect(), script);
  expect(proxied?.["R"]).toBe("copy_data_malformed");
  expect(proxied?.["C"]).toBe(plain?.["C"]);
  await expectNothingKept();
});

test("copy_data_malformed: a mark that ends CSV data for some versions of PostgreSQL alone", async () => {
  const script = [copy("COPY accounts FROM STDIN csv", "3,a,1\n\\.\n")];
  const error = await errorOf(servers.proxy.connect(), script);
  expect(error?.["R"]).toBe("copy_data_malformed");
  await expectNothingKept();
});

test("copy_column_generated: a column that the table computes", async () => {
  const client = await servers.proxy.connect();
  try {
    await client.query(
      "ALTER TABLE things ADD COLUMN twice bigint GENERATED ALWAYS AS (id * 2) STORED",
    );
    for (const direction of ["FROM STDIN", "TO STDOUT"])
      expectRefused(
        await errorsOf(client, [query(`COPY things (id, twice) ${direction}`)]),
        "copy_column_generated",
      );
    await client.query("ALTER TABLE things DROP COLUMN twice");
  } finally {
    client.destroy();
  }
});

test("shard_key_not_constant: a marked key whose default only a server can compute", async () => {
  const client = await servers.proxy.connect();
  try {
    await client.query("ALTER TABLE accounts ALTER id SET DEFAULT length(current_user)");
    const computed = [copy("COPY accounts FROM STDIN (DEFAULT 'd')", "3\ta\t1\nd\ta\t1\n")];
    const [error, ...more] = await errorsOf(client, computed);
    expect(more).toEqual([]);
    expect(error).toMatchObject({ R: "shard_key_not_constant", W: "COPY accounts, line 2" });
    await client.query("ALTER TABLE accounts ALTER id DROP DEFAULT");
  } finally {
    client.destroy();
  }
  await expectNothingKept();
});

test("copy_row_too_large: a row that does not end, at the line it is on", async () => {
  const client = await servers.proxy.connect();
  try {
    const piece = data(Buffer.alloc(1024 * 1024, "x"));
    const endless = Array.from({ length: COPY_ROW_BYTES_MAX / (1024 * 1024) + 1 }, () => piece);
    const errors = await errorsOf(client, [
      [query("COPY accounts FROM STDIN"), data("3\teve\t1\n4\t"), ...endless, done()],
    ]);
    expectRefused(errors, "copy_row_too_large");
    expect(errors[0]?.["W"]).toBe("COPY accounts, line 2");
    expect(await client.query("SELECT 1")).toEqual([["1"]]);
  } finally {
    client.destroy();
  }
  await expectNothingKept();
});

/** A client that goes away is told nothing: client_lost is how its statement ends within the proxy. */
test.each(["accounts", "countries", "notes"])(
  "client_lost: in the middle of a COPY into %s, of which nothing is kept",
  async (table) => {
    const client = await servers.proxy.connect();
    client.write(query(`COPY ${table} FROM STDIN`).bytes);
    await expect.poll(async () => (await client.receive()).type).toBe("G");
    const row = table === "accounts" ? "3\teve\t1\n" : "3\teve\n";
    client.write(data(row).bytes);
    await sleep(50);
    client.destroy();
    const open = `SELECT state, query FROM pg_stat_activity
      WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND state <> 'idle'`;
    for (const server of [servers.first, servers.second])
      await expect.poll(async () => (await server.query("postgres", open)).rows).toEqual([]);
    await expectNothingKept();
    const after = await servers.proxy.connect();
    try {
      expect(await after.query("SELECT count(*) FROM notes")).toEqual([["0"]]);
    } finally {
      after.destroy();
    }
  },
);

test("reference_copies_differ: a database that leaves rows out", async () => {
  await servers.second.query(
    "west",
    `CREATE FUNCTION drop_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
     CREATE TRIGGER drop_row BEFORE INSERT ON countries FOR EACH ROW EXECUTE FUNCTION drop_row()`,
  );
  const client = await servers.proxy.connect();
  try {
    const errors = await errorsOf(client, [copy("COPY countries FROM STDIN", "de\tGermany\n")]);
    expectRefused(errors, "reference_copies_differ");
  } finally {
    client.destroy();
    await servers.second.query("west", "DROP FUNCTION drop_row CASCADE");
  }
  await expectNothingKept();
});
