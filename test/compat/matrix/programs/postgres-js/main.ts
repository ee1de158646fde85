/** postgres.js: every query of a connection is pipelined, every text that has parameters prepared. */
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import postgres from "postgres";
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

const { host, port, user, password, database, ssl } = connectionSettings();
const settings = { host, port, user, password, database, ssl };

type Sql = ReturnType<typeof postgres>;

async function withSql(
  run: (sql: Sql) => Promise<void>,
  more: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const sql = postgres({ ...settings, max: 1, onnotice: () => undefined, ...more });
  try {
    await run(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

async function checkConnect(): Promise<void> {
  await withSql(async (sql) => {
    const [row] = await sql`SHOW server_version`;
    assert.match(String(row?.["server_version"]), /^18\./);
    assert.match(String(sql.parameters["server_version"]), /^18\./);
  });
  const refuse = async (more: Readonly<Record<string, unknown>>): Promise<string | undefined> => {
    let code: string | undefined;
    await withSql(async (sql) => void ({ code } = await failureOf(sql`SELECT 1`)), more);
    return code;
  };
  assert.equal(await refuse({ password: "wrong" }), "28P01");
  assert.match(String(await refuse({ ssl: true })), /CERT|ISSUER|VERIFY/);
}

/** Text both ways: a parameter's type is the server's answer, a value's text is what postgres.js is given. */
async function checkTypesText(): Promise<void> {
  await withSql(async (sql) => {
    const casts = TYPE_COLUMNS.map((column) => `${column}::text`).join(", ");
    const assigned = INSERT_TYPES.replaceAll(/\$(\d+)/g, (parameter, number: string) => {
      const type = COLUMN_TYPES[TYPE_COLUMNS[Number(number) - 1] ?? ""];
      return type === undefined ? parameter : `${parameter}::text::${type}`;
    });
    for (const row of typeRows()) await sql.unsafe(assigned, row);
    const rows = await sql
      .unsafe(`SELECT ${casts} FROM every_type ORDER BY every_type.id`)
      .values();
    assert.deepEqual(
      [...rows].map((row) => [...(row as unknown[])]),
      castTypeRows(),
    );
    assert.equal((await sql.unsafe(SELECT_TYPES)).length, 12);
    const at = new Date("2024-02-29T12:34:56.789Z");
    const bytes = Buffer.from([0, 255]);
    await sql`INSERT INTO every_type (id, a_timestamptz, a_bytea, a_jsonb, integers, texts, a_boolean)
      VALUES (50, ${at}, ${bytes}, ${sql.json({ a: [1] })}, ${[1, 2]}, ${['a"', "b,c"]}, ${true})`;
    const [row] =
      await sql`SELECT a_timestamptz, a_bytea, a_jsonb, integers, texts, a_boolean, a_uuid
      FROM every_type WHERE id = ${50}`;
    assert.deepEqual(Object.values(row ?? {}), [
      at,
      bytes,
      { a: [1] },
      [1, 2],
      ['a"', "b,c"],
      true,
      null,
    ]);
  });
}

const COLUMN_TYPES: Readonly<Record<string, string>> = {
  a_boolean: "boolean",
  a_smallint: "smallint",
  an_integer: "integer",
  a_bigint: "bigint",
  a_numeric: "numeric",
  a_real: "real",
  a_double: "double precision",
  a_text: "text",
  a_varchar: "varchar(20)",
  a_char: "char(5)",
  a_bytea: "bytea",
  a_date: "date",
  a_time: "time",
  a_timetz: "timetz",
  a_timestamp: "timestamp",
  a_timestamptz: "timestamptz",
  an_interval: "interval",
  a_uuid: "uuid",
  a_json: "json",
  a_jsonb: "jsonb",
  integers: "integer[]",
  texts: "text[]",
  an_inet: "inet",
  a_cidr: "cidr",
  a_macaddr: "macaddr",
  a_bit: "bit(8)",
  a_varbit: "varbit",
  a_point: "point",
  an_int4range: "int4range",
  a_tstzrange: "tstzrange",
  an_xml: "xml",
  a_money: "money",
  a_mood: "mood",
  a_posint: "posint",
  a_comp: "comp",
};

async function checkPrepared(): Promise<void> {
  await withSql(async (sql) => {
    const askAll = async (): Promise<void> => {
      for (const id of range(1, 20)) {
        const rows = await sql`SELECT id, owner FROM accounts WHERE id = ${id}`;
        assert.deepEqual([...rows], [{ id: String(id), owner: `owner ${id}` }]);
      }
    };
    await askAll();
    await withSql(async (other) => {
      await other`ALTER TABLE accounts ADD COLUMN extra integer`;
      await askAll();
      await other`ALTER TABLE accounts DROP COLUMN extra`;
      await askAll();
    });
  });
}

async function checkPipeline(): Promise<void> {
  await withSql(async (sql) => {
    const sent = range(1, 30).map(async (id) =>
      id === 15
        ? await sql`SELECT 1 / (${id}::int - 15)`
        : await sql`SELECT owner FROM accounts WHERE id = ${id}`,
    );
    for (const [index, answer] of (await Promise.allSettled(sent)).entries()) {
      if (answer.status === "rejected") {
        assert.equal(index, 14);
        assert.equal((answer.reason as { code: string }).code, "22012");
      } else {
        assert.deepEqual([...answer.value], [{ owner: `owner ${index + 1}` }]);
      }
    }
    const [count] = await sql.begin((inside) => [
      inside`SELECT count(*)::int FROM accounts`,
      ...range(1, 8).map((id) => inside`SELECT owner FROM accounts WHERE id = ${id}`),
    ]);
    assert.deepEqual([...count], [{ count: 1000 }]);
  });
}

async function checkCopy(): Promise<void> {
  await withSql(async (sql) => {
    const lines = range(10_001, 15_000).map(
      (id) => `${id}\towner\\t${id}\t${id}.50\t${id % 2 ? "\\N" : "ü"}\n`,
    );
    const sink = await sql`COPY accounts FROM STDIN`.writable();
    await pipeline(Readable.from(lines), sink);
    const source =
      await sql`COPY (SELECT * FROM accounts WHERE id > 10000 ORDER BY id) TO STDOUT`.readable();
    assert.equal((await buffer(source)).toString(), lines.join(""));
    const table = await buffer(await sql`COPY accounts TO STDOUT`.readable());
    assert.equal(table.toString().split("\n").length - 1, 6000);
    await sql`DELETE FROM accounts WHERE id > 10000`;
  });
}

async function checkCursor(): Promise<void> {
  await withSql(async (sql) => {
    const read: string[] = [];
    await sql.begin(async (inside) => {
      await inside`SELECT id FROM accounts ORDER BY id`.cursor(70, (rows) => {
        read.push(...rows.map((row) => String(row["id"])));
      });
      for await (const rows of inside`SELECT id FROM accounts ORDER BY id DESC`.cursor(10)) {
        assert.deepEqual(
          rows.map((row): unknown => row["id"]),
          range(991, 1000).toReversed().map(String),
        );
        break;
      }
      await inside`DECLARE c CURSOR FOR SELECT id FROM accounts ORDER BY id DESC`;
      const fetched = await inside`FETCH 3 FROM c`;
      assert.deepEqual(
        fetched.map((row): unknown => row["id"]),
        ["1000", "999", "998"],
      );
    });
    assert.deepEqual(read, range(1, 1000).map(String));
  });
}

async function checkCancel(): Promise<void> {
  await withSql(async (sql) => {
    for (const query of [
      sql`SELECT pg_sleep(25)`,
      sql`SELECT sum(a.id) FROM accounts a, generate_series(1, 100000000)`,
    ]) {
      const begun = Date.now();
      const failure = failureOf(query.execute());
      await sleep(300);
      query.cancel();
      assert.equal((await failure).code, "57014");
      assert.ok(Date.now() - begun < 10_000);
      assert.equal((await sql`SELECT 1`).length, 1);
    }
  });
}

async function checkTransactions(): Promise<void> {
  await withSql(async (sql) => {
    const balances = async (): Promise<unknown[]> =>
      (await sql`SELECT balance FROM accounts WHERE id <= 4 ORDER BY id`).map(
        (row): unknown => row["balance"],
      );
    await sql.begin(async (inside) => {
      const give = async (id: number, amount: number): Promise<unknown> =>
        await inside`UPDATE accounts SET balance = balance + ${amount} WHERE id = ${id}`;
      await give(1, -10);
      await give(2, 10);
      const failure = await failureOf(
        inside.savepoint(async (within) => {
          await within`UPDATE accounts SET balance = 0 WHERE id = 3`;
          assert.equal((await failureOf(within`SELECT 1 / 0`)).code, "22012");
          assert.equal((await failureOf(within`SELECT 1`)).code, "25P02");
          throw new Error("undo");
        }),
      );
      assert.ok(failure instanceof Error);
      await give(4, 1);
    });
    const expected = ["90.00", "110.00", "100.00", "101.00"];
    assert.deepEqual(await balances(), expected);
    await failureOf(
      sql.begin(async (inside) => {
        for (const id of range(1, 4))
          await inside`UPDATE accounts SET balance = 0 WHERE id = ${id}`;
        throw new Error("undo");
      }),
    );
    assert.deepEqual(await balances(), expected);
    await sql`UPDATE accounts SET balance = 100`;
  });
}

async function checkListen(): Promise<void> {
  await withSql(async (sql) => {
    const heard = Promise.withResolvers<string>();
    const listening = await sql.listen("compat", heard.resolve);
    await withSql(async (other) => void (await other.notify("compat", "ü 'payload'")));
    assert.equal(await heard.promise, "ü 'payload'");
    await listening.unlisten();
  });
}

async function checkErrors(): Promise<void> {
  await withSql(async (sql) => {
    const twice = await failureOf(sql`INSERT INTO accounts VALUES (${7}, 'again')`);
    assert.deepEqual(
      [twice.code, twice.schema_name, twice.table_name, twice.constraint_name],
      ["23505", "public", "accounts", "accounts_pkey"],
    );
    const syntax = await failureOf(sql`SELECT id FORM accounts WHERE id = 1`);
    assert.deepEqual([syntax.code, syntax.position], ["42601", "16"]);
    assert.equal(
      (await failureOf(sql`SELECT owner FROM accounts WHERE id = ${"x"}`)).code,
      "22P02",
    );
    assert.deepEqual(
      [...(await sql`SELECT owner FROM accounts WHERE id = 7`)],
      [{ owner: "owner 7" }],
    );
  });
}

async function checkReconnect(): Promise<void> {
  await withSql(async (sql) => {
    const lost = sql.begin(async (inside) => {
      for (const text of LOSE_CONNECTION.filter((each) => each !== "BEGIN"))
        await inside.unsafe(text);
      await sleep(LOST_AFTER_MS);
      await inside`SELECT owner FROM accounts WHERE id = 3`;
    });
    await failureOf(lost);
    const rows = await sql`SELECT owner FROM accounts WHERE id = 3`;
    assert.deepEqual([...rows], [{ owner: "owner 3" }]);
  });
}

async function checkLarge(): Promise<void> {
  await withSql(async (sql) => {
    const note = "0123456789abcdef".repeat(65_536);
    await sql`UPDATE accounts SET note = ${note} WHERE id = ${5}`;
    const [row] = await sql`SELECT note FROM accounts WHERE id = 5`;
    assert.equal(row?.["note"], note);
    let next = 1;
    await sql`SELECT n FROM generate_series(1, 100000) AS n`.forEach((each) => {
      assert.equal(each["n"], next++);
    });
    assert.equal(next, 100_001);
  });
}

await runChecks({
  connect: checkConnect,
  "types-text": checkTypesText,
  "types-binary": absent("postgres.js sends and asks for text only"),
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
