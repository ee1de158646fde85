/**
 * Values of every kind come out as they went in, by copy and by stream: all built-in types, types
 * of the user's own, large values that updates do not touch, and columns that compute themselves.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { databaseName } from "../../base/ids.ts";
import {
  placementsOf,
  type Move,
  type PlannedMove,
  type PlannedTable,
} from "../../migration/move.ts";
import { advanceSequences, readSequences } from "../../migration/sequences.ts";
import { openSource, openTarget } from "../../migration/sessions.ts";
import {
  finish,
  placement,
  STREAMING_15,
  prepareMove,
  type Rig,
  type RigServers,
  settled,
  startMover,
  startRig,
} from "./rig.ts";

let rig: Rig;

const SHARDED: PlannedTable["destination"] = {
  kind: "sharded",
  key: [{ column: "id", type: "integer" }],
  function: { kind: "hash", logicalShards: 2 },
  placementByShard: [placement("t1", "a"), placement("t2", "b")],
};

function move(name: string, tables: readonly string[], destination = SHARDED): PlannedMove {
  return {
    name,
    source: databaseName("source"),
    tables: tables.map((table) => ({ schema: "public", name: table, destination })),
  };
}

async function textRows(planned: PlannedMove, table: string): Promise<readonly string[]> {
  const destination = planned.tables.find(({ name }) => name === table)?.destination ?? SHARDED;
  const found: string[] = [];
  for (const { database, schema } of placementsOf(destination)) {
    const { rows } = await rig.target
      .query(
        database,
        `SET TimeZone = 'UTC'; SET extra_float_digits = 3; SELECT t::text AS row FROM ${schema}.${table} t`,
      )
      .then((results) => (results as unknown as readonly (typeof results)[]).at(-1) ?? results);
    found.push(...rows.map(({ row }) => String(row)));
  }
  return found.toSorted();
}

async function expectEqual(planned: PlannedMove, table: string): Promise<void> {
  const results = await rig.source.query(
    "app",
    `SET TimeZone = 'UTC'; SET extra_float_digits = 3; SELECT t::text AS row FROM public.${table} t`,
  );
  const { rows } = (results as unknown as readonly (typeof results)[]).at(-1) ?? results;
  const expected = rows.map(({ row }) => String(row)).toSorted();
  expect(expected.length).toBeGreaterThan(0);
  expect(await textRows(planned, table)).toEqual(expected);
}

/** A type, and values of it that are hard. */
const BUILT_IN: readonly (readonly [type: string, values: readonly string[]])[] = [
  ["smallint", ["-32768", "32767"]],
  ["bigint", ["-9223372036854775808", "9223372036854775807"]],
  ["numeric", ["'NaN'", "'-Infinity'", "1.0", "1.00", "12345678901234567890.123456789"]],
  ["numeric(10,2)", ["1.5", "-0.01"]],
  ["real", ["'NaN'", "'-0'", "0.1", "'Infinity'"]],
  ["double precision", ["0.1::float8 + 0.2", "'-0'", "1e-310", "'-Infinity'"]],
  ["money", ["12.34", "-1"]],
  ["boolean", ["true", "false"]],
  [
    "text",
    [
      "''",
      "E'tab\\t new\\nline back\\\\slash'",
      "'\\N'",
      "'žluťoučký 🐎'",
      "repeat('long ', 100000)",
    ],
  ],
  ["varchar(20)", ["'abc '"]],
  ["char(5)", ["'ab'"]],
  ["name", ["'pg_class'"]],
  ["bytea", ["'\\x00ff5c'", "''"]],
  ["date", ["'infinity'", "'0044-03-15 BC'", "'9999-12-31'"]],
  ["time", ["'23:59:59.999999'", "'24:00'"]],
  ["timetz", ["'12:00+05:30'"]],
  ["timestamp", ["'-infinity'", "'1850-01-01 12:00:00.000001'"]],
  ["timestamptz", ["'1850-01-01 12:00:00+00:34:52'", "'infinity'", "'2024-02-29 23:59:59.5Z'"]],
  ["interval", ["'1 mon -1 day 00:00:01.5'", "'-178000000 years'"]],
  ["uuid", ["'6ecd8c99-4036-403d-bf84-cf8400f67836'"]],
  ["json", [`'{"b": 1,  "a": 1, "a": 2}'`]],
  ["jsonb", [`'{"b": 1.00, "a": [null, "x"]}'`]],
  ["xml", ["'<a>text</a>'", "'no root'"]],
  ["inet", ["'10.1.2.3/8'", "'::1'"]],
  ["cidr", ["'10.0.0.0/8'"]],
  ["macaddr", ["'08:00:2b:01:02:03'"]],
  ["macaddr8", ["'08:00:2b:01:02:03:04:05'"]],
  ["bit(3)", ["B'101'"]],
  ["bit varying", ["B''", "B'10101'"]],
  ["point", ["'(1.5,-0)'"]],
  ["line", ["'{1,2,3}'"]],
  ["lseg", ["'[(0,0),(1,1)]'"]],
  ["box", ["'(1,1),(0,0)'"]],
  ["path", ["'[(0,0),(1,1)]'", "'((0,0),(1,1))'"]],
  ["polygon", ["'((0,0),(1,1),(2,0))'"]],
  ["circle", ["'<(1,2),3>'"]],
  ["tsvector", ["'a fat cat:3A'"]],
  ["tsquery", ["'fat & !rat:*'"]],
  ["int4range", ["'[1,5)'", "'empty'", "'(,)'"]],
  ["tstzrange", ["'[2024-01-01, infinity)'"]],
  ["int8multirange", ["'{[1,3),[5,9)}'"]],
  ["int[]", ["'{1,NULL,3}'", "'{}'", "'[0:1]={1,2}'", "'{{1,2},{3,4}}'"]],
  ["text[]", [`'{"a,b","c\\"d",NULL,"NULL",""}'`]],
  ["timestamptz[]", ["'{2024-01-01 00:00:00Z,infinity}'"]],
  ["pg_lsn", ["'16/B374D848'"]],
  ["jsonpath", ["'$.a[*]'"]],
  ["mood", ["'happy'", "'so ''sad'''"]],
  ["mood[]", [`'{happy,"so ''sad''"}'`]],
  ["positive", ["7"]],
  ["positive[]", ["'{7,8}'"]],
  [
    "place",
    ["ROW('here', ROW(1, '{2,3}')::inner_part, 'happy')::place", "ROW(NULL, NULL, NULL)::place"],
  ],
  ["place[]", ["ARRAY[ROW('x', NULL, 'happy')::place]"]],
  ["moodrange", ["'[happy,\"so ''sad''\"]'"]],
];

