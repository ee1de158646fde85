/** Triggers, defaults and functions that look at more than their row, met by a client of the proxy. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { ErrorId } from "../../base/sql-error.ts";
import { ServerError, type RawClient } from "../support/raw-client.ts";
import { startServers, type Servers } from "./servers.ts";

let servers: Servers;
let client: RawClient;

beforeAll(async () => {
  servers = await startServers();
  client = await servers.proxy.connect();
});
afterAll(async () => {
  client.destroy();
  await servers[Symbol.asyncDispose]();
});
beforeEach(() => servers.reset());

async function refused(sql: string, id: ErrorId): Promise<void> {
  const error: unknown = await client.query(sql).catch((thrown: unknown) => thrown);
  expect(error, sql).toBeInstanceOf(ServerError);
  expect((error as ServerError).fields["R"], sql).toBe(id);
}

/** With a trigger function of that body and a trigger for it, made through the proxy. */
async function withTrigger(
  { table, when, body }: { readonly table: string; readonly when: string; readonly body: string },
  use: () => Promise<void>,
): Promise<void> {
  await client.query(
    `CREATE FUNCTION fired() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN ${body} END $f$`,
  );
  try {
    await client.query(
      `CREATE TRIGGER fire ${when} ON ${table} FOR EACH ROW EXECUTE FUNCTION public.fired()`,
    );
    await use();
  } finally {
    await client.query(`DROP TRIGGER fire ON ${table}`);
    await client.query("DROP FUNCTION fired()");
  }
}

test("a trigger that only stamps its own row works in every placement", async () => {
  const stamp = {
    table: "things",
    when: "BEFORE INSERT OR UPDATE",
    body: "NEW.word := upper(NEW.word); NEW.instant := now(); RETURN NEW;",
  };
  await withTrigger(stamp, async () => {
    await client.query("INSERT INTO things (id, word) VALUES (1, 'a'), (101, 'b'), (201, 'c')");
    const all = "SELECT id, word, instant IS NOT NULL FROM things ORDER BY id";
    expect(await client.query(all)).toEqual([
      ["1", "A", "t"],
      ["101", "B", "t"],
      ["201", "C", "t"],
    ]);
    await client.query("UPDATE things SET word = 'x' WHERE id = 201");
    expect(await client.query("SELECT word FROM things WHERE id = 201")).toEqual([["X"]]);
    await client.query("DELETE FROM things WHERE id = 101");
    expect(await client.query("SELECT count(*) FROM things")).toEqual([["2"]]);
  });
});

test("a trigger that changes the shard key is refused, for its row would be lost", async () => {
  const move = {
    table: "things",
    when: "BEFORE INSERT",
    body: "NEW.id := NEW.id + 100; RETURN NEW;",
  };
  await withTrigger(move, async () => {
    await refused("INSERT INTO things (id) VALUES (1)", "trigger_not_supported");
  });
  expect(await client.query("SELECT count(*) FROM things")).toEqual([["0"]]);
});

test("a trigger that writes other rows is refused", async () => {
  const spread = {
    table: "accounts",
    when: "AFTER UPDATE",
    body: "UPDATE public.entries SET note = 'seen'; RETURN NULL;",
  };
  await withTrigger(spread, async () => {
    await refused("UPDATE accounts SET balance = 1", "trigger_not_supported");
    await refused("DELETE FROM accounts WHERE id = 1", "trigger_not_supported");
    await refused(
      "WITH w AS (UPDATE accounts SET balance = 1 WHERE id = 1 RETURNING id) SELECT * FROM w",
      "trigger_not_supported",
    );
    expect(await client.query("SELECT balance FROM accounts WHERE id = 1")).toEqual([["10"]]);
  });
});

