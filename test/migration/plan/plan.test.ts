/** What is planned between two maps, and what is refused. */
import { expect, test } from "vitest";
import { planMigrations } from "../../../migration/plan/plan.ts";
import { claimedObjects } from "../../../migration/plan/planned-migration.ts";
import type { MigrationPlan } from "../../../migration/plan/planned-migration.ts";
import { migrationName } from "../../../migration/plan/names.ts";
import { route } from "../../../migration/move.ts";
import { reverseMoves } from "../../../migration/reverse-move.ts";
import { catalogFromSql } from "../../../planner/catalog-from-sql.ts";
import { loadParser } from "../../../planner/parse.ts";
import { parseShardMap } from "../../../shardmap/schema.ts";
import type { ShardMap } from "../../../shardmap/shard-map.ts";

const SCHEMA = `
CREATE TABLE users (id bigserial PRIMARY KEY, name text);
CREATE TABLE orders (user_id bigint NOT NULL REFERENCES users (id), id bigint, PRIMARY KEY (user_id, id));
CREATE TABLE invoices (id bigint PRIMARY KEY);
CREATE TABLE payments (id bigint PRIMARY KEY, invoice_id bigint REFERENCES invoices (id));
CREATE TABLE countries (code text PRIMARY KEY);
CREATE TABLE emails (id bigint PRIMARY KEY, user_id bigint, address text UNIQUE);
`;

await loadParser();
const CATALOG = catalogFromSql(SCHEMA, { schema: "public" });

const DATABASES = ["main", "a", "b", "c"]
  .map((name) => `  ${name}: { primary: "postgres://app@127.0.0.1/${name}" }`)
  .join("\n");

function map(rest: string, version = 1): ShardMap {
  const text = `version: ${version}\ncatalog: main\ndatabases:\n${DATABASES}\n${rest}`;
  const result = parseShardMap(text, "map.yaml");
  if ("problems" in result) throw new Error(JSON.stringify(result.problems));
  return result.map;
}

function users(placements: readonly string[], more = ""): string {
  return `colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: 8
    tables: { users: id, orders: user_id }
    placements:
${placements.map((each) => `      - { ${each} }`).join("\n")}
${more}`;
}

function plan(before: string, next: string): MigrationPlan {
  return planMigrations(map(before), map(next, 2), CATALOG);
}

/** `kind name: source (tables) + ... -> targets`. */
function summary({ migration }: MigrationPlan): readonly string[] {
  if (migration === undefined) return [];
  const { kind, name, moves } = migration;
  const parts = moves.map(
    ({ source, tables }) =>
      `${source} (${tables.map((table) => `${table.schema}.${table.name}`).join(", ")})`,
  );
  const targets = new Set(
    claimedObjects({ moves }).map((object) => object.split(".").slice(0, 2).join(".")),
  );
  for (const { source, tables } of moves)
    for (const { schema } of tables) targets.delete(`${source}.${schema}`);
  return [`${kind} ${name}: ${parts.join(" + ")} -> ${[...targets].join(", ")}`];
}

const WHOLE = users(["shards: 0-7, database: a"]);

test("nothing changes", () => {
  expect(plan(WHOLE, WHOLE)).toEqual({
    from: 1,
    to: 2,
    migration: undefined,
    refusals: [],
    atOnce: [],
  });
});

