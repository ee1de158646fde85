/** What a suggestion says of the schema, against what the planner says of its CREATE TABLE. */
import { beforeAll, describe, expect, test } from "vitest";
import type { Observed } from "../../../cli/analyze/observation.ts";
import { planned } from "../../../cli/analyze/planned-workload.ts";
import { reportHtml } from "../../../cli/analyze/report-html.ts";
import { reportText } from "../../../cli/analyze/report-text.ts";
import { makeReport, type Report } from "../../../cli/analyze/report.ts";
import { suggest } from "../../../cli/analyze/suggest.ts";
import type { SchemaChange, Suggestion } from "../../../cli/analyze/suggestion.ts";
import { Workload } from "../../../cli/analyze/workload.ts";
import { loadParser } from "../../../planner/parse.ts";
import { EMPTY_MAP, observation, sampleContext } from "./sample.ts";

beforeAll(loadParser);

function reportOf(schema: string, observed: readonly Observed[]): Report {
  const context = sampleContext(EMPTY_MAP, schema);
  const workload = new Workload();
  for (const one of observed) workload.add(one);
  const plans = workload.statements.flatMap((statement) => planned(statement, context) ?? []);
  const suggestion = suggest(workload, plans, context);
  const request = { sources: ["app.log"], mapFile: "map.yaml", map: context.map };
  return makeReport({ ...request, workload, planned: plans, suggestion });
}

function suggestionOf(schema: string, observed: readonly Observed[]): Suggestion {
  const { suggestion } = reportOf(schema, observed);
  if (suggestion === null || suggestion === undefined) throw new Error("a map is suggested");
  return suggestion;
}

function changesOf({ colocations, referenceTableChanges }: Suggestion): readonly SchemaChange[] {
  return [...colocations.flatMap((one) => one.schemaChanges), ...referenceTableChanges];
}

const USERS = "CREATE TABLE users (id bigint PRIMARY KEY, name text);";
const byUser = (table: string): Observed =>
  observation(`SELECT * FROM users u JOIN ${table} t ON t.user_id = u.id WHERE u.id = $1`, {
    calls: 100,
  });

/** By the id of the refusal; the statements that the proxy refuses under the suggested map. */
function refusedStatements(schema: string, yaml: string): readonly string[] {
  const map = EMPTY_MAP.replace("unlisted_tables", `${yaml}unlisted_tables`);
  const statements = schema.split(";").filter((sql) => sql.trim() !== "");
  return statements.flatMap((sql, index) => {
    const context = sampleContext(map, statements.slice(0, index).join(";"));
    const workload = new Workload();
    workload.add(observation(sql));
    const [statement] = workload.statements;
    const plan = statement && planned(statement, context);
    return plan?.class === "refused" ? [plan.reason.id] : [];
  });
}

describe.each<[string, string, Observed, readonly string[]]>([
  [
    "keys with the shard key, a foreign key that pairs it",
    "CREATE TABLE t (user_id bigint REFERENCES users, id bigint, PRIMARY KEY (user_id, id))",
    byUser("t"),
    [],
  ],
  [
    "a primary key without it",
    "CREATE TABLE t (id bigint PRIMARY KEY, user_id bigint)",
    byUser("t"),
    ["primary key t_pkey (id) of t must contain user_id"],
  ],
  [
    "another unique key without it",
    "CREATE TABLE t (user_id bigint PRIMARY KEY, mail text, CONSTRAINT mails UNIQUE (mail))",
    byUser("t"),
    ["unique key mails (mail) of t must contain user_id"],
  ],
  [
    "a unique index on an expression",
    "CREATE TABLE t (user_id bigint PRIMARY KEY, mail text); CREATE UNIQUE INDEX mails ON t (lower(mail))",
    byUser("t"),
    ["unique key mails (partial, or of expressions) of t must contain user_id"],
  ],
  [
    "a foreign key of a table that no statement names",
    "CREATE TABLE notes (user_id bigint REFERENCES users (id))",
    observation("SELECT * FROM users WHERE id = $1"),
    [
      "foreign key notes_user_id_fkey of notes crosses colocations: notes is not sharded, users is in users",
    ],
  ],
  [
    "a foreign key to a table that is not sharded",
    "CREATE TABLE plans (id bigint PRIMARY KEY); CREATE TABLE t (user_id bigint PRIMARY KEY, plan bigint REFERENCES plans (id))",
    byUser("t"),
    ["foreign key t_plan_fkey of t crosses colocations: t is in users, plans is not sharded"],
  ],
  [
    "a foreign key within the colocation, but not by the shard key",
    "CREATE TABLE t (user_id bigint PRIMARY KEY, friend bigint REFERENCES users (id))",
    byUser("t"),
    ["foreign key t_friend_fkey of t must pair the shard keys: user_id with users.id"],
  ],
  [
    "a column of a narrower type",
    "CREATE TABLE t (user_id integer PRIMARY KEY)",
    byUser("t"),
    ["column user_id of t must have type bigint, not integer"],
  ],
])("%s", (_name, sql, observed, messages) => {
  const schema = `${USERS} ${sql};`;

  test("is told with the map", () => {
    expect(changesOf(suggestionOf(schema, [observed])).map(({ message }) => message)).toEqual(
      messages,
    );
  });

  test("is what the proxy refuses under that map", () => {
    const suggestion = suggestionOf(schema, [observed]);
    expect(refusedStatements(schema, suggestion.yaml)).toEqual(
      changesOf(suggestion).map(({ id }) => id),
    );
  });
});

