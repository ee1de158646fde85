/** Texts over several placements of one database: their bounds, and where positions in them lie. */
import { beforeAll, expect, test } from "vitest";
import { databaseName } from "../../base/ids.ts";
import { UNION_ARMS_MAX, UNION_TEXT_LENGTH_MAX } from "../../base/limits.ts";
import { bindFragments, type Place } from "../../planner/bind-fragments.ts";
import type { StreamedGather } from "../../planner/logical-plan.ts";
import { loadParser, parseSql } from "../../planner/parse.ts";
import type { Fragment } from "../../planner/physical-plan.ts";
import { originalPosition, type SqlTemplate } from "../../planner/sql-template.ts";
import { parseShardMap } from "../../shardmap/schema.ts";
import { placement, sampleMap } from "./union-places.ts";

beforeAll(loadParser);

const CONCAT: StreamedGather = { kind: "concat", limit: undefined };
const SQL = "SELECT ä.id FROM users AS ä WHERE ä.id = users_of(1)";
const TEMPLATE: SqlTemplate = {
  sql: SQL,
  edits: [{ start: 17, end: 22, with: { kind: "table", name: "users", isFoundAsWritten: true } }],
  arm: { kind: "asWritten" },
};

function bound(
  places: readonly Place[],
  more: Partial<Parameters<typeof bindFragments>[1]> = {},
): readonly Fragment[] {
  const text = {
    access: "read",
    template: TEMPLATE,
    gather: CONCAT,
    limit: undefined,
    ...more,
  } as const;
  return bindFragments(places, text, sampleMap());
}

const places = (count: number, database = "east"): Place[] =>
  Array.from({ length: count }, (_, index) => placement(database, `s${index}`));

test("one text a database, in the order of the places", () => {
  const both = [placement("east", "s0"), placement("west", "s0"), placement("east", "s1")];
  expect(bound(both).map(({ database, placementIds }) => [database, placementIds])).toEqual([
    ["east", ["east.s0", "east.s1"]],
    ["west", ["west.s0"]],
  ]);
});

test.each([1, 2, UNION_ARMS_MAX, UNION_ARMS_MAX + 1, 5 * UNION_ARMS_MAX])(
  "%i placements: each is asked once, by texts of bounded length",
  (count) => {
    const fragments = bound(places(count));
    expect(fragments.flatMap(({ placementIds }) => placementIds)).toEqual(
      places(count).map((place) => place.placement?.id),
    );
    expect(fragments).toHaveLength(Math.ceil(count / UNION_ARMS_MAX));
    for (const { placementIds, rendered } of fragments) {
      const outcome = parseSql(rendered.sql);
      expect(outcome.kind === "statements" && outcome.statements.length).toBe(1);
      expect(rendered.sql.split("UNION ALL")).toHaveLength(placementIds.length);
    }
  },
);

test("long texts are put together in fewer, and the longest not at all", () => {
  const long = (length: number): SqlTemplate => ({
    ...TEMPLATE,
    sql: `${SQL} ${"-".repeat(length)}`,
  });
  const third = bound(places(4), { template: long(UNION_TEXT_LENGTH_MAX / 3) });
  expect(third.map(({ placementIds }) => placementIds.length)).toEqual([2, 2]);
  expect(bound(places(4), { template: long(UNION_TEXT_LENGTH_MAX) })).toHaveLength(4);
});

test("writes, and what cannot be an arm, have a text a placement", () => {
  expect(bound(places(3), { access: "write" })).toHaveLength(3);
  expect(bound(places(3), { template: { ...TEMPLATE, arm: undefined } })).toHaveLength(3);
  expect(bound(places(3), { gather: { kind: "counts" } })).toHaveLength(3);
});

test.each([{ kind: "asWritten" }, { kind: "byName", columns: ["id"] }] as const)(
  "a position in any arm ($kind) is the client's, one between them is nobody's",
  (arm) => {
    const [fragment] = bound([placement("east", "public"), ...places(2)], {
      template: { ...TEMPLATE, arm },
    });
    const rendered = (fragment as Fragment).rendered;
    const found = [...rendered.sql.matchAll(/users_of/g)].map(({ index }) => index + 1);
    expect(found).toHaveLength(3);
    for (const position of found)
      expect(originalPosition(rendered, position)).toBe(SQL.indexOf("users_of") + 1);
    for (const { index } of rendered.sql.matchAll(/UNION/g))
      expect(originalPosition(rendered, index + 1)).toBeUndefined();
    expect(originalPosition(rendered, 1)).toBeUndefined();
    expect(rendered.original).toBe(SQL);
    expect(rendered.schemas).toEqual([
      { own: "s0", shown: "public" },
      { own: "s1", shown: "public" },
    ]);
  },
);

test("an error of a database as a whole shows the schemas of its placements as the client's", () => {
  const parsed = parseShardMap(
    `version: 1
catalog: main
databases: { main: { primary: "postgres://a@m/a" }, east: { primary: "postgres://a@e/a" } }
colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: 2
    tables: { users: id }
    placements:
      - { shards: 0, database: east }
      - { shards: 1, database: east, schema: shard_b }
`,
    "map.yaml",
  );
  if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
  const { map } = parsed;
  const [east, main] = bindFragments(
    ["east", "main"].map((name) => ({ database: databaseName(name), placement: undefined })),
    { access: "write", template: TEMPLATE, gather: { kind: "passThrough" }, limit: undefined },
    map,
  );
  expect(east?.rendered.schemas).toEqual([{ own: "shard_b", shown: "public" }]);
  expect(main?.rendered.schemas).toEqual([]);
});