test.each([
  [
    "a group of tables to a database of its own, together with what they refer to",
    "",
    "groups:\n  billing: { database: a, tables: [invoices, payments] }",
    ["vertical group_billing: main (public.invoices, public.payments) -> a.public"],
  ],
  [
    "a group to another database",
    "groups:\n  billing: { database: a, tables: [invoices, payments] }",
    "groups:\n  billing: { database: b, schema: money, tables: [invoices, payments] }",
    ["vertical group_billing: a (public.invoices, public.payments) -> b.money"],
  ],
  [
    "unsharded tables into a colocation",
    "",
    users(["shards: 0-3, database: a", "shards: 4-7, database: b"]),
    ["horizontal shard_users: main (public.users, public.orders) -> a.public, b.public"],
  ],
  [
    "unsharded tables of two databases into one colocation",
    "groups:\n  people: { database: c, tables: [users] }",
    users(["shards: 0-7, database: a"]),
    ["horizontal shard_users: c (public.users) + main (public.orders) -> a.public"],
  ],
  [
    "a placement to another database",
    WHOLE,
    users(["shards: 0-7, database: b"]),
    ["placement move_users_a_public: a (public.users, public.orders) -> b.public"],
  ],
  [
    "a placement into two",
    WHOLE,
    users(["shards: 0-3, database: b", "shards: 4-7, database: a, schema: late"]),
    ["split split_users_a_public: a (public.users, public.orders) -> a.late, b.public"],
  ],
  [
    "two placements into one, of two databases",
    users(["shards: 0-3, database: a", "shards: 4-7, database: b"]),
    users(["shards: 0-7, database: c"]),
    [
      "merge merge_users_c_public: a (public.users, public.orders) + b (public.users, public.orders) -> c.public",
    ],
  ],
  [
    "two placements into two others, crosswise",
    users(["shards: 0-3, database: a", "shards: 4-7, database: b"]),
    users(
      ["shards: 2-5, database: c", "shards: 0-1 6-7, database: c, schema: rest"].map((each) =>
        each.replace("0-1 6-7", '"0-1,6-7"'),
      ),
    ),
    [
      "reshard reshard_users_a_public: a (public.users, public.orders) + b (public.users, public.orders) -> c.public, c.rest",
    ],
  ],
  [
    "what stays is left alone",
    users(["shards: 0-3, database: a", "shards: 4-7, database: b"]),
    users(["shards: 0-3, database: a", "shards: 4-7, database: c"]),
    ["placement move_users_b_public: b (public.users, public.orders) -> c.public"],
  ],
])("%s", (_what, before, next, expected) => {
  const result = plan(before, next);
  expect(result.refusals).toEqual([]);
  expect(summary(result)).toEqual(expected);
});

test("rows of a merge come back to where they were, each by its shard", () => {
  const result = plan(
    users([
      "shards: 0-3, database: a",
      "shards: 4-6, database: a, schema: two",
      "shards: 7, database: b",
    ]),
    users(["shards: 0-7, database: c"]),
  );
  const back = result.migration?.moves.map(reverseMoves);
  expect(back?.map((moves) => moves.map(({ name, source }) => `${name} ${source}`))).toEqual([
    ["merge_users_c_public_1_b1 c"],
    ["merge_users_c_public_2_b1 c"],
  ]);
  const places = new Map<string, number>();
  for (let key = 0; key < 200; key += 1) {
    const found = (back ?? []).flatMap(([move]) =>
      (move?.tables ?? [])
        .filter(({ name }) => name === "users")
        .flatMap((table) => route(table, [String(key)])),
    );
    // One of them takes it, the others pass it over.
    expect(found).toHaveLength(1);
    for (const { database, schema } of found)
      places.set(`${database}.${schema}`, (places.get(`${database}.${schema}`) ?? 0) + 1);
  }
  expect([...places.keys()].toSorted()).toEqual(["a.public", "a.two", "b.public"]);
});

test("another number of logical shards lays out every row anew", () => {
  const result = plan(
    WHOLE,
    users(["shards: 0-15, database: b"]).replace("logical_shards: 8", "logical_shards: 16"),
  );
  expect(summary(result)).toEqual([
    "reshard reshard_users: a (public.users, public.orders) -> b.public",
  ]);
  const [table] = result.migration?.moves[0]?.tables ?? [];
  expect(table && route(table, ["7"])).toEqual([{ database: "b", schema: "public" }]);
});

test("rows of a split go where the next map says, and those of others nowhere", () => {
  const result = plan(
    users(["shards: 0-3, database: a", "shards: 4-7, database: b"]),
    users([
      "shards: 0-1, database: c",
      "shards: 2-3, database: c, schema: two",
      "shards: 4-7, database: b",
    ]),
  );
  const [table] = result.migration?.moves[0]?.tables ?? [];
  if (table === undefined) throw new Error("no table is moved");
  const places = new Set(
    Array.from({ length: 200 }, (_, key) => route(table, [String(key)])[0]?.schema ?? "stays"),
  );
  expect([...places].toSorted()).toEqual(["public", "stays", "two"]);
});

test("a new database has its reference tables by the same migration as its rows", () => {
  const before = map(`${WHOLE}reference_tables: [countries]`);
  const added = map(
    `${users(["shards: 0-7, database: d"])}reference_tables: [countries]`.replace(
      "colocations:",
      '  d: { primary: "postgres://app@127.0.0.1/d" }\ncolocations:',
    ),
    2,
  );
  expect(summary(planMigrations(before, added, CATALOG))).toEqual([
    "placement move_users_a_public: main (public.countries) + a (public.users, public.orders) -> d.public",
  ]);
});

test("many placements are one migration, whose pause is one", () => {
  const placements = (database: string): readonly string[] =>
    Array.from(
      { length: 8 },
      (_, shard) => `shards: ${shard}, database: ${database}, schema: s${shard}`,
    );
  const { migration } = plan(users(placements("a")), users(placements("b")));
  expect(migration).toMatchObject({ name: "map_2", kind: "several" });
  expect(migration?.moves.map(({ name, source, tables }) => [name, source, tables.length])).toEqual(
    [["map_2", "a", 16]],
  );
});

