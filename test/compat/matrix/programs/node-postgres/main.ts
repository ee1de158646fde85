/** node-postgres: pg, with pg-cursor and pg-copy-streams, which its own documentation names for these. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { TLSSocket } from "node:tls";
import pg from "pg";
import { from as copyFrom, to as copyTo } from "pg-copy-streams";
import Cursor from "pg-cursor";
import {
  connectionSettings,
  failureOf,
  range,
  runChecks,
  LOSE_CONNECTION,
  LOST_AFTER_MS,
} from "../../node/reporting.ts";
import {
  INSERT_TYPES,
  SELECT_TYPES,
  sendFunction,
  TYPE_COLUMNS,
  typeRows,
} from "../../node/type-values.ts";

const settings = connectionSettings();
/** Values as they came: text, or bytes. */
const RAW = { getTypeParser: () => (value: unknown) => value };

async function connect(more: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ ...settings, ...more });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

async function withClient(
  run: (client: pg.Client) => Promise<void>,
  more: pg.ClientConfig = {},
): Promise<void> {
  const client = await connect(more);
  try {
    await run(client);
  } finally {
    await client.end();
  }
}

async function checkConnect(): Promise<void> {
  await withClient(async (client) => {
    const { stream } = (client as unknown as { connection: { stream: TLSSocket } }).connection;
    assert.equal(stream.authorized, true);
    const { rows } = await client.query<{ server_version: string }>("SHOW server_version");
    assert.match(rows[0]?.server_version ?? "", /^18\./);
  });
  const wrong = await failureOf(connect({ password: "wrong" }));
  assert.equal(wrong.code, "28P01");
  const distrust = await failureOf(connect({ ssl: true }));
  assert.match(String(distrust.code), /CERT|ISSUER|VERIFY/);
}

async function checkTypesText(): Promise<void> {
  await withClient(async (client) => {
    for (const row of typeRows()) await client.query(INSERT_TYPES, row);
    const read = { text: SELECT_TYPES, rowMode: "array" as const, types: RAW };
    assert.deepEqual((await client.query(read)).rows, typeRows());
    assert.deepEqual(
      (await client.query({ ...read, text: `${SELECT_TYPES} LIMIT $1` }, [12])).rows,
      typeRows(),
    );
    const values = [
      50,
      new Date("2024-02-29T12:34:56.789Z"),
      Buffer.from([0, 255]),
      { a: [1] },
      [1, null],
    ];
    await client.query(
      "INSERT INTO every_type (id, a_timestamptz, a_bytea, a_jsonb, integers) VALUES ($1, $2, $3, $4, $5)",
      values,
    );
    const { rows } = await client.query(
      "SELECT id::int, a_timestamptz, a_bytea, a_jsonb, integers FROM every_type WHERE id = $1",
      [50],
    );
    assert.deepEqual(Object.values(rows[0] as object), values);
    await client.query("DELETE FROM every_type WHERE id = 50");
  });
}

/**
 * Parameters in binary, as each type's send function gives their bytes, read back as text. Results
 * in binary only of bytes below 0x80: node-postgres takes all columns for UTF-8 text before it parses them.
 */
async function checkTypesBinary(): Promise<void> {
  await withClient(async (client) => {
    const sends = TYPE_COLUMNS.map((column) => `${sendFunction(column)}(${column}) AS ${column}`);
    const bytes = `SELECT ${sends.join(", ")} FROM every_type ORDER BY id`;
    const { rows } = await client.query<(Buffer | null)[]>({ text: bytes, rowMode: "array" });
    assert.equal(rows.length, 12);
    for (const [id, ...values] of rows) {
      const key = Buffer.alloc(8);
      key.writeBigInt64BE((id as Buffer).readBigInt64BE() + 100n);
      await client.query(INSERT_TYPES, [key, ...values]);
    }
    const columns = TYPE_COLUMNS.slice(1).join(", ");
    const text = `SELECT ${columns} FROM every_type WHERE id > 100 ORDER BY id`;
    const copies = await client.query({ text, rowMode: "array", types: RAW });
    assert.deepEqual(
      copies.rows,
      typeRows().map(([, ...values]) => values),
    );
    const binary = {
      text: "SELECT id, id::int AS small, id > 3 AS more, a_text FROM every_type WHERE id <= $1 ORDER BY id",
      binary: true,
    };
    const read = await client.query(binary, [4]);
    const expected = range(1, 4).map((id) => ({ id: String(id), small: id, more: id > 3 }));
    const texts = typeRows().map((row) => row[TYPE_COLUMNS.indexOf("a_text")] ?? null);
    assert.deepEqual(
      read.rows,
      expected.map((row, index) => ({ ...row, a_text: texts[index] })),
    );
  });
}

