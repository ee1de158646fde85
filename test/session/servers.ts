/**
 * One plain PostgreSQL database, and a proxy whose map spreads the same tables over three:
 * accounts below 100 live in `east`, below 200 in `west`, and above in `west`'s schema `far`.
 */
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { startTestProxy } from "../support/proxy.ts";
import type { TestProxy, TestProxyOptions } from "../support/proxy.ts";
import { RawClient } from "../support/raw-client.ts";

const SHARDED = `
  CREATE TABLE accounts (id bigint PRIMARY KEY, name text, balance integer NOT NULL CHECK (balance >= 0));
  CREATE TABLE entries (account bigint REFERENCES accounts, n integer, note text, PRIMARY KEY (account, n));
  CREATE TABLE late (account bigint, n integer, CONSTRAINT late_once UNIQUE (account, n) DEFERRABLE INITIALLY DEFERRED);
  CREATE TABLE things (id bigint PRIMARY KEY, small smallint, number numeric(10,2), single float4, wide float8,
    flag boolean, letters varchar(10), fixed char(5), word text, bytes bytea, day date, moment timestamp,
    instant timestamptz, hour time, span interval, one uuid, document jsonb, list integer[], words text[]);`;
const REFERENCE = "CREATE TABLE countries (code text PRIMARY KEY, name text NOT NULL);";
const UNLISTED = "CREATE TABLE notes (id integer PRIMARY KEY, body text);";
/** Another table of the same name, for who asks for its schema. */
const SIDE = `CREATE SCHEMA side; CREATE TABLE side.accounts (id bigint, own text);
  INSERT INTO side.accounts VALUES (1, 'of side');`;
/** In every database, since a statement may call it anywhere. */
const FUNCTIONS = `
  CREATE FUNCTION public.say(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
    $$ BEGIN RAISE NOTICE 'it said: %', $1 USING HINT = 'no hint', DETAIL = 'none'; RETURN $1; END $$;
  CREATE FUNCTION public.late_sleep(double precision) RETURNS boolean LANGUAGE sql IMMUTABLE AS
    $$ SELECT pg_catalog.pg_sleep($1) IS NOT NULL $$;`;

/** What a database has that holds everything. */
export const WHOLE_SCHEMA = `${SHARDED} ${REFERENCE} ${UNLISTED} ${FUNCTIONS}`;

const TABLES = ["entries", "accounts", "late", "things"];

export interface Servers extends AsyncDisposable {
  readonly first: TestPostgres;
  readonly second: TestPostgres;
  readonly proxy: TestProxy;
  readonly map: string;
  connectPlain(settings?: Readonly<Record<string, string>>): Promise<RawClient>;
  /** Empties all tables on both sides and gives them the same rows. */
  reset(): Promise<void>;
}

export const ROWS = `
  INSERT INTO accounts VALUES (1, 'ann', 10), (2, 'bob', 20), (101, 'cid', 30), (201, 'dan', 40)`;

/** `one`: every account lives in `west`'s schema `far`. */
export type Spread = "three" | "one";

const ROWS_OF_THREE = {
  east: "INSERT INTO accounts VALUES (1, 'ann', 10), (2, 'bob', 20)",
  west: `INSERT INTO accounts VALUES (101, 'cid', 30);
       INSERT INTO far.accounts VALUES (201, 'dan', 40)`,
};
const ROWS_OF_ONE = { east: "", west: ROWS.replace("accounts", "far.accounts") };

export async function startServers(
  options: TestProxyOptions = {},
  spread: Spread = "three",
): Promise<Servers> {
  const stack = new AsyncDisposableStack();
  try {
    const settings = { max_prepared_transactions: "50" };
    const first = stack.use(await startPostgres({ databases: ["plain", "main"], settings }));
    const second = stack.use(await startPostgres({ databases: ["east", "west"], settings }));
    await first.query("plain", WHOLE_SCHEMA);
    await first.query("main", `${WHOLE_SCHEMA} ${SIDE}`);
    await second.query("east", `${SHARDED} ${REFERENCE} ${FUNCTIONS}`);
    await second.query(
      "west",
      `${SHARDED} ${REFERENCE} ${FUNCTIONS}
      CREATE SCHEMA far; SET search_path = far; ${SHARDED}`,
    );
    const map = mapOf(first, second, spread);
    const proxy = stack.use(await startTestProxy(map, options));
    const held = stack.move();
    return {
      first,
      second,
      proxy,
      map,
      connectPlain: (given) =>
        RawClient.connect({
          host: first.host,
          port: first.port,
          user: "postgres",
          database: "plain",
          ...(given && { settings: given }),
        }),
      reset: () => reset(first, second, spread),
      [Symbol.asyncDispose]: () => held.disposeAsync(),
    };
  } catch (cause) {
    await stack.disposeAsync();
    throw cause;
  }
}

/** All tables of such a database empty, but for the same rows. */
export const WHOLE_RESET = `TRUNCATE ${TABLES.join(", ")}, countries, notes; ${ROWS}`;

async function reset(first: TestPostgres, second: TestPostgres, spread: Spread): Promise<void> {
  const tables = TABLES.join(", ");
  const far = TABLES.map((name) => `far.${name}`).join(", ");
  const rows = spread === "three" ? ROWS_OF_THREE : ROWS_OF_ONE;
  await Promise.all([
    first.query("plain", WHOLE_RESET),
    first.query("main", `TRUNCATE ${tables}, countries, notes`),
    second.query("east", `TRUNCATE ${tables}, countries; ${rows.east}`),
    second.query("west", `TRUNCATE ${tables}, ${far}, countries; ${rows.west}`),
  ]);
}

const PLACEMENTS: Readonly<Record<Spread, string>> = {
  three: `
      - { ranges: [{ to: 100 }], database: east }
      - { ranges: [{ from: 100, to: 200 }], database: west }
      - { ranges: [{ from: 200 }], database: west, schema: far }`,
  one: `
      - { ranges: [{}], database: west, schema: far }`,
};

function mapOf(first: TestPostgres, second: TestPostgres, spread: Spread): string {
  return `
version: 1
catalog: main
databases:
  main: { primary: ${first.url("main")} }
  east: { primary: ${second.url("east")} }
  west: { primary: ${second.url("west")} }
colocations:
  accounts:
    shard_key: bigint
    function: range
    tables: { accounts: id, entries: account, late: account, things: id }
    placements:${PLACEMENTS[spread]}
reference_tables: [countries]
unlisted_tables: catalog
`;
}
