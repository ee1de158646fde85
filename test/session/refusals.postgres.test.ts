/**
 * Refusals that need a session and servers: each is met by a client, and its id stands in the
 * field for a routine's name, beside the SQLSTATE and the hint of the catalogue.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { ErrorId } from "../../base/sql-error.ts";
import { ConnectionLost, RawClient, ServerError } from "../support/raw-client.ts";
import { cancelFrame } from "../support/raw-frames.ts";
import { bind, bindWithFormats, execute, parse, query, run, sync } from "./conversation.ts";
import type { Script } from "./conversation.ts";
import { copy } from "./copying.ts";
import { errorsOf, expectRefused } from "./refusing.ts";
import { startServers } from "./servers.ts";
import type { Servers } from "./servers.ts";

let servers: Servers;

beforeAll(async () => {
  // One backend for each database, so that a second client waits for the first.
  servers = await startServers({ config: { pool: { size: 1, wait_ms: 30_000 } } });
  await servers.first.query(
    "main",
    `CREATE FUNCTION make_table() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN CREATE TABLE made (id integer); RETURN NULL; END $$;
     CREATE TRIGGER make AFTER INSERT ON notes EXECUTE FUNCTION make_table()`,
  );
});
afterAll(async () => {
  await servers[Symbol.asyncDispose]();
});
beforeEach(() => servers.reset());

const SCRIPTS: readonly (readonly [ErrorId, string, Script])[] = [
  [
    "combined_value_out_of_range",
    "each placement's sum fits, and their sum does not",
    [
      query("INSERT INTO things (id, wide) VALUES (1, 1.7e308)"),
      query("INSERT INTO things (id, wide) VALUES (101, 1.7e308)"),
      query("SELECT sum(wide) FROM things"),
    ],
  ],
  [
    "format_code_unsupported",
    "a format that is neither text nor binary",
    [parse("", "SELECT 1"), bindWithFormats([], [], [5]), sync()],
  ],
  [
    "expression_not_supported",
    "an expression of a kind that is not known, in a write over several placements",
    [
      query(
        "UPDATE things SET word = (SELECT json_arrayagg(n)::text FROM generate_series(1, 2) n)",
      ),
    ],
  ],
  [
    "insert_query_too_long",
    "rows that would have to be held between reading and inserting them",
    [
      query(
        "INSERT INTO notes SELECT n, repeat(name, 100000) FROM accounts, generate_series(1, 30) n",
      ),
    ],
  ],
  [
    "insert_setting_changes_values",
    "dates whose texts name no zone, on their way to another placement",
    [
      query("SET DateStyle = 'Postgres, DMY'"),
      query("INSERT INTO things (id, instant) SELECT id + 100, instant FROM things"),
    ],
  ],
  [
    "read_only_transaction",
    "an INSERT ... SELECT without rows, where nothing may be written",
    [
      query("BEGIN READ ONLY"),
      query(
        "INSERT INTO things (id, instant) SELECT id + 100, instant FROM things WHERE id < -1000",
      ),
    ],
  ],
  [
    "transaction_block_required",
    "a table lock that would end with its statement",
    [query("LOCK TABLE accounts")],
  ],
  [
    "statement_not_understood",
    "a table that a trigger has made in this transaction",
    [
      query("BEGIN"),
      query("INSERT INTO notes VALUES (1, 'fires it')"),
      query("INSERT INTO made VALUES (1)"),
    ],
  ],
  [
    "sequence_value_unknown",
    "currval of a parameter that is an OID, and no name",
    [
      parse("", "SELECT currval($1)"),
      bind("", "", [Buffer.from([0, 0, 64, 0])]),
      execute(),
      sync(),
    ],
  ],
];

test.each(SCRIPTS)("%s: %s", async (id, _when, script) => {
  const client = await servers.proxy.connect();
  try {
    expectRefused(await errorsOf(client, script), id);
  } finally {
    client.destroy();
  }
});

test("cached_plan_changed: by PostgreSQL's own routine, by which drivers know to prepare again", async () => {
  const client = await servers.proxy.connect();
  try {
    const errors = await errorsOf(client, [
      query("CREATE TABLE changing (id integer)"),
      parse("s", "SELECT * FROM changing"),
      bind("", "s"),
      execute(),
      sync(),
      query("ALTER TABLE changing ADD COLUMN more text"),
      bind("", "s"),
      execute(),
      sync(),
      query("DROP TABLE changing"),
    ]);
    expect(errors.map(({ C, R }) => ({ C, R }))).toEqual([
      { C: "0A000", R: "RevalidateCachedQuery" },
    ]);
  } finally {
    client.destroy();
  }
});

test.each<[ErrorId, Readonly<Record<string, string>>]>([
  ["client_encoding_not_supported", { client_encoding: "LATIN1" }],
  ["escaping_strings_not_supported", { options: "-c standard_conforming_strings=off" }],
])("%s: a client that starts with %j", async (id, settings) => {
  const error = await servers.proxy.connect(settings).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ServerError);
  expectRefused([(error as ServerError).fields], id, "FATAL");
});

test("client_encoding_not_supported: a SET, and nobody reads in it afterwards", async () => {
  const client = await servers.proxy.connect();
  const errors = await errorsOf(client, [query("SET client_encoding = 'LATIN1'")]);
  expectRefused(errors, "client_encoding_not_supported");
  const within = await errorsOf(client, [
    query("BEGIN; SAVEPOINT a; SELECT name FROM accounts WHERE id = 1"),
    query("SELECT set_config('client_encoding', 'LATIN1', false)"),
    query("ROLLBACK TO a"),
  ]);
  expectRefused(within, "client_encoding_not_supported");
  const shown = "SELECT 'é', current_setting('client_encoding') FROM accounts WHERE id = 1";
  expect(await client.query(shown)).toEqual([["é", "UTF8"]]);
  await client.query("COMMIT");
  const other = await servers.proxy.connect();
  for (const each of [client, other]) expect(await each.query(shown)).toEqual([["é", "UTF8"]]);
  for (const each of [client, other]) each.destroy();
});

test("a table that a database lacks is told with the database", async () => {
  const client = await servers.proxy.connect();
  await servers.second.query("west", "ALTER TABLE far.things RENAME TO gone");
  try {
    const reading = "SELECT id FROM things WHERE id = 201";
    const errors = await errorsOf(client, [
      query(reading),
      query(reading),
      [run(reading), sync()].flat(),
      query("SELECT count(*) FROM things"),
      query("BEGIN; DELETE FROM things"),
      query("ROLLBACK"),
      copy("COPY things (id) FROM STDIN", "201\n"),
    ]);
    expect(errors).toHaveLength(6);
    for (const error of errors) {
      expect(error).toMatchObject({ C: "42P01", M: 'relation "far.things" does not exist' });
      expect(error["H"]).toContain('Database "west" has no table "things" in schema "far"');
    }
    const unknown = await errorsOf(client, [query("SELECT * FROM gone")]);
    expect(unknown.map(({ C, H }) => [C, H])).toEqual([["42P01", undefined]]);
  } finally {
    await servers.second.query("west", "ALTER TABLE far.gone RENAME TO things");
    client.destroy();
  }
});

test("query_canceled: while it waits for a backend that another client holds", async () => {
  const [holder, waiting] = [await servers.proxy.connect(), await servers.proxy.connect()];
  try {
    await holder.query("BEGIN; UPDATE accounts SET balance = 1 WHERE id = 1");
    const errors = errorsOf(waiting, [query("SELECT name FROM accounts WHERE id = 2")]);
    const { processId, secretKey } = waiting;
    const answered = errors.then(() => true);
    // A request that comes before the statement runs stops nothing, as in PostgreSQL.
    while (!(await Promise.race([answered, sleep(20, false)]))) {
      const canceller = await RawClient.open(servers.proxy.host, servers.proxy.port);
      canceller.write(cancelFrame(processId, secretKey));
      await expect(canceller.receive()).rejects.toBeInstanceOf(ConnectionLost);
    }
    expectRefused(await errors, "query_canceled");
    await holder.query("ROLLBACK");
    expect(await waiting.query("SELECT name FROM accounts WHERE id = 2")).toEqual([["bob"]]);
  } finally {
    holder.destroy();
    waiting.destroy();
  }
});

test("proxy_shutdown: an idle client is sent away", async () => {
  const client = await servers.proxy.connect();
  process.kill(servers.proxy.pid, "SIGTERM");
  const error = await client.untilReady().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ServerError);
  expectRefused([(error as ServerError).fields], "proxy_shutdown", "FATAL");
});