test("serial numbers become global, and the plan says so", () => {
  const { migration } = plan("", users(["shards: 0-7, database: a"]));
  expect(migration?.notes).toEqual([
    expect.stringMatching(/^users\.id is numbered by public\.users_id_seq: it stays in main/),
  ]);
});

test.each([
  [
    "a placement that keeps some of its rows",
    WHOLE,
    users(["shards: 0-3, database: a", "shards: 4-7, database: b"]),
    /placement a\.public would give rows up or take others while it serves.*a\.public_new/,
  ],
  [
    "a placement that takes others",
    users(["shards: 0-3, database: a", "shards: 4-7, database: b"]),
    users(["shards: 0-7, database: b"]),
    /placement b\.public would give rows up or take others/,
  ],
  [
    "into the canonical schema",
    WHOLE,
    users(["shards: 0-7, database: main"]),
    /main\.public is where the canonical tables are/,
  ],
  [
    "rows that stay in the catalog database's own schema",
    "",
    users(["shards: 0-3, database: main", "shards: 4-7, database: a"]),
    /some of its rows would stay in main\.public/,
  ],
  [
    "a unique key without the shard key",
    "",
    users(["shards: 0-7, database: a"]).replace("orders: user_id", "emails: user_id"),
    /"user_id" may be NULL|unique key "emails_pkey" does not contain the shard key \(user_id\)/,
  ],
  [
    "a foreign key that would be cut",
    "",
    "groups:\n  billing: { database: a, tables: [payments] }",
    /foreign key "payments_invoice_id_fkey" refers to invoices/,
  ],
  ["no longer listed", WHOLE, "", /it is no longer listed/],
  [
    "no longer sharded",
    WHOLE,
    "groups:\n  people: { database: b, tables: [users, orders] }",
    /it would no longer be sharded/,
  ],
  ["a reference table with rows", "", "reference_tables: [countries]", /in every database at once/],
  [
    "a reference table no more",
    "reference_tables: [countries]",
    "groups:\n  all: { database: a, tables: [countries] }",
    /does not become a reference table, nor stop being one/,
  ],
  [
    "a group back to the canonical schema",
    "groups:\n  billing: { database: a, tables: [invoices, payments] }",
    "groups:\n  billing: { database: main, tables: [invoices, payments] }",
    /where its canonical table is kept empty/,
  ],
  [
    "another shard key in the same placements",
    WHOLE,
    WHOLE.replace("orders: user_id", "orders: id"),
    /shard key would be \(id\) instead of \(user_id\)/,
  ],
  [
    "another colocation",
    WHOLE,
    WHOLE.replaceAll("users:", "people:").replace("people: id", "users: id"),
    /it would leave colocation users for people/,
  ],
])("refused: %s", (_what, before, next, expected) => {
  const { refusals } = plan(before, next);
  expect(refusals.length).toBeGreaterThan(0);
  expect(refusals.map(({ because }) => because).join("\n")).toMatch(expected);
});

test("a database with reference tables does not leave by the map that moves its rows", () => {
  const text = `${WHOLE}reference_tables: [countries]`;
  const added = text.replace(
    "colocations:",
    '  d: { primary: "postgres://app@127.0.0.1/d" }\ncolocations:',
  );
  const next = map(`${users(["shards: 0-7, database: b"])}reference_tables: [countries]`, 2);
  expect(planMigrations(map(added), next, CATALOG).refusals).toEqual([
    { object: "database d", because: expect.stringContaining("Keep it listed") },
  ]);
});

test("another catalog database is refused", () => {
  const next = map(WHOLE, 2);
  const other = { ...next, catalog: [...next.databases.keys()][2] ?? next.catalog };
  expect(planMigrations(map(WHOLE), other, CATALOG).refusals).toContainEqual({
    object: "catalog",
    because: expect.stringMatching(/stay in main\.public/),
  });
});

test("names fit into slots, tell long ones apart, and are the same each time", () => {
  expect(migrationName("move", "users", "a", "public")).toBe("move_users_a_public");
  const long = ["x", "y"].map((end) => migrationName("move", "a".repeat(50) + end));
  expect(new Set(long).size).toBe(2);
  for (const name of [...long, migrationName("move", "Übel", "ü")])
    expect(name).toMatch(/^[a-z][a-z0-9_]{0,35}$/);
  expect(migrationName("move", "Users")).not.toBe(migrationName("move", "users"));
});
