/** Three databases of one fleet, with three users each, and what must not be left on them. */
import { expect } from "vitest";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { Gathering, gatherPlan } from "./gathering.ts";
import type { PullText } from "./gathering.ts";

const TABLES = `
  CREATE TABLE users (id bigint PRIMARY KEY, name text COLLATE "C", born date);
  CREATE TABLE written (id bigint PRIMARY KEY);
  CREATE FUNCTION tell(bigint) RETURNS bigint LANGUAGE plpgsql AS
    $$ BEGIN RAISE NOTICE 'told %', $1; RETURN $1; END $$;
  CREATE FUNCTION dawdle(bigint) RETURNS bigint LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(60); RETURN $1; END $$;`;

export interface GatherServers extends AsyncDisposable {
  /** Has `main`, the catalog database. */
  readonly first: TestPostgres;
  /** Has `east` and `west`. */
  readonly second: TestPostgres;
  readonly gathering: Gathering;
  /** Users are 1 to 3 in main, 101 to 103 in east, 201 to 203 in west. */
  expectNothingLeft(): Promise<void>;
}

export async function startGatherServers(): Promise<GatherServers> {
  const stack = new AsyncDisposableStack();
  try {
    const settings = { max_prepared_transactions: "20" };
    const first = stack.use(await startPostgres({ databases: ["main"], settings }));
    const second = stack.use(await startPostgres({ databases: ["east", "west"], settings }));
    for (const [server, name, from] of [
      [first, "main", 0],
      [second, "east", 100],
      [second, "west", 200],
    ] as const) {
      const rows = `SELECT n, 'user ' || n, date '2000-01-01' + n FROM generate_series(${from} + 1, ${from} + 3) n`;
      await server.query(name, `${TABLES} INSERT INTO users ${rows}`);
    }
    const gathering = stack.use(await Gathering.open({ main: first, east: second, west: second }));
    const held = stack.move();
    return {
      first,
      second,
      gathering,
      expectNothingLeft: () => expectNothingLeft(first, second),
      [Symbol.asyncDispose]: () => held.disposeAsync(),
    };
  } catch (cause) {
    await stack.disposeAsync();
    throw cause;
  }
}

/** No temporary table, no prepared transaction, nobody in a transaction. */
async function expectNothingLeft(first: TestPostgres, second: TestPostgres): Promise<void> {
  const open = `SELECT datname, state, query FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND state <> 'idle'`;
  for (const server of [first, second]) {
    await expect.poll(async () => (await server.query("postgres", open)).rows).toEqual([]);
    expect((await server.query("postgres", "SELECT gid FROM pg_prepared_xacts")).rows).toEqual([]);
  }
  const tables = "SELECT relname FROM pg_class WHERE relpersistence = 't'";
  expect((await first.query("main", tables)).rows).toEqual([]);
}

export const USERS = "SELECT id, name FROM users";

/** All users, gathered under the name of their own table. */
export function users(
  from: PullText["from"] = { main: USERS, east: USERS, west: USERS },
): PullText {
  return { table: "users", columns: ["id", "name"], shape: USERS, from };
}

export const COUNTED = gatherPlan([users()], "SELECT count(*), max(id) FROM pg_temp.users");
export const COUNTED_AS = "SELECT count(*), max(id) FROM users";