async function checkPrepared(): Promise<void> {
  await withClient(async (client) => {
    const named = (id: number): pg.QueryConfig => ({
      name: "owner by id",
      text: "SELECT id, owner FROM accounts WHERE id = $1",
      values: [id],
    });
    const askAll = async (): Promise<void> => {
      for (const id of range(1, 20)) {
        const { rows } = await client.query(named(id));
        assert.deepEqual(rows, [{ id: String(id), owner: `owner ${id}` }]);
      }
    };
    await askAll();
    await withClient(async (other) => {
      await other.query("ALTER TABLE accounts ADD COLUMN extra integer");
      await askAll();
      await other.query("ALTER TABLE accounts DROP COLUMN extra");
      await askAll();
    });
  });
}

async function checkPipeline(): Promise<void> {
  await withClient(
    async (client) => {
      const sent = range(1, 30).map(async (id) => {
        const text =
          id === 15 ? "SELECT 1 / ($1 - $1::int)" : "SELECT owner FROM accounts WHERE id = $1";
        return await client.query<{ owner: string }>(text, [id]);
      });
      const answers = await Promise.allSettled(sent);
      for (const [index, answer] of answers.entries()) {
        if (index === 14) {
          assert.equal(answer.status, "rejected");
          assert.equal((answer.reason as { code: string }).code, "22012");
        } else {
          assert.equal(answer.status, "fulfilled");
          assert.deepEqual(answer.value.rows, [{ owner: `owner ${index + 1}` }]);
        }
      }
    },
    { pipeline: true },
  );
}

async function checkCopy(): Promise<void> {
  await withClient(async (client) => {
    const lines = range(10_001, 15_000).map(
      (id) => `${id}\towner\\t${id}\t${id}.50\t${id % 2 ? "\\N" : "ü\\\\n"}\n`,
    );
    const sink = client.query(copyFrom("COPY accounts FROM STDIN"));
    await pipeline(Readable.from(lines), sink);
    assert.equal(sink.rowCount, 5000);
    const all = "COPY (SELECT * FROM accounts WHERE id > 10000 ORDER BY id) TO STDOUT";
    assert.equal((await buffer(client.query(copyTo(all)))).toString(), lines.join(""));
    const table = (await buffer(client.query(copyTo("COPY accounts TO STDOUT")))).toString();
    assert.equal(table.split("\n").length - 1, 6000);
    const bad = client.query(copyFrom("COPY accounts FROM STDIN"));
    const failure = await failureOf(
      pipeline(Readable.from(["20001\ta\t1\t\\N\n", "20002\tb\tx\t\\N\n"]), bad),
    );
    assert.equal(failure.code, "22P02");
    const { rows } = await client.query("SELECT count(*)::int FROM accounts WHERE id > 20000");
    assert.deepEqual(rows, [{ count: 0 }]);
    await client.query("DELETE FROM accounts WHERE id > 10000");
  });
}

async function checkCursor(): Promise<void> {
  await withClient(async (client) => {
    await client.query("BEGIN");
    const cursor = client.query(
      new Cursor<{ id: string }>("SELECT id FROM accounts ORDER BY id", []),
    );
    const read: string[] = [];
    for (;;) {
      const rows = await cursor.read(70);
      if (rows.length === 0) break;
      read.push(...rows.map(({ id }) => id));
    }
    assert.deepEqual(read, range(1, 1000).map(String));
    const half = client.query(
      new Cursor<{ id: string }>("SELECT id FROM accounts WHERE id > $1 ORDER BY id", [5]),
    );
    assert.deepEqual(
      (await half.read(2)).map(({ id }) => id),
      ["6", "7"],
    );
    await half.close();
    await client.query("DECLARE c CURSOR FOR SELECT id FROM accounts ORDER BY id DESC");
    const fetched = await client.query<{ id: string }>("FETCH 3 FROM c");
    assert.deepEqual(
      fetched.rows.map(({ id }) => id),
      ["1000", "999", "998"],
    );
    await client.query("COMMIT");
  });
}

async function checkCancel(): Promise<void> {
  await withClient(async (client) => {
    for (const text of [
      "SELECT pg_sleep(25)",
      "SELECT sum(a.id) FROM accounts a, generate_series(1, 100000000)",
    ]) {
      const begun = Date.now();
      const query = new pg.Query(text);
      client.query(query);
      const ended = once(query, "end");
      await sleep(300);
      // node-postgres never sends a cancel request over TLS; servers take it without as well.
      const canceller = new pg.Client({ ...settings, ssl: false });
      (canceller as unknown as { cancel(of: pg.Client, query: pg.Query): void }).cancel(
        client,
        query,
      );
      assert.equal((await failureOf(ended)).code, "57014");
      assert.ok(Date.now() - begun < 10_000);
      assert.equal((await client.query("SELECT 1")).rowCount, 1);
    }
  });
}