const TYPES = `
CREATE TYPE mood AS ENUM ('happy', 'so ''sad''');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE inner_part AS (n int, l int[]);
CREATE TYPE place AS (label text, part inner_part, mood mood);
CREATE TYPE moodrange AS RANGE (subtype = mood);
`;

/** An upgrade, and its way back, too. */
const VERSIONS: readonly (readonly [string, Partial<RigServers>])[] = [
  ["18 to 18", {}],
  ["15 to 18", { source: STREAMING_15 }],
  ["18 to 15", { target: STREAMING_15 }],
];

describe.each(VERSIONS)("values of every type, from PostgreSQL %s", (_name, servers) => {
  beforeAll(async () => {
    rig = await startRig(["t1", "t2"], servers);
  });

  afterAll(async () => {
    await rig[Symbol.asyncDispose]();
  });

  test("copied, inserted and updated, they are what they were", async () => {
    const columns = BUILT_IN.map(([type], index) => `c${index} ${type}`);
    const rowCount = Math.max(...BUILT_IN.map(([, values]) => values.length));
    const rows = Array.from({ length: rowCount }, (_, row) =>
      BUILT_IN.map(([, values]) => values[row] ?? "NULL").join(", "),
    );
    const insert = (from: number): string =>
      rows.map((row, index) => `INSERT INTO every VALUES (${from + index}, ${row});`).join("\n");
    await rig.source.query(
      "app",
      `${TYPES} CREATE TABLE every (id int PRIMARY KEY, ${columns.join(", ")}); ${insert(0)}
      CREATE TABLE plain (id int PRIMARY KEY, n numeric, t text); INSERT INTO plain SELECT i, i, 'x' FROM generate_series(1, 500) i;`,
    );
    const planned = move("every_type", ["every", "plain"]);
    const described = await prepareMove(rig, planned);
    await using mover = await startMover(rig, described, { chunkRows: 50 });
    await mover.copied;
    await expectEqual(planned, "every");
    await expectEqual(planned, "plain");
    const swapped = BUILT_IN.map((_, index) => `c${index} = o.c${index}`).join(", ");
    await rig.source.query(
      "app",
      `${insert(100)} UPDATE every t SET ${swapped} FROM every o WHERE t.id = 0 AND o.id = 101;
       UPDATE every SET id = id + 1000 WHERE id = 102; DELETE FROM every WHERE id = 1;`,
    );
    await settled(rig, mover);
    await expectEqual(planned, "every");
    await mover.stop();
  });

  test("large values that an update leaves alone stay, and move with FULL", async () => {
    await rig.source.query(
      "app",
      `CREATE TABLE toasted (id int PRIMARY KEY, n int, big text);
       ALTER TABLE toasted ALTER big SET STORAGE EXTERNAL;
       CREATE TABLE toasted_full (id int PRIMARY KEY, n int, big text);
       ALTER TABLE toasted_full ALTER big SET STORAGE EXTERNAL;
       ALTER TABLE toasted_full REPLICA IDENTITY FULL;
       INSERT INTO toasted SELECT i, 0, repeat(md5(i::text), 30000) FROM generate_series(1, 16) i;
       INSERT INTO toasted_full SELECT * FROM toasted;`,
    );
    const planned = move("toasts", ["toasted", "toasted_full"]);
    const described = await prepareMove(rig, planned);
    await using mover = await startMover(rig, described);
    await mover.copied;
    await rig.source.query(
      "app",
      `UPDATE toasted SET n = n + 1; UPDATE toasted SET big = 'small' WHERE id = 2;
       UPDATE toasted_full SET n = n + 1; UPDATE toasted_full SET id = id + 100;`,
    );
    await settled(rig, mover);
    await expectEqual(planned, "toasted");
    await expectEqual(planned, "toasted_full");
    // To another placement, and the stream does not have the value: it stops, it does not guess.
    await rig.source.query("app", "UPDATE toasted SET id = id + 1000 WHERE id <> 2");
    await expect(mover.ended).rejects.toMatchObject({ id: "migration_value_missing" });
  });

  test("columns that compute themselves, and tables that lost and gained some", async () => {
    await rig.source.query(
      "app",
      `CREATE TABLE computed (gone int, id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int, also int,
         twice int GENERATED ALWAYS AS (n * 2) STORED, always int GENERATED ALWAYS AS IDENTITY UNIQUE,
         serial_n serial, part text DEFAULT 'd' COLLATE "C" CHECK (part <> ''));
       ALTER TABLE computed DROP gone;
       INSERT INTO computed (n, also) SELECT i, -i FROM generate_series(1, 20) i;`,
    );
    const planned = move("computes", ["computed"]);
    const described = await prepareMove(rig, planned);
    await using mover = await startMover(rig, described, { chunkRows: 7 });
    await mover.copied;
    await rig.source.query(
      "app",
      `INSERT INTO computed (n) VALUES (100); UPDATE computed SET n = 7 WHERE id = 3;
       UPDATE computed SET always = DEFAULT WHERE id = 4; UPDATE computed SET id = DEFAULT WHERE id = 5;
       DELETE FROM computed WHERE id = 6;`,
    );
    await settled(rig, mover);
    await expectEqual(planned, "computed");
    await finish(rig, described);
    await finish(rig, described);
    await mover.stop();
    await expectAdvanced(described);
  });
});

/** What the placements give next is beyond what the source has given, and what any row has. */
async function expectAdvanced(described: Move): Promise<void> {
  const source = await openSource(rig.sourceDatabase);
  const states = await readSequences(source, described);
  expect(states.map(({ column }) => column)).toEqual(["id", "always", "serial_n"]);
  for (const database of rig.targetDatabases) {
    const target = await openTarget(database);
    await advanceSequences(target, described, states, 10);
    target.close();
  }
  source.close();
  const { rows } = await rig.source.query(
    "app",
    "INSERT INTO computed (n) VALUES (1) RETURNING id, always, serial_n",
  );
  for (const [database, schema] of [
    ["t1", "a"],
    ["t2", "b"],
  ] as const) {
    const made = await rig.target.query(
      database,
      `INSERT INTO ${schema}.computed (n) VALUES (1) RETURNING id, always, serial_n`,
    );
    for (const column of ["id", "always", "serial_n"])
      expect(Number(made.rows[0]?.[column])).toBeGreaterThan(Number(rows[0]?.[column]) + 1_000);
  }
}
