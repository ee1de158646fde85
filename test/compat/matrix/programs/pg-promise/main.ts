/** pg-promise: node-postgres beneath its own connections, formatting, tasks and transactions. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import pgPromise from "pg-promise";
import {
  absent,
  connectionSettings,
  failureOf,
  range,
  runChecks,
  LOSE_CONNECTION,
  LOST_AFTER_MS,
} from "../../node/reporting.ts";
import {
  castTypeRows,
  INSERT_TYPES,
  SELECT_TYPES,
  TYPE_COLUMNS,
  typeRows,
} from "../../node/type-values.ts";

const settings = connectionSettings();
const library = pgPromise({ noWarnings: true });
const database = library({ ...settings, max: 2 });

type Row = Readonly<Record<string, unknown>>;

/** Attempts to connect end when their pool is thrown away. */
async function refusal(more: object): Promise<string | undefined> {
  const other = library({ ...settings, ...more });
  try {
    return (await failureOf(other.one("SELECT 1"))).code;
  } finally {
    await other.$pool.end();
  }
}

async function checkConnect(): Promise<void> {
  const { server_version: version } = await database.one<{ server_version: string }>(
    "SHOW server_version",
  );
  assert.match(version, /^18\./);
  assert.equal(await refusal({ password: "wrong" }), "28P01");
  assert.match(String(await refusal({ ssl: true })), /CERT|ISSUER|VERIFY/);
}

async function checkTypesText(): Promise<void> {
  for (const row of typeRows()) {
    // Some written into the text by pg-promise, some as the protocol's parameters.
    if (Number(row[0]) % 2 === 0) await database.none(INSERT_TYPES, row);
    else await database.none(new library.ParameterizedQuery({ text: INSERT_TYPES, values: row }));
  }
  const casts = TYPE_COLUMNS.map((column) => `${column}::text`).join(", ");
  const rows = await database.many<Row>(`SELECT ${casts} FROM every_type ORDER BY every_type.id`);
  assert.deepEqual(
    rows.map((row) => Object.values(row)),
    castTypeRows(),
  );
  assert.equal((await database.many(SELECT_TYPES)).length, 12);
  const values = {
    at: new Date("2024-02-29T12:34:56.789Z"),
    bytes: Buffer.from([0, 255]),
    json: { a: ["'"] },
  };
  const { id } = await database.one<{ id: string }>(
    `INSERT INTO every_type (id, a_timestamptz, a_bytea, a_jsonb, integers)
     VALUES (50, $<at>, $<bytes>, $<json:json>, $<list>::int[]) RETURNING id`,
    { ...values, list: [1, 2] },
  );
  assert.equal(id, "50");
  const row = await database.one<Row>(
    "SELECT a_timestamptz, a_bytea, a_jsonb, integers FROM every_type WHERE id = 50",
  );
  assert.deepEqual(Object.values(row), [values.at, values.bytes, values.json, [1, 2]]);
}

async function checkTypesBinary(): Promise<void> {
  const query = new library.ParameterizedQuery({
    text: "SELECT id, id::int AS small, id > 3 AS more FROM accounts WHERE id <= $1 ORDER BY id",
    values: [4],
    binary: true,
  });
  const rows = await database.many<Row>(query);
  assert.deepEqual(
    rows,
    range(1, 4).map((id) => ({ id: String(id), small: id, more: id > 3 })),
  );
  const bytes = Buffer.from([0, 255, 92, 39]);
  await database.none(
    new library.ParameterizedQuery({
      text: "INSERT INTO every_type (id, a_bytea) VALUES ($1, $2)",
      values: [60, bytes],
    }),
  );
  assert.deepEqual(await database.one("SELECT a_bytea FROM every_type WHERE id = 60"), {
    a_bytea: bytes,
  });
}