async function checkTransactions(): Promise<void> {
  await withClient(async (client) => {
    const balances = async (): Promise<unknown[]> => {
      const { rows } = await client.query<{ balance: string }>(
        "SELECT balance FROM accounts WHERE id IN (1, 2, 3, 4) ORDER BY id",
      );
      return rows.map(({ balance }) => balance);
    };
    const give = async (id: number, amount: number): Promise<unknown> =>
      await client.query("UPDATE accounts SET balance = balance + $2 WHERE id = $1", [id, amount]);
    await client.query("BEGIN");
    await give(1, -10);
    await give(2, 10);
    await client.query("SAVEPOINT s");
    await give(3, 5);
    assert.equal((await failureOf(client.query("SELECT 1 / 0"))).code, "22012");
    assert.equal((await failureOf(client.query("SELECT 1"))).code, "25P02");
    await client.query("ROLLBACK TO s");
    await give(4, 1);
    await client.query("COMMIT");
    assert.deepEqual(await balances(), ["90.00", "110.00", "100.00", "101.00"]);
    await client.query("BEGIN");
    for (const id of [1, 2, 3, 4]) await give(id, 1000);
    await client.query("ROLLBACK");
    assert.deepEqual(await balances(), ["90.00", "110.00", "100.00", "101.00"]);
    await client.query("UPDATE accounts SET balance = 100");
  });
}

async function checkListen(): Promise<void> {
  await withClient(async (client) => {
    await client.query("LISTEN compat");
    await withClient(async (other) => {
      const heard = once(client, "notification") as Promise<[pg.Notification]>;
      await other.query("SELECT pg_notify($1, $2)", ["compat", "ü 'payload'"]);
      const [{ channel, payload }] = await heard;
      assert.deepEqual([channel, payload], ["compat", "ü 'payload'"]);
    });
  });
}

async function checkErrors(): Promise<void> {
  await withClient(async (client) => {
    const twice = await failureOf(client.query("INSERT INTO accounts VALUES ($1, 'again')", [7]));
    const { code, schema, table, constraint } = twice;
    assert.deepEqual(
      [code, schema, table, constraint],
      ["23505", "public", "accounts", "accounts_pkey"],
    );
    const syntax = await failureOf(client.query("SELECT id FORM accounts WHERE id = 1"));
    assert.deepEqual([syntax.code, syntax.position], ["42601", "16"]);
    const value = await failureOf(client.query("SELECT owner FROM accounts WHERE id = $1", ["x"]));
    assert.equal(value.code, "22P02");
    const { rows } = await client.query("SELECT owner FROM accounts WHERE id = 7");
    assert.deepEqual(rows, [{ owner: "owner 7" }]);
  });
}

async function checkReconnect(): Promise<void> {
  const pool = new pg.Pool({ ...settings, max: 1 });
  pool.on("error", () => undefined);
  try {
    const client = await pool.connect();
    client.on("error", () => undefined);
    for (const sql of LOSE_CONNECTION) await client.query(sql);
    await sleep(LOST_AFTER_MS);
    await failureOf(client.query("SELECT owner FROM accounts WHERE id = 3"));
    client.release(true);
    const { rows } = await pool.query("SELECT owner FROM accounts WHERE id = 3");
    assert.deepEqual(rows, [{ owner: "owner 3" }]);
  } finally {
    await pool.end();
  }
}

async function checkLarge(): Promise<void> {
  await withClient(async (client) => {
    const note = "0123456789abcdef".repeat(65_536);
    await client.query("UPDATE accounts SET note = $2 WHERE id = $1", [5, note]);
    const { rows } = await client.query<{ note: string }>("SELECT note FROM accounts WHERE id = 5");
    assert.equal(rows[0]?.note, note);
    const cursor = client.query(
      new Cursor<{ n: number }>("SELECT n FROM generate_series(1, 100000) AS n", []),
    );
    let next = 1;
    for (;;) {
      const some = await cursor.read(10_000);
      if (some.length === 0) break;
      for (const { n } of some) assert.equal(n, next++);
    }
    assert.equal(next, 100_001);
  });
}

await runChecks({
  connect: checkConnect,
  "types-text": checkTypesText,
  "types-binary": checkTypesBinary,
  prepared: checkPrepared,
  pipeline: checkPipeline,
  copy: checkCopy,
  cursor: checkCursor,
  cancel: checkCancel,
  transactions: checkTransactions,
  listen: checkListen,
  errors: checkErrors,
  reconnect: checkReconnect,
  large: checkLarge,
});
process.exit(0);