test("a trigger of an unlisted table may not write a sharded one, and may write its own kind", async () => {
  const toSharded = {
    table: "notes",
    when: "AFTER INSERT",
    body: "INSERT INTO accounts VALUES (NEW.id, 'x', 0); RETURN NULL;",
  };
  await withTrigger(toSharded, async () => {
    await refused("INSERT INTO notes VALUES (1, 'a')", "trigger_not_supported");
  });
  const composed = {
    ...toSharded,
    body: "EXECUTE 'INSERT INTO acc' || 'ounts VALUES (7, NULL, 0)'; RETURN NULL;",
  };
  await withTrigger(composed, async () => {
    await refused("INSERT INTO notes VALUES (1, 'a')", "trigger_not_supported");
  });
  const keeping = {
    ...toSharded,
    body: "CREATE TEMP TABLE IF NOT EXISTS seen (id integer); RETURN NULL;",
  };
  await withTrigger(keeping, async () => {
    await refused("INSERT INTO notes VALUES (1, 'a')", "trigger_not_supported");
  });
  await client.query("CREATE TABLE audit (id integer, body text)");
  const audit = {
    ...toSharded,
    body: "INSERT INTO audit VALUES (NEW.id, NEW.body); RETURN NULL;",
  };
  await withTrigger(audit, async () => {
    await client.query("INSERT INTO notes VALUES (1, 'a')");
    expect(await client.query("SELECT id, body FROM audit")).toEqual([["1", "a"]]);
  });
  await client.query("DROP TABLE audit");
  const written = await servers.first.query("main", "SELECT FROM accounts");
  expect(written.rowCount).toBe(0);
});

test("a default that counts rows is refused when it is made, and when it is there already", async () => {
  const counting = `CREATE FUNCTION public.counted() RETURNS bigint LANGUAGE sql STABLE AS
    'SELECT count(*) FROM public.accounts'`;
  await client.query(counting);
  const setDefault = "ALTER TABLE things ALTER COLUMN small SET DEFAULT counted()";
  await refused(setDefault, "stored_expression_not_supported");
  await refused(
    "ALTER TABLE things ADD COLUMN counted bigint DEFAULT counted()",
    "insert_expression_not_supported",
  );
  await refused(
    "ALTER TABLE things ADD CONSTRAINT few CHECK (counted() < 3)",
    "stored_expression_not_supported",
  );
  await refused("INSERT INTO notes VALUES (counted(), 'a')", "function_reads_tables");
  // Made behind the proxy's back, and seen with the next change that goes through it.
  await servers.first.query("main", setDefault);
  await client.query("CREATE TABLE later (id integer)");
  try {
    await refused("INSERT INTO things (id) VALUES (1)", "stored_expression_not_supported");
    await client.query("INSERT INTO things (id, small) VALUES (1, 2)");
  } finally {
    await client.query("DROP TABLE later");
    await client.query("ALTER TABLE things ALTER COLUMN small DROP DEFAULT");
    await client.query("DROP FUNCTION counted()");
  }
});

test("a function that only says it is immutable is refused, and so is one that calls it", async () => {
  await client.query(
    `CREATE FUNCTION lying() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT count(*) FROM public.accounts'`,
  );
  await client.query(
    `CREATE FUNCTION fronting() RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN public.lying(); END'`,
  );
  await client.query(
    `CREATE FUNCTION honest(bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2'`,
  );
  await refused("SELECT id, lying() FROM accounts WHERE id = 1", "function_reads_tables");
  await refused("SELECT id, fronting() FROM accounts", "function_reads_tables");
  expect(await client.query("SELECT honest(id) FROM accounts ORDER BY id")).toEqual([
    ["2"],
    ["4"],
    ["202"],
    ["402"],
  ]);
  for (const name of ["lying()", "fronting()", "honest(bigint)"])
    await client.query(`DROP FUNCTION ${name}`);
});