async function checkPrepared(): Promise<void> {
  const askAll = async (task: pgPromise.ITask<object>): Promise<void> => {
    for (const id of range(1, 20)) {
      const text = "SELECT id, owner FROM accounts WHERE id = $1";
      const query = new library.PreparedStatement({ name: "owner by id", text, values: [id] });
      assert.deepEqual(await task.one<Row>(query), { id: String(id), owner: `owner ${id}` });
    }
  };
  await database.task(async (task) => {
    await askAll(task);
    await database.none("ALTER TABLE accounts ADD COLUMN extra integer");
    await askAll(task);
    await database.none("ALTER TABLE accounts DROP COLUMN extra");
    await askAll(task);
  });
}

/** Batches: many statements in one text, and tasks of many queries. */
async function checkPipeline(): Promise<void> {
  const [first, second] = await database.multi<Row>(
    "SELECT owner FROM accounts WHERE id = 1; SELECT owner FROM accounts WHERE id = 2; SELECT 3 AS three",
  );
  assert.deepEqual([first, second], [[{ owner: "owner 1" }], [{ owner: "owner 2" }]]);
  const owners = await database.task(
    async (task) =>
      await task.batch(
        range(1, 20).map(
          async (id) => await task.one<Row>("SELECT owner FROM accounts WHERE id = $1", id),
        ),
      ),
  );
  assert.deepEqual(
    owners,
    range(1, 20).map((id) => ({ owner: `owner ${id}` })),
  );
  const inserts =
    "INSERT INTO accounts (id, owner) VALUES (2001, 'a'); INSERT INTO accounts (id, owner) VALUES (2002, 'b'); SELECT 1 / 0";
  assert.equal((await failureOf(database.multi(inserts))).code, "22012");
  assert.deepEqual(await database.any("SELECT id FROM accounts WHERE id > 2000"), []);
  const columns = new library.helpers.ColumnSet(["id", "owner"], { table: "accounts" });
  const rows = range(3001, 3100).map((id) => ({ id, owner: `ü '${id}'` }));
  await database.none(library.helpers.insert(rows, columns));
  const { count } = await database.one<{ count: string }>(
    "SELECT count(*) FROM accounts WHERE id > 3000",
  );
  assert.equal(count, "100");
  await database.none("DELETE FROM accounts WHERE id > 3000");
}

async function checkCursor(): Promise<void> {
  await database.tx(async (tx) => {
    await tx.none("DECLARE c CURSOR FOR SELECT id FROM accounts ORDER BY id");
    const read: string[] = [];
    for (;;) {
      const rows = await tx.any<{ id: string }>("FETCH 70 FROM c");
      if (rows.length === 0) break;
      read.push(...rows.map(({ id }) => id));
    }
    assert.deepEqual(read, range(1, 1000).map(String));
  });
}

async function checkCancel(): Promise<void> {
  const connection = await database.connect();
  try {
    const { client } = connection;
    const begun = Date.now();
    const failure = failureOf(connection.any("SELECT pg_sleep(25)"));
    await sleep(300);
    const { activeQuery } = client as unknown as { activeQuery: pg.Query };
    const canceller = new pg.Client({ ...settings, ssl: false });
    (canceller as unknown as { cancel(of: unknown, query: pg.Query): void }).cancel(
      client,
      activeQuery,
    );
    assert.equal((await failure).code, "57014");
    assert.ok(Date.now() - begun < 10_000);
    await connection.one("SELECT 1");
  } finally {
    await connection.done();
  }
}

