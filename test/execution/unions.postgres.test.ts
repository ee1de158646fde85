/** One text over several schemas of one database: how PostgreSQL runs it, and schemas that have drifted apart. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { bindFragments } from "../../planner/bind-fragments.ts";
import type { StreamedGather } from "../../planner/logical-plan.ts";
import { placement, sampleMap } from "../planner/union-places.ts";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { startTestProxy } from "../support/proxy.ts";
import type { TestProxy } from "../support/proxy.ts";
import type { RawClient, ServerError } from "../support/raw-client.ts";

const COLUMNS = "id bigint PRIMARY KEY, first text, second text, at timestamptz";

let server: TestPostgres;
let proxy: TestProxy;

beforeAll(async () => {
  server = await startPostgres({ databases: ["app", "east"] });
  await server.query("app", `CREATE TABLE notes (${COLUMNS})`);
  await server.query(
    "east",
    `CREATE TABLE notes (${COLUMNS}); CREATE INDEX ON notes (at DESC, id);
     CREATE SCHEMA far; CREATE TABLE far.notes (LIKE notes INCLUDING ALL);
     CREATE SCHEMA drifted; CREATE TABLE drifted.notes (second text, first text, id bigint PRIMARY KEY, at timestamptz);
     INSERT INTO notes SELECT n, 'first', 'second', timestamptz 'epoch' + n * interval '1 s' FROM generate_series(1, 999) AS n;
     INSERT INTO far.notes SELECT n, 'first', 'second', timestamptz 'epoch' + n * interval '1 s' FROM generate_series(1000, 1999) AS n;
     INSERT INTO drifted.notes (id, first, second) VALUES (2000, 'first', 'second');
     ANALYZE`,
  );
  proxy = await startTestProxy(`version: 1
catalog: app
databases: { app: { primary: "${server.url("app")}" }, east: { primary: "${server.url("east")}" } }
colocations:
  notes:
    shard_key: bigint
    function: range
    tables: { notes: id }
    placements:
      - { ranges: [{ to: 1000 }], database: east }
      - { ranges: [{ from: 1000, to: 2000 }], database: east, schema: far }
      - { ranges: [{ from: 2000 }], database: east, schema: drifted }
`);
}, 60_000);

afterAll(async () => {
  await proxy?.stop();
  await server?.stop();
});

async function withClient<T>(use: (client: RawClient) => Promise<T>): Promise<T> {
  const client = await proxy.connect();
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

test("PostgreSQL merges the arms by their indexes, and sorts nothing", async () => {
  const gather: StreamedGather = {
    kind: "merge",
    sort: [
      { column: 1, descending: true, nullsFirst: true, collation: "unknown" },
      { column: 0, descending: false, nullsFirst: false, collation: "unknown" },
    ],
    hiddenColumns: 0,
    limit: { count: { kind: "constant", value: 10n }, offset: undefined },
  };
  const sql = "SELECT id, at FROM notes ORDER BY at DESC, id LIMIT 10";
  const start = sql.indexOf("notes");
  const edit = {
    start,
    end: start + "notes".length,
    with: { kind: "table", name: "notes", isFoundAsWritten: true } as const,
  };
  for (const arm of [{ kind: "asWritten" }, { kind: "byName", columns: ["id", "at"] }] as const) {
    const template = { sql, edits: [edit], arm } as const;
    const places = [placement("east", "public"), placement("east", "far")];
    const [fragment] = bindFragments(
      places,
      { access: "read", template, gather, limit: 10n },
      sampleMap(),
    );
    const { rows } = await server.query("east", `EXPLAIN (COSTS OFF) ${fragment?.rendered.sql}`);
    const plan = rows.map((row) => String(row["QUERY PLAN"])).join("\n");
    expect(plan).toMatch(/^Limit\n +->  Merge Append\n/);
    expect(plan.match(/Index/g)).toHaveLength(2);
    expect(plan).not.toMatch(/-> +Sort/);
  }
});

test("columns that a placement has in another order are found by their names", async () => {
  await withClient(async (client) => {
    expect(await client.query("SELECT * FROM notes WHERE id >= 1999 ORDER BY id")).toEqual([
      ["1999", "first", "second", "1970-01-01 00:33:19+00"],
      ["2000", "first", "second", null],
    ]);
    const rows = await client.query(
      'SELECT first, count(*), min(second) COLLATE "C" FROM notes GROUP BY 1',
    );
    expect(rows).toEqual([["first", "2000", "second"]]);
  });
});

test("a column that a placement has not is an error, whose place is not the client's", async () => {
  await server.query("east", "ALTER TABLE drifted.notes RENAME COLUMN second TO third");
  try {
    await withClient(async (client) => {
      const failed = await client.query("SELECT * FROM notes ORDER BY id").catch((error) => error);
      expect(failed).toMatchObject({ fields: { C: "42703", M: 'column "second" does not exist' } });
      expect((failed as ServerError).fields).not.toHaveProperty("P");
      await expect(client.query("SELECT id, second FROM notes")).rejects.toMatchObject({
        fields: { C: "42703", P: "12" },
      });
      expect(await client.query("SELECT count(*) FROM notes")).toEqual([["2000"]]);
    });
  } finally {
    await server.query("east", "ALTER TABLE drifted.notes RENAME COLUMN third TO second");
  }
});
