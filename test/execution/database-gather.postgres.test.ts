/** Rows gathered in temporary tables of the catalog database, by plans made by hand. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { FragmentProtocol } from "../../proxy/execution/fragment-request.ts";
import { startGatherServers, USERS, users } from "./gathering-servers.ts";
import type { GatherServers } from "./gathering-servers.ts";
import { gatherPlan, rowTexts } from "./gathering.ts";
import type { Gathering } from "./gathering.ts";
import type { TestPostgres } from "../support/postgres.ts";

let servers: GatherServers;
let gathering: Gathering;
let first: TestPostgres;

beforeAll(async () => {
  servers = await startGatherServers();
  ({ gathering, first } = servers);
});

afterEach(() => servers.expectNothingLeft());

afterAll(() => servers[Symbol.asyncDispose]());

describe("an answer", () => {
  test("has rows of all databases, the catalog database's own among them", async () => {
    const finish = "SELECT name, count(*) OVER () FROM pg_temp.users ORDER BY id DESC LIMIT 2";
    const answer = await gathering.run(gatherPlan([users()], finish), {
      as: "SELECT name, count(*) OVER () AS total FROM users",
    });
    expect(rowTexts(answer)).toEqual([
      ["user 203", "9"],
      ["user 202", "9"],
    ]);
    expect(answer.tag).toBe("SELECT 2");
    expect(answer.columns.map(({ name }) => name)).toEqual(["name", "total"]);
    // As of the canonical table, though its rows came from a temporary one.
    const { rows } = await first.query("main", "SELECT 'users'::regclass::oid AS oid");
    expect(answer.columns[0]?.tableOid).toBe(rows[0]?.["oid"]);
  });

  test("of several tables, one of them empty, is that of one statement over them", async () => {
    const none = "SELECT id FROM written";
    const plan = gatherPlan(
      [
        users(),
        { table: "written", columns: ["id"], shape: none, from: { east: none, west: none } },
      ],
      "SELECT count(*) FROM pg_temp.users u WHERE u.id NOT IN (SELECT id FROM pg_temp.written)",
    );
    const answer = await gathering.run(plan, { as: "SELECT count(*) FROM users" });
    expect(rowTexts(answer)).toEqual([["9"]]);
  });

  test("needs no column to count rows by", async () => {
    const sql = "SELECT FROM users";
    const pull = { table: "users", columns: [], shape: sql, from: { main: sql, east: [sql, sql] } };
    const plan = gatherPlan([pull], "SELECT count(*) FROM pg_temp.users");
    expect(rowTexts(await gathering.run(plan, { as: "SELECT count(*) FROM users" }))).toEqual([
      ["9"],
    ]);
  });

  test("may group by a key and read what hangs on it", async () => {
    const plan = gatherPlan(
      [{ ...users(), primaryKey: ["id"] }],
      "SELECT name FROM pg_temp.users GROUP BY id ORDER BY id LIMIT 1",
    );
    expect(rowTexts(await gathering.run(plan, { as: "SELECT name FROM users" }))).toEqual([
      ["user 1"],
    ]);
  });

  test("keeps collations, and texts that only look like more", async () => {
    const names = `SELECT id, name FROM users -- "everyone"`;
    const plan = gatherPlan(
      [
        {
          ...users({ main: names, east: names }),
          table: `us"ers`,
          columns: ["i d", `n"`],
          shape: names,
        },
      ],
      `SELECT collation for (max("n""")), count("i d") FROM pg_temp."us""ers"`,
    );
    const answer = await gathering.run(plan, { as: "SELECT ''::text, 0::bigint" });
    expect(rowTexts(answer)).toEqual([[`"C"`, "6"]]);
  });

  test("takes parameters wherever they stand, and gives the formats that were asked for", async () => {
    const own = "SELECT id, name || $2 AS name FROM users WHERE id > $1";
    const plan = gatherPlan(
      [{ ...users({ main: own, east: own, west: own }), shape: own }],
      "SELECT id, name FROM pg_temp.users WHERE name <> $3 ORDER BY id",
    );
    let bound = 0;
    const protocol: FragmentProtocol = {
      kind: "extended",
      parameters: [
        { typeOid: 20, format: "binary", value: Buffer.from([0, 0, 0, 0, 0, 0, 0, 102]) },
        { typeOid: 25, format: "text", value: Buffer.from("!") },
        { typeOid: 25, format: "text", value: Buffer.from("user 202!") },
      ],
      resultFormats: ["binary"],
      keepPrepared: true,
      onBound: () => (bound += 1),
    };
    const answers = [];
    // Twice: what is kept prepared must not stand in the way of the next time's tables.
    for (let time = 0; time < 2; time += 1)
      answers.push(await gathering.run(plan, { as: "SELECT id, name FROM users", protocol }));
    for (const answer of answers) {
      expect(answer.rows.map(([id, name]) => [id?.readBigInt64BE(), String(name)])).toEqual([
        [103n, "user 103!"],
        [201n, "user 201!"],
        [203n, "user 203!"],
      ]);
    }
    expect(bound).toBeGreaterThan(0);
  });

  test("brings the notices of every server", async () => {
    const told = "SELECT tell(id), name FROM users";
    const plan = gatherPlan(
      [{ ...users({ main: told, east: told, west: told }), shape: USERS }],
      "SELECT count(tell(id)) FROM pg_temp.users",
    );
    const answer = await gathering.run(plan, { as: "SELECT count(*) FROM users" });
    expect(answer.notices).toBe(18);
  });
});