test("keys of one narrow type are sharded by that type", () => {
  const schema =
    "CREATE TABLE users (id int PRIMARY KEY); CREATE TABLE t (user_id int PRIMARY KEY);";
  const suggestion = suggestionOf(schema, [byUser("t")]);
  expect(suggestion.colocations).toMatchObject([{ keyType: "integer", schemaChanges: [] }]);
  expect(refusedStatements(schema, suggestion.yaml)).toEqual([]);
});

test("a generated column is never a shard key", () => {
  const schema = `${USERS} CREATE TABLE t (n bigint PRIMARY KEY, user_id bigint GENERATED ALWAYS AS (n + 1) STORED);`;
  const suggestion = suggestionOf(schema, [
    byUser("t"),
    observation("SELECT * FROM users WHERE id = $1", { calls: 900 }),
  ]);
  expect(suggestion.colocations.flatMap(({ tables }) => tables)).toEqual([
    { table: "users", column: "id" },
  ]);
});

test.each([
  ["a", "b"],
  ["b", "a"],
])("between maps that are worth the same, the one that needs no change: key (%s)", (key, other) => {
  const schema = `CREATE TABLE t (a bigint, b bigint, PRIMARY KEY (${key}));`;
  for (const [first, second] of [
    [key, other],
    [other, key],
  ]) {
    const observed = [first, second].map((column) =>
      observation(`SELECT * FROM t WHERE ${column} = $1`, { calls: 10 }),
    );
    expect(suggestionOf(schema, observed).colocations).toMatchObject([
      { tables: [{ table: "t", column: key }], schemaChanges: [] },
    ]);
  }
});

test("of two columns of one domain that weigh the same, the one that is in the keys", () => {
  const schema = `${USERS} CREATE TABLE t (buyer bigint, seller bigint, PRIMARY KEY (seller));`;
  const join = "SELECT * FROM users u JOIN t ON t.buyer = u.id AND t.seller = u.id WHERE u.id = $1";
  const suggestion = suggestionOf(schema, [observation(join)]);
  expect(suggestion.colocations).toMatchObject([
    { tables: expect.arrayContaining([{ table: "t", column: "seller" }]), schemaChanges: [] },
  ]);
});

test("a reference table that references another table is told apart from colocations", () => {
  const schema = `${USERS} CREATE TABLE regions (id int PRIMARY KEY);
    CREATE TABLE countries (code text PRIMARY KEY, region int REFERENCES regions);`;
  const join = "SELECT * FROM users u JOIN countries c ON c.code = u.name WHERE u.id = $1";
  const suggestion = suggestionOf(schema, [observation(join, { calls: 10 })]);
  expect(suggestion.colocations).toMatchObject([{ schemaChanges: [] }]);
  expect(suggestion.referenceTableChanges).toEqual([
    {
      id: "foreign_key_not_supported",
      table: "countries",
      name: "countries_region_fkey",
      message:
        "foreign key countries_region_fkey of countries crosses colocations: countries is a reference table, regions is not sharded",
    },
  ]);
});

test("texts and pages list the changes, and names stay text in them", () => {
  const hostile = `"<img>\u001b[2J"`;
  const schema = `${USERS} CREATE TABLE t (id bigint, user_id bigint, CONSTRAINT ${hostile} PRIMARY KEY (id));`;
  const report = reportOf(schema, [byUser("t")]);
  const text = reportText(report);
  expect(text).toContain("colocation users: the schema must change first\n");
  expect(text).toContain("    primary key <img> [2J (id) of t must contain user_id\n");
  const html = reportHtml(report);
  expect(html).toContain("<h3>colocation users: the schema must change first</h3>");
  expect(html).toContain("<li>primary key &lt;img&gt;");
});

test("a map that needs no change says so", () => {
  const report = reportOf(USERS, [observation("SELECT * FROM users WHERE id = $1")]);
  expect(reportText(report)).toContain("colocation users: the schema needs no change\n");
});