test("what calls a function without its name is what the function is", async () => {
  const made = [
    `CREATE FUNCTION honest_op(text, text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1 || $2'`,
    `CREATE FUNCTION lying_op(text, text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT count(*)::text FROM public.accounts'`,
    `CREATE FUNCTION lying_check(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT count(*) < 3 FROM public.accounts'`,
    "CREATE OPERATOR <+> (leftarg = text, rightarg = text, function = honest_op)",
    "CREATE OPERATOR <-+> (leftarg = text, rightarg = text, function = lying_op)",
    "CREATE TYPE wrapped AS (value text)",
    `CREATE FUNCTION wrapping(text) RETURNS wrapped LANGUAGE sql IMMUTABLE AS 'SELECT ROW(count(*)::text)::public.wrapped FROM public.accounts'`,
    "CREATE CAST (text AS wrapped) WITH FUNCTION wrapping(text)",
    `CREATE FUNCTION defaulting(boolean DEFAULT lying_check('a')) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1'`,
  ];
  for (const sql of made) await client.query(sql);
  // Made past the proxy, which refuses to make them.
  await servers.first.query(
    "main",
    `CREATE DOMAIN few AS text CHECK (lying_check(VALUE));
     CREATE TABLE kept (value few);
     CREATE TABLE checked (value text CHECK (lying_check(value)));
     CREATE TABLE indexed (value text); CREATE INDEX ON indexed (lying_check(value))`,
  );
  await client.query("CREATE TABLE later (id integer)");
  try {
    expect(await client.query("SELECT name <+> 'x' FROM accounts WHERE id = 1")).toEqual([
      ["annx"],
    ]);
    for (const sql of [
      "SELECT 'a' <-+> 'b'",
      "SELECT id FROM accounts WHERE name = 'a' OPERATOR(public.<-+>) 'b'",
      "UPDATE accounts SET name = name <-+> 'b' WHERE id = 1",
      "INSERT INTO accounts VALUES (3, 'a' <-+> 'b', 0)",
      "SELECT 'a'::text::wrapped",
      "SELECT CAST('a' AS few)",
      "SELECT defaulting()",
      "INSERT INTO kept VALUES ('a')",
      "INSERT INTO checked VALUES ('a')",
      "UPDATE indexed SET value = 'a'",
      "COPY checked FROM STDIN",
    ])
      await refused(sql, "function_reads_tables");
    await client.query("DELETE FROM checked");
    await refused(
      "CREATE TABLE more (v text CHECK (lying_check(v)))",
      "stored_expression_not_supported",
    );
    await refused(
      "ALTER TABLE later ADD COLUMN v boolean DEFAULT lying_check('a')",
      "stored_expression_not_supported",
    );
    await refused(
      "ALTER TABLE later ALTER id TYPE boolean USING lying_check('a')",
      "stored_expression_not_supported",
    );
  } finally {
    await client.query("DROP TABLE later, kept, checked, indexed");
    await servers.first.query("main", "DROP DOMAIN few");
    await client.query("DROP OPERATOR <+> (text, text), <-+> (text, text)");
    await client.query("DROP CAST (text AS wrapped)");
    await client.query("DROP FUNCTION wrapping(text)");
    await client.query("DROP TYPE wrapped");
    for (const name of [
      "defaulting(boolean)",
      "honest_op(text, text)",
      "lying_op(text, text)",
      "lying_check(text)",
    ])
      await client.query(`DROP FUNCTION ${name}`);
  }
});

test("an aggregate is what its functions are", async () => {
  const made = (name: string, volatility: string, text: string): string =>
    `CREATE FUNCTION ${name}_step(bigint, bigint) RETURNS bigint LANGUAGE sql ${volatility} AS '${text}';
     CREATE AGGREGATE ${name}(bigint) (SFUNC = ${name}_step, STYPE = bigint, INITCOND = '0')`;
  await client.query(made("summed", "IMMUTABLE", "SELECT $1 + $2"));
  await client.query(made("counted", "IMMUTABLE", "SELECT count(*) FROM public.accounts"));
  await client.query(
    made("kept", "VOLATILE", "SELECT CASE WHEN pg_advisory_lock($2) IS NULL THEN $1 END"),
  );
  expect(await client.query("SELECT summed(n) FROM generate_series(1, 4) n")).toEqual([["10"]]);
  await refused("SELECT counted(id) FROM accounts WHERE id = 1", "function_reads_tables");
  await refused("SELECT kept(n) FROM generate_series(1, 4) n", "function_reads_tables");
  for (const name of ["summed", "counted", "kept"]) {
    await client.query(`DROP AGGREGATE ${name}(bigint)`);
    await client.query(`DROP FUNCTION ${name}_step(bigint, bigint)`);
  }
});

test("rules cannot be made, and one that is there can be dropped", async () => {
  await refused(
    "CREATE RULE also AS ON INSERT TO notes DO ALSO INSERT INTO accounts VALUES (1)",
    "rules_not_supported",
  );
  await servers.first.query("main", "CREATE RULE also AS ON DELETE TO notes DO NOTHING");
  await client.query("CREATE TABLE later (id integer)");
  await refused("DELETE FROM notes", "rules_not_supported");
  await client.query("DROP RULE also ON notes");
  await client.query("INSERT INTO notes VALUES (5, 'kept')");
  await client.query("DROP TABLE later");
});
