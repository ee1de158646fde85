/**
 * Prepared statements in use while another client changes the tables under them: what a
 * statement names stays as it was, so none may fail, and none may give anything but its rows.
 *
 * The statements are of each way an answer comes together: one placement, streamed gathers,
 * fragments of several placements in one UNION ALL, gathers in a database, writes.
 */
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { inFullRun } from "../support/run-mode.ts";
import { startServers } from "./servers.ts";
import type { Servers } from "./servers.ts";

let servers: Servers;
beforeAll(async () => {
  servers = await startServers();
  await servers.reset();
});
afterAll(async () => {
  await servers[Symbol.asyncDispose]();
});

const DURATION_MS = inFullRun(60_000, 3_000);

interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
  readonly rows: string;
}

const STATEMENTS: readonly Statement[] = [
  { text: "SELECT name FROM accounts WHERE id = $1", values: [1], rows: '[["ann"]]' },
  {
    text: "SELECT id, name FROM accounts WHERE balance >= $1 ORDER BY id",
    values: [20],
    rows: '[["2","bob"],["101","cid"],["201","dan"]]',
  },
  {
    text: "SELECT count(*), sum(balance) FROM accounts WHERE id > $1",
    values: [0],
    rows: '[["4","100"]]',
  },
  {
    text: "SELECT id FROM accounts WHERE id IN ($1, $2) ORDER BY id",
    values: [101, 201],
    rows: '[["101"],["201"]]',
  },
  {
    text: "SELECT name, count(*) FROM accounts GROUP BY name HAVING count(*) > $1 ORDER BY name",
    values: [0],
    rows: '[["ann","1"],["bob","1"],["cid","1"],["dan","1"]]',
  },
  {
    text: "SELECT name FROM accounts WHERE id > $1 ORDER BY name DESC LIMIT 2",
    values: [0],
    rows: '[["dan"],["cid"]]',
  },
  {
    text: "SELECT id, row_number() OVER (ORDER BY balance DESC) FROM accounts WHERE id > $1 ORDER BY id",
    values: [0],
    rows: '[["1","4"],["2","3"],["101","2"],["201","1"]]',
  },
  {
    text: "SELECT string_agg(name, ',' ORDER BY id) FROM accounts WHERE id > $1",
    values: [0],
    rows: '[["ann,bob,cid,dan"]]',
  },
  {
    text: "SELECT id FROM accounts WHERE id < $1 UNION SELECT 7 ORDER BY 1",
    values: [100],
    rows: '[["1"],["2"],["7"]]',
  },
  {
    text: "UPDATE accounts SET name = name WHERE id > $1 AND id < 3 RETURNING balance",
    values: [1],
    rows: "[[20]]",
  },
  { text: "UPDATE accounts SET name = name WHERE balance >= $1", values: [30], rows: "[]" },
];

/** Each gives way to its undoing; none touches what the statements name. */
const CHANGES: readonly (readonly [string, string])[] = [
  [
    "ALTER TABLE accounts ADD COLUMN extra text DEFAULT 'e'",
    "ALTER TABLE accounts DROP COLUMN extra",
  ],
  ["ALTER TABLE accounts ADD COLUMN n integer", "ALTER TABLE accounts DROP COLUMN n"],
  ["CREATE INDEX accounts_name ON accounts (name)", "DROP INDEX accounts_name"],
  [
    "ALTER TABLE accounts ALTER COLUMN balance SET DEFAULT 1",
    "ALTER TABLE accounts ALTER COLUMN balance DROP DEFAULT",
  ],
  [
    "ALTER TABLE accounts ADD CONSTRAINT small CHECK (balance < 1000000)",
    "ALTER TABLE accounts DROP CONSTRAINT small",
  ],
];

/** Whatever columns the table has: each is answered with what it has before a change, or after it. */
const OPEN_STATEMENTS: readonly string[] = [
  "SELECT * FROM accounts WHERE id = 1",
  "SELECT * FROM accounts ORDER BY id",
  "SELECT * FROM accounts WHERE id IN (101, 201) ORDER BY id",
  "SELECT * FROM accounts ORDER BY name",
  "SELECT *, row_number() OVER (ORDER BY balance) FROM accounts ORDER BY id",
  "SELECT DISTINCT * FROM accounts ORDER BY id",
  "SELECT a FROM accounts a ORDER BY id",
  "SELECT to_jsonb(a) FROM accounts a ORDER BY id",
  "UPDATE accounts SET name = name WHERE id IN (1, 101) RETURNING *",
];

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: servers.proxy.url() });
  await client.connect();
  return client;
}

/** Runs `use` with clients of its own, each in its round, beside the changes; what went wrong, counted. */
async function besideChanges(
  use: (client: pg.Client, round: number) => Promise<string | undefined>,
): Promise<Readonly<Record<string, number>>> {
  const owner = await connect();
  const users = await Promise.all(Array.from({ length: 4 }, connect));
  const end = performance.now() + DURATION_MS;
  const failures: Record<string, number> = {};
  const note = (what: string | undefined): void => {
    if (what !== undefined) failures[what] = (failures[what] ?? 0) + 1;
  };
  let [changes, statements] = [0, 0];
  const change = async (): Promise<void> => {
    for (; performance.now() < end; changes += 2) {
      for (const sql of CHANGES[(changes / 2) % CHANGES.length] ?? [])
        await owner.query(sql).catch((error: unknown) => note(`${sql}: ${worded(error)}`));
    }
  };
  const work = async (client: pg.Client, first: number): Promise<void> => {
    for (let round = first; performance.now() < end; round += 1, statements += 1)
      note(await use(client, round));
  };
  try {
    await Promise.all([change(), ...users.map((client, index) => work(client, index * 3))]);
  } finally {
    await Promise.all([owner.end(), ...users.map((client) => client.end())]);
  }
  console.log(`${statements} statements beside ${changes} changes of their table`);
  expect(changes).toBeGreaterThan(1);
  return failures;
}

function worded(error: unknown): string {
  const { code, message } = error as pg.DatabaseError;
  return `${code} ${message}`;
}

test("no statement notices what another client does to columns that it does not name", async () => {
  const failures = await besideChanges(async (client, round) => {
    const { text, values, rows } = STATEMENTS[round % STATEMENTS.length] as Statement;
    // Named for three in four: they are kept prepared on the backends.
    const name = round % 4 === 0 ? undefined : `s${round % STATEMENTS.length}`;
    const config = { text, values: [...values], rowMode: "array" as const, ...(name && { name }) };
    try {
      const answer = await client.query<unknown[]>(config);
      const found = JSON.stringify(answer.rows);
      return found === rows ? undefined : `${text}: ${found}`;
    } catch (error) {
      return `${text}: ${worded(error)}`;
    }
  });
  expect(failures).toEqual({});
});

test("a statement that takes all columns has those of before a change, or of after it", async () => {
  const failures = await besideChanges(async (client, round) => {
    const text = OPEN_STATEMENTS[round % OPEN_STATEMENTS.length] as string;
    const values = round % 2 === 0 ? [] : undefined;
    const config = { text, rowMode: "array" as const, ...(values && { values }) };
    try {
      const { fields, rows } = await client.query<unknown[]>(config);
      return rows.every((row) => row.length === fields.length) ? undefined : `${text}: torn`;
    } catch (error) {
      return `${text}: ${worded(error)}`;
    }
  });
  expect(failures).toEqual({});
});
