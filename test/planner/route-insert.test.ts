import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { databaseName } from "../../base/ids.ts";
import type { SqlError } from "../../base/sql-error.ts";
import { renderInsert } from "../../planner/insert/template.ts";
import type { LogicalPlan } from "../../planner/logical-plan.ts";
import type { InsertPlan } from "../../planner/insert/insert-plan.ts";
import { loadParser } from "../../planner/parse.ts";
import { withRefusals } from "../../planner/refusal.ts";
import { planInsert } from "../../planner/route-insert.ts";
import { planStatement } from "../../planner/plan.ts";
import { originalPosition, type RenderedSql } from "../../planner/sql-template.ts";
import { onlyStatement, samplePlanContext } from "./sample-plan-context.ts";

beforeAll(loadParser);

function plan(sql: string, parameterTypes: readonly number[] = []): LogicalPlan {
  const statement = onlyStatement(sql);
  const { node } = statement;
  if (!("InsertStmt" in node)) throw new Error("not an INSERT");
  return withRefusals(statement, () =>
    planInsert(statement, node.InsertStmt, samplePlanContext({ parameterTypes }), (query) =>
      planStatement(query, samplePlanContext({ parameterTypes })),
    ),
  );
}

function insertPlan(sql: string): InsertPlan {
  const planned = plan(sql);
  if (planned.kind !== "insert") throw new Error(`planned as ${planned.kind}`);
  return planned;
}

/** Draws are 0, 1, ... of row 0, then 100, 101, ... of row 1. */
function render(
  planned: InsertPlan,
  schema: string,
  rows = planned.rows.map((_, row) => row),
): RenderedSql {
  const placement = { id: "sample", database: databaseName("users1"), schema, shards: [] };
  const draws = planned.rows.map((_, row) =>
    planned.generated.map(({ source }, index) =>
      source.kind === "randomUuid"
        ? `00000000-0000-0000-0000-00000000000${row}`
        : String(row * 100 + index),
    ),
  );
  return renderInsert(planned, rows, draws, {
    placement,
    canonicalSchema: "public",
    limit: undefined,
  });
}

function errorOf(sql: string): Pick<SqlError, "id" | "position"> {
  try {
    plan(sql);
  } catch (error) {
    return error as SqlError;
  }
  throw new Error(`not refused: ${sql}`);
}

describe("rows", () => {
  test("keep their own text and go by their own key", () => {
    const planned = insertPlan(
      "INSERT INTO orders (user_id, id, note) OVERRIDING SYSTEM VALUE VALUES ( 1 , 2 /*é*/, E'a\\'),(' ), ($2::int8, 3, $$),($$) RETURNING *",
    );
    expect(planned.rows.map(({ key }) => key)).toEqual([
      [{ kind: "number", text: "1" }],
      [{ kind: "parameter", number: 2, typeOid: 20, isCast: true }],
    ]);
    expect(render(planned, "public", [1]).sql).toBe(
      'INSERT INTO orders (user_id, id, note, "made_at") OVERRIDING SYSTEM VALUE VALUES ($2::int8, 3, $$),($$, (now())) RETURNING *',
    );
    expect(render(planned, "shard_3", [0]).sql).toBe(
      'INSERT INTO "shard_3"."orders" (user_id, id, note, "made_at") OVERRIDING SYSTEM VALUE VALUES ( 1 , 2 /*é*/, E\'a\\\'),(\' , (now())) RETURNING *',
    );
  });

  test("any mix of values is cut where the tree says", () => {
    const value = fc.constantFrom(
      "1",
      "'a,(b'",
      "E'\\')'",
      "$q$ ),( $q$",
      "(1+(2))",
      "ARRAY[1,2]",
      "lower('x')",
      "DEFAULT",
      "-- c\n 5",
      "NULL",
      "'é'",
      "row(1,2)",
      "(/* ), */ 3)",
    );
    const rows = fc.array(fc.tuple(fc.integer(), value, value), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(rows, (list) => {
        const texts = list.map(([key, first, second]) => `(${key}, ${first}, ${second})`);
        const planned = insertPlan(
          `INSERT INTO tickets (user_id, seat, id) VALUES ${texts.join(" , ")} RETURNING id`,
        );
        for (const [row, text] of texts.entries()) {
          expect(planned.rows[row]?.key).toEqual([
            { kind: "number", text: String(list[row]?.[0]) },
          ]);
          const expected = text.replace(/, DEFAULT\)$/, `, ${row * 100})`);
          expect(render(planned, "public", [row]).sql).toBe(
            `INSERT INTO tickets (user_id, seat, id) VALUES ${expected} RETURNING id`,
          );
        }
      }),
      { numRuns: 200 },
    );
  });

  test("an error's position is given in the client's text", () => {
    const sql = "INSERT INTO users (name) VALUES ('a'), (here) RETURNING there";
    const rendered = render(insertPlan(sql), "shard_3", [1]);
    for (const word of ["here)", "there"]) {
      const position = rendered.sql.indexOf(word.replace(")", "")) + 1;
      expect(originalPosition(rendered, position)).toBe(sql.indexOf(word) + 1);
    }
  });
});

