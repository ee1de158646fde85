/**
 * Statements that meet DDL of other clients half way: a row never reaches a client under
 * another column's name, and no circle of waits comes of the order databases are taken in.
 */
import pg from "pg";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { startServers } from "./servers.ts";
import type { Servers } from "./servers.ts";

let servers: Servers;

beforeAll(async () => {
  servers = await startServers();
});
afterAll(async () => {
  await servers[Symbol.asyncDispose]();
});
beforeEach(() => servers.reset());

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: servers.proxy.url() });
  await client.connect();
  return client;
}

test.each([
  ["one placement", "SELECT * FROM late WHERE account = $1", [1]],
  ["several placements", "SELECT * FROM late WHERE n > $1", [0]],
])("columns that change places under a waiting statement of %s", async (_, text, values) => {
  const [owner, reader] = [await connect(), await connect()];
  try {
    await owner.query(
      "ALTER TABLE late ADD COLUMN a text DEFAULT 'is a', ADD COLUMN b text DEFAULT 'is b'",
    );
    await owner.query("INSERT INTO late (account, n) VALUES (1, 1), (101, 1), (201, 1)");
    await reader.query(text, values);
    await owner.query("BEGIN");
    await owner.query("ALTER TABLE late DROP COLUMN a");
    await owner.query("ALTER TABLE late ADD COLUMN a text DEFAULT 'is a'");
    const waiting = reader.query(text, values).then(
      ({ rows }) => rows as { a: string; b: string }[],
      (error: pg.DatabaseError) => error.code,
    );
    await new Promise((resolve) => setTimeout(resolve, 300));
    await owner.query("COMMIT");
    const answer = await waiting;
    const wrong = Array.isArray(answer)
      ? answer.filter(({ a, b }) => a !== "is a" || b !== "is b")
      : [answer].filter((code) => code !== "0A000" && code !== "55000");
    expect(wrong).toEqual([]);
    const { rows } = await reader.query<{ a: string; b: string }>(text, values);
    for (const { a, b } of rows) expect([a, b]).toEqual(["is a", "is b"]);
  } finally {
    await owner.query("ROLLBACK").catch(() => undefined);
    await owner.query("ALTER TABLE late DROP COLUMN IF EXISTS a, DROP COLUMN IF EXISTS b");
    await Promise.all([owner.end(), reader.end()]);
  }
});

test("DDL and writes over several databases do not wait for each other in a circle", async () => {
  const clients = await Promise.all([connect(), connect(), connect()]);
  const [owner, ...writers] = clients as [pg.Client, ...pg.Client[]];
  const end = Date.now() + 3_000;
  const failures: string[] = [];
  const work = async (client: pg.Client, statement: (round: number) => string): Promise<number> => {
    let round = 0;
    for (; Date.now() < end; round += 1) {
      await client.query(statement(round)).catch((error: pg.DatabaseError) => {
        failures.push(`${error.code} ${error.message}`);
      });
    }
    return round;
  };
  const rounds = await Promise.all([
    work(owner, (round) => `ALTER TABLE late ALTER COLUMN n SET DEFAULT ${round}`),
    ...writers.map((writer, index) =>
      work(writer, (round) => {
        const n = 10 * round + index;
        return `INSERT INTO late VALUES (1, ${n}), (101, ${n}), (201, ${n})`;
      }),
    ),
  ]);
  await Promise.all(clients.map((client) => client.end()));
  expect(failures).toEqual([]);
  for (const count of rounds) expect(count).toBeGreaterThan(3);
});
