/** Values of every type, copied from one database into a temporary table of another. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { fragment, Gathering, gatherPlan, rowTexts } from "./gathering.ts";

/** A column's type and its values, as literals; each has a NULL besides. */
const VALUES: readonly (readonly [type: string, ...values: string[]])[] = [
  ["boolean", "true", "false"],
  ["smallint", "-32768", "32767"],
  ["integer", "-2147483648", "0"],
  ["bigint", "-9223372036854775808", "9223372036854775807"],
  ["real", "NaN", "-Infinity", "-0", "3.4028235e38", "1e-45"],
  ["double precision", "NaN", "Infinity", "-0", "1.7976931348623157e308", "0.1"],
  ["numeric", "NaN", "-Infinity", "1.500", `1${"0".repeat(500)}.${"0".repeat(300)}1`, "-0.00"],
  ["numeric(10,2)", "12345678.90", "-0.01"],
  ["money", "-92233720368547758.08", "1"],
  ["text", "", "ünïcödé 🐘", String.raw`\N`, "\t\r\n"],
  ["varchar(5)", "abcde", "ab   "],
  ["char(5)", "ab", ""],
  ['"char"', "a", ""],
  ["name", "a name"],
  ["bytea", String.raw`\x00ff10`, String.raw`\x`],
  ["bit(5)", "10101"],
  ["varbit", "1010101011", ""],
  ["date", "infinity", "4713-01-01 BC", "5874897-12-31"],
  ["time", "24:00:00", "00:00:00.000001"],
  ["time(2)", "12:34:56.78"],
  ["timetz", "23:59:59.999999-15:59", "00:00+00"],
  ["timestamp", "-infinity", "294276-12-31 23:59:59.999999"],
  ["timestamptz", "infinity", "2000-01-01 00:00:00.5+02"],
  ["interval", "-1 year 2 mons -3 days 04:05:06.789", "infinity"],
  ["interval second(2)", "00:00:01.23"],
  ["uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
  ["json", '{"b" : 1, "a": [null], "b":2}'],
  ["jsonb", '{"b": 1e400, "a": "\\u00e9"}', "null"],
  ["jsonpath", "$.a[*] ? (@ > 1)"],
  ["inet", "192.168.1.5/24", "::ffff:1.2.3.4/128"],
  ["cidr", "10.0.0.0/8", "2001:db8::/32"],
  ["macaddr", "08:00:2b:01:02:03"],
  ["macaddr8", "08:00:2b:01:02:03:04:05"],
  ["point", "(1.5,-2)"],
  ["line", "{1,-1,0}"],
  ["lseg", "[(0,0),(1,1)]"],
  ["box", "(2,2),(0,0)"],
  ["path", "[(0,0),(1,1),(2,0)]", "((0,0),(1,1))"],
  ["polygon", "((0,0),(1,1),(2,0))"],
  ["circle", "<(1,1),2>"],
  ["tsvector", "'fat':2A 'rat':3 'a b'"],
  ["tsquery", "'fat' & ( 'rat' | !'cat':* )"],
  ["int4range", "[1,10)", "empty", "(,5)"],
  ["numrange", "(1.5,)"],
  ["tstzrange", '["2000-01-01 00:00:00+00",)'],
  ["int8multirange", "{[1,3),[5,9)}", "{}"],
  ["oid", "4294967295"],
  ["xid", "3"],
  ["xid8", "18446744073709551615"],
  ["tid", "(4294967295,65535)"],
  ["pg_lsn", "16/B374D848"],
  ["pg_snapshot", "10:20:10,14,15"],
  ["int2vector", "1 2 3"],
  ["oidvector", "16384 17"],
  ["integer[]", "{1,NULL,3}", "{{1,2},{3,4}}", "[0:1]={7,8}", "{}"],
  ["text[]", '{"a,b","NULL",NULL,"\\"",""}'],
  ["mood", "sad", "happy"],
  ["mood[]", "{happy,NULL,sad}"],
  ["positive", "5"],
  ["positive[]", "{5,6}"],
  ["feelings", "{sad,happy}"],
  ["pair", "(1,happy)", "(,)"],
  ["pair[]", '{"(1,sad)",NULL}'],
  ["nest", '("(1,happy)","{sad,happy}")'],
  ["mood_range", "[sad,happy]"],
  ["record_of", '("{""(2,sad)""}",x)'],
];

const TYPES = `
  CREATE TYPE mood AS ENUM ('sad', 'happy');
  CREATE DOMAIN positive AS bigint CHECK (VALUE > 0);
  CREATE TYPE pair AS (number integer, mood mood);
  CREATE TYPE nest AS (inner_pair pair, moods mood[]);
  CREATE DOMAIN feelings AS mood[];
  CREATE TYPE mood_range AS RANGE (subtype = mood);
  CREATE TYPE record_of AS (pairs pair[], word varchar(3));`;

const NAMES = VALUES.map((_, index) => `c${index}`);
const COLUMNS = NAMES.map((name, index) => `${name} ${VALUES[index]?.[0]}`).join(", ");
const TABLE = `CREATE TABLE things (n integer, ${COLUMNS})`;

let server: TestPostgres;
let gathering: Gathering;

beforeAll(async () => {
  server = await startPostgres({ databases: ["main", "east", "west"] });
  await server.query("main", `${TYPES} ${TABLE}`);
  // Every type and table gets another OID than in the catalog database.
  const inTheWay = "CREATE TABLE in_the_way (); CREATE TYPE _mood AS ENUM ('takes the name');";
  await server.query("east", `${inTheWay} ${TYPES} ${TABLE}`);
  await server.query("west", `${inTheWay} ${inTheWay.replaceAll("_", "__")} ${TYPES} ${TABLE}`);
  const client = await server.connect("east");
  const rows = Math.max(...VALUES.map((values) => values.length));
  const parameters = NAMES.map((_, index) => `$${index + 1}`).join(", ");
  for (let row = 0; row < rows; row += 1) {
    const values = VALUES.map(([, ...texts]) => texts[row] ?? null);
    await client.query(`INSERT INTO things VALUES (${row}, ${parameters})`, values);
  }
  await client.end();
  gathering = await Gathering.open({ main: server, east: server, west: server });
});

afterAll(async () => {
  await gathering.backends.close();
  await server.stop();
});

const SQL = `SELECT ${NAMES.join(", ")} FROM things ORDER BY n`;

test("have the same text afterwards, and the same type", async () => {
  const own = await gathering.run(
    { ...gatherPlan([], ""), fragments: [fragment("east", SQL)] },
    { as: SQL },
  );
  const columns = ["n", ...NAMES];
  const all = "SELECT * FROM things";
  const pull = { table: "things", columns, shape: all, from: { east: all, west: all, main: all } };
  const plan = gatherPlan([pull], SQL.replace("things", "pg_temp.things"));
  const gathered = await gathering.run(plan, { as: SQL });
  const expected = rowTexts(own);
  const actual = rowTexts(gathered);
  for (const [index, [type]] of VALUES.entries()) {
    const texts = (rows: (string | null)[][]): unknown[] => [
      type,
      ...rows.map((row) => row[index]),
    ];
    expect(texts(actual)).toEqual(texts(expected));
  }
  expect(actual.length).toBe(expected.length);
  expect(expected.flat().filter((text) => text !== null).length).toBe(
    VALUES.reduce((sum, [, ...values]) => sum + values.length, 0),
  );
});

test("mean the same to operators afterwards", async () => {
  const all = "SELECT * FROM things";
  const pull = {
    table: "things",
    columns: ["n", ...NAMES],
    shape: all,
    from: { east: all },
  };
  const [mood, pair, feelings, range] = ["mood", "pair", "feelings", "mood_range"].map(
    (type) => NAMES[VALUES.findIndex(([name]) => name === type)],
  );
  const condition = `${mood} = 'happy' OR (${pair}).mood = 'happy' OR ${range} @> 'sad'::mood
    OR ${feelings} = '{sad,happy}'::feelings`;
  const plan = gatherPlan(
    [pull],
    `SELECT n, (${pair}).number FROM pg_temp.things WHERE ${condition} ORDER BY n`,
  );
  const sql = `SELECT n, (${pair}).number FROM things WHERE ${condition} ORDER BY n`;
  const answer = await gathering.run(plan, { as: sql });
  const own = { ...gatherPlan([], ""), fragments: [fragment("east", sql)] };
  const expected = rowTexts(await gathering.run(own, { as: sql }));
  expect(expected.length).toBeGreaterThan(0);
  expect(rowTexts(answer)).toEqual(expected);
});

test("without a binary form are refused by the server that has them", async () => {
  const sql = "SELECT '=r/postgres'::aclitem AS granted";
  const plan = gatherPlan(
    [{ table: "t", columns: ["granted"], shape: sql, from: { east: sql } }],
    "SELECT granted FROM pg_temp.t",
  );
  await expect(gathering.run(plan, { as: sql })).rejects.toMatchObject({
    fields: { C: "42883", M: expect.stringContaining("no binary output function") },
  });
});
