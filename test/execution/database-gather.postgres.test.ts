/** Rows gathered in temporary tables of the catalog database, by plans made by hand. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { Gathering, gatherPlan, rowTexts } from "./gathering.ts";

let first: TestPostgres;
let second: TestPostgres;
let gathering: Gathering;

const TABLES = `
  CREATE TABLE users (id bigint PRIMARY KEY, name text, born date);
  CREATE TABLE countries (code text PRIMARY KEY, name text);`;

beforeAll(async () => {
  const settings = { max_prepared_transactions: "20" };
  first = await startPostgres({ databases: ["main"], settings });
  second = await startPostgres({ databases: ["east", "west"], settings });
  for (const [server, name, from] of [
    [first, "main", 0],
    [second, "east", 100],
    [second, "west", 200],
  ] as const) {
    await server.query(
      name,
      `${TABLES} INSERT INTO users SELECT n, 'user ' || n, date '2000-01-01' + n FROM generate_series(${from} + 1, ${from} + 3) n`,
    );
  }
  gathering = await Gathering.open({ main: first, east: second, west: second });
});

afterAll(async () => {
  await gathering.backends.close();
  await first.stop();
  await second.stop();
});

test("rows of all databases are one table, the catalog database's own among them", async () => {
  const sql = "SELECT id, name FROM users";
  const plan = gatherPlan(
    [
      {
        table: "users",
        columns: ["id", "name"],
        shape: sql,
        from: { main: sql, east: sql, west: sql },
      },
    ],
    "SELECT name, count(*) OVER () FROM pg_temp.users ORDER BY id DESC LIMIT 2",
  );
  const answer = await gathering.run(plan, { as: "SELECT name, count(*) OVER () FROM users" });
  expect(rowTexts(answer)).toEqual([
    ["user 203", "9"],
    ["user 202", "9"],
  ]);
  expect(answer.tag).toBe("SELECT 2");
});