describe("values the proxy fills", () => {
  test.each([
    [
      "an omitted serial",
      "INSERT INTO users (name) VALUES ('a'), ('b')",
      "INSERT INTO users (name, \"id\") VALUES ('a', 0), ('b', 100)",
    ],
    [
      "DEFAULT for it in one row",
      "INSERT INTO users VALUES (1, 'a'), (DEFAULT, 'b')",
      "INSERT INTO users VALUES (1, 'a'), (100, 'b')",
    ],
    [
      "fewer values than columns",
      "INSERT INTO tickets (user_id) VALUES (1)",
      'INSERT INTO tickets (user_id, "id") VALUES (1, 0)',
    ],
    [
      "without a column list",
      "INSERT INTO orders VALUES (1)",
      'INSERT INTO orders ("user_id", "id") OVERRIDING SYSTEM VALUE VALUES (1, 0)',
    ],
    [
      "OVERRIDING USER VALUE",
      "INSERT INTO orders OVERRIDING USER VALUE VALUES (1, 7)",
      "INSERT INTO orders OVERRIDING SYSTEM VALUE VALUES (1, 0)",
    ],
    [
      "DEFAULT VALUES",
      "INSERT INTO tokens DEFAULT VALUES",
      "INSERT INTO tokens (\"id\") VALUES ('00000000-0000-0000-0000-000000000000')",
    ],
    [
      "nextval of a sequence",
      "INSERT INTO tickets (user_id, id) VALUES (1, nextval('ticket_numbers'))",
      "INSERT INTO tickets (user_id, id) VALUES (1, 0)",
    ],
    [
      "a random uuid key",
      "INSERT INTO tokens VALUES (gen_random_uuid(), 'a')",
      "INSERT INTO tokens VALUES ('00000000-0000-0000-0000-000000000000', 'a')",
    ],
    [
      "an alias that is a keyword",
      "INSERT INTO users AS values (name) VALUES ('x')",
      "INSERT INTO users AS values (name, \"id\") VALUES ('x', 0)",
    ],
    [
      "parenthesised VALUES",
      "INSERT INTO users (name) (VALUES ('x'))",
      "INSERT INTO users (name, \"id\") (VALUES ('x', 0))",
    ],
  ])("%s", (_, sql, expected) => {
    expect(render(insertPlan(sql), "public").sql).toBe(expected);
  });

  test("two sources of one column are drawn apart", () => {
    const planned = insertPlan(
      "INSERT INTO tickets (user_id, id) VALUES (1, DEFAULT), (2, nextval('public.ticket_numbers'))",
    );
    expect(planned.generated.map(({ source }) => source)).toEqual([
      { kind: "sequence", schema: "public", sequence: "tickets_id_seq", isIdentity: true },
      { kind: "sequence", schema: "public", sequence: "ticket_numbers", isIdentity: false },
    ]);
    expect(render(planned, "public").sql).toBe(
      "INSERT INTO tickets (user_id, id) VALUES (1, 0), (2, 101)",
    );
  });

  test("a reference table gets the same values everywhere", () => {
    const planned = insertPlan("INSERT INTO countries (code, added) VALUES ('de', '2020-01-01')");
    expect(planned.table.kind).toBe("reference");
    expect(planned.rows.map(({ key }) => key)).toEqual([[]]);
    expect(planned.generated.map(({ column }) => column)).toEqual(["id", "key"]);
  });
});