async function checkTransactions(): Promise<void> {
  const balances = async (): Promise<unknown[]> =>
    await database.map(
      "SELECT balance FROM accounts WHERE id <= 4 ORDER BY id",
      [],
      (row: Row) => row["balance"],
    );
  await database.tx(async (tx) => {
    const give = async (id: number, amount: number): Promise<null> =>
      await tx.none("UPDATE accounts SET balance = balance + $2 WHERE id = $1", [id, amount]);
    await give(1, -10);
    await give(2, 10);
    const nested = tx.tx(async (savepoint) => {
      await savepoint.none("UPDATE accounts SET balance = 0 WHERE id = 3");
      assert.equal((await failureOf(savepoint.one("SELECT 1 / 0"))).code, "22012");
      assert.equal((await failureOf(savepoint.one("SELECT 1"))).code, "25P02");
      throw new Error("undo");
    });
    assert.equal((await failureOf(nested)).message, "undo");
    await give(4, 1);
  });
  const expected = ["90.00", "110.00", "100.00", "101.00"];
  assert.deepEqual(await balances(), expected);
  await failureOf(
    database.tx(async (tx) => {
      for (const id of range(1, 4))
        await tx.none("UPDATE accounts SET balance = 0 WHERE id = $1", id);
      throw new Error("undo");
    }),
  );
  assert.deepEqual(await balances(), expected);
  await database.none("UPDATE accounts SET balance = 100");
}

async function checkListen(): Promise<void> {
  const connection = await database.connect({ direct: true });
  try {
    await connection.none("LISTEN $1:name", "compat");
    const heard = once(connection.client, "notification") as Promise<[pg.Notification]>;
    await database.any("SELECT pg_notify($1, $2)", ["compat", "ü 'payload'"]);
    const [{ payload }] = await heard;
    assert.equal(payload, "ü 'payload'");
  } finally {
    await connection.done();
  }
}

async function checkErrors(): Promise<void> {
  const twice = await failureOf(database.none("INSERT INTO accounts VALUES ($1, 'again')", 7));
  const { code, schema, table, constraint } = twice;
  assert.deepEqual(
    [code, schema, table, constraint],
    ["23505", "public", "accounts", "accounts_pkey"],
  );
  const syntax = await failureOf(database.any("SELECT id FORM accounts WHERE id = 1"));
  assert.deepEqual([syntax.code, syntax.position], ["42601", "16"]);
  assert.equal(
    (await failureOf(database.any("SELECT owner FROM accounts WHERE id = $1", "x"))).code,
    "22P02",
  );
  const none = await failureOf(database.one("SELECT owner FROM accounts WHERE id = 0"));
  assert.ok(none instanceof library.errors.QueryResultError);
  assert.deepEqual(await database.one("SELECT owner FROM accounts WHERE id = 7"), {
    owner: "owner 7",
  });
}

async function checkReconnect(): Promise<void> {
  const connection = await database.connect();
  for (const sql of LOSE_CONNECTION) await connection.any(sql);
  await sleep(LOST_AFTER_MS);
  await failureOf(connection.any("SELECT owner FROM accounts WHERE id = 3"));
  await connection.done(true);
  assert.deepEqual(await database.one("SELECT owner FROM accounts WHERE id = 3"), {
    owner: "owner 3",
  });
}

async function checkLarge(): Promise<void> {
  const note = "0123456789abcdef".repeat(65_536);
  await database.none("UPDATE accounts SET note = $2 WHERE id = $1", [5, note]);
  assert.deepEqual(await database.one("SELECT note FROM accounts WHERE id = 5"), { note });
  const rows = await database.many<{ n: number }>("SELECT n FROM generate_series(1, 100000) AS n");
  assert.deepEqual(
    rows.map(({ n }) => n),
    range(1, 100_000),
  );
}

await runChecks({
  connect: checkConnect,
  "types-text": checkTypesText,
  "types-binary": checkTypesBinary,
  prepared: checkPrepared,
  pipeline: checkPipeline,
  copy: absent(
    "pg-promise has no COPY of its own; pg-copy-streams on its client is node-postgres's",
  ),
  cursor: checkCursor,
  cancel: checkCancel,
  transactions: checkTransactions,
  listen: checkListen,
  errors: checkErrors,
  reconnect: checkReconnect,
  large: checkLarge,
});
process.exit(0);