describe("refusals", () => {
  test.each([
    ["INSERT INTO orders (user_id) VALUES (now())", "shard_key_not_constant", 38],
    ["INSERT INTO orders (user_id) VALUES (1), (2 + 1)", "shard_key_not_constant", 45],
    ["INSERT INTO orders (user_id) VALUES ('1'::text)", "shard_key_not_constant", 41],
    ["INSERT INTO orders (user_id) VALUES (NULL)", "shard_key_null", undefined],
    ["INSERT INTO orders (total) VALUES (1)", "shard_key_null", undefined],
    ["INSERT INTO orders VALUES (1, 7)", "identity_column_given", undefined],
    [
      "WITH a AS (SELECT 1) INSERT INTO orders (user_id) VALUES (1)",
      "insert_query_not_supported",
      34,
    ],
    ["INSERT INTO notes (body) VALUES ('a')", "unique_key_without_shard_key", 13],
    [
      "INSERT INTO tickets (user_id) VALUES (1) ON CONFLICT (id) DO NOTHING",
      "conflict_target_without_shard_key",
      54,
    ],
    [
      "INSERT INTO orders (user_id) VALUES (1) ON CONFLICT (user_id, id) DO UPDATE SET user_id = 2",
      "shard_key_updated",
      81,
    ],
    [
      "INSERT INTO tickets (user_id, seat) VALUES (1, audit('x'))",
      "insert_expression_not_supported",
      48,
    ],
    [
      "INSERT INTO tickets (user_id, id) VALUES (1, 1 + nextval('ticket_numbers'))",
      "insert_expression_not_supported",
      50,
    ],
    [
      "INSERT INTO tickets (user_id, seat) VALUES (1, (SELECT value FROM settings))",
      "insert_expression_not_supported",
      67,
    ],
    ["INSERT INTO countries (code) VALUES ('de')", "reference_value_differs", undefined],
    ["INSERT INTO countries (code, added) VALUES ('de', now())", "reference_value_differs", 51],
    [
      "INSERT INTO countries (code, added) VALUES ('de', CURRENT_DATE)",
      "reference_value_differs",
      51,
    ],
    ["INSERT INTO invoices (amount) VALUES ((SELECT 1 FROM users))", "insert_across_databases", 54],
  ])("%s", (sql, id, position) => {
    expect(errorOf(sql)).toMatchObject({ id, position });
  });

  test.each([
    "INSERT INTO orders (nope) VALUES (1)",
    "INSERT INTO orders (user_id, user_id) VALUES (1, 2)",
    "INSERT INTO orders (user_id) VALUES (1, 2)",
    "INSERT INTO orders (user_id, total) VALUES (1)",
    "INSERT INTO orders (user_id) VALUES (1), (1, 2)",
    "INSERT INTO nowhere VALUES (1)",
  ])("PostgreSQL words the error: %s", (sql) => {
    expect(plan(sql)).toEqual({ kind: "rejected", sql });
  });

  test("EXCLUDED's own key is no change of the key", () => {
    expect(
      plan(
        "INSERT INTO orders (user_id) VALUES (1) ON CONFLICT (user_id, id) DO UPDATE SET user_id = excluded.user_id",
      ).kind,
    ).toBe("insert");
    expect(
      plan(
        "INSERT INTO orders (user_id) VALUES (1) ON CONFLICT ON CONSTRAINT orders_pkey DO NOTHING",
      ),
    ).toMatchObject({ mayDropRows: true });
  });
});

describe("tables that are whole in one database", () => {
  test.each([
    ["INSERT INTO invoices (amount) VALUES (1) RETURNING id", "users1", "group"],
    ["INSERT INTO settings SELECT code, 'x' FROM countries", "main", "unlisted table"],
  ])("%s", (sql, database, because) => {
    expect(plan(sql)).toMatchObject({
      kind: "query",
      access: "write",
      routing: { kind: "home", database, because },
    });
  });
});

test("a map that names a column the table lacks", () => {
  const statement = onlyStatement("INSERT INTO users (name) VALUES ('a')");
  const { node } = statement;
  const context = samplePlanContext();
  const publicRelations = new Map(context.catalog.relations.get("public"));
  const users = publicRelations.get("users");
  if (users === undefined || !("InsertStmt" in node)) throw new Error("the sample has users");
  publicRelations.set("users", {
    ...users,
    columns: users.columns.slice(1),
    uniqueKeys: [],
  });
  const catalog = { ...context.catalog, relations: new Map([["public", publicRelations]]) };
  const planned = (): LogicalPlan => planStatement(statement, { ...context, catalog });
  expect(planned).toThrow(expect.objectContaining({ id: "shard_key_column_missing" }));
});
