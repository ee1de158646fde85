/**
 * Portals whose rows are asked for a few at a time, whatever gathers them: one placement, a
 * merge, groups, and rows and tables copied into the catalog database.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestProxy } from "../support/proxy.ts";
import type { TestProxy } from "../support/proxy.ts";
import { startEnvironment } from "./environment.ts";
import type { Environment } from "./environment.ts";
import { Runner } from "./runner.ts";
import type { Statement, Step } from "./statement.ts";

let environment: Environment;
let proxy: TestProxy;
let runner: Runner;

beforeAll(async () => {
  environment = await startEnvironment();
  proxy = await startTestProxy(environment.mapYaml);
  runner = new Runner(
    {
      client: await environment.connectPlain(),
      connect: environment.connectPlain,
      typeNames: environment.plainTypeNames,
    },
    {
      client: await proxy.connect(),
      connect: () => proxy.connect(),
      typeNames: environment.catalogTypeNames,
    },
  );
  const users = Array.from({ length: 40 }, (_, n) => `(${n - 20}, 'name ${n % 9}', ${n % 5})`);
  const orders = Array.from({ length: 60 }, (_, n) => `(${(n % 30) - 15}, ${n}, ${n}.5)`);
  await runner.unit([
    simple(`INSERT INTO users (id, name, age) VALUES ${users.join(", ")}`),
    simple(`INSERT INTO orders (user_id, id, total) VALUES ${orders.join(", ")}`),
  ]);
});

afterAll(async () => {
  await runner?.plain.client.close();
  await runner?.other.client.close();
  await proxy?.stop();
  await environment?.[Symbol.asyncDispose]();
});

function statement(sql: string): Statement {
  return {
    kind: "portal",
    sql,
    parameters: [],
    order: "total",
    opaqueColumns: [],
    isWrite: false,
    mayFailTwice: false,
  };
}

function simple(sql: string): Step {
  return { kind: "simple", sql, statements: [statement(sql)] };
}

/** Of the portal: as many rows as each Execute says; 0 is all that are left. */
function limited(sql: string, portal: string, limits: readonly number[]): Step {
  return {
    kind: "extended",
    statements: [statement(sql)],
    calls: [
      { kind: "parse", name: "", sql, typeOids: [] },
      { kind: "bind", statement: "", portal, parameters: [], resultFormats: [] },
      { kind: "describe", target: "P", name: portal },
      ...limits.map((rowsMax) => ({ kind: "execute", portal, rowsMax }) as const),
    ],
  };
}

const STATEMENTS = [
  "SELECT id, name FROM users WHERE id = 5 ORDER BY id",
  "SELECT id FROM users ORDER BY id",
  "SELECT age, count(*) FROM users GROUP BY age ORDER BY age",
  "SELECT age, count(*)::int FROM users GROUP BY age HAVING count(*) > 1 ORDER BY age",
  "SELECT name, id FROM users ORDER BY name, id LIMIT 20",
  "SELECT id FROM users EXCEPT SELECT user_id FROM orders ORDER BY 1",
  "SELECT user_id, id, sum(total) OVER (ORDER BY user_id, id) FROM orders ORDER BY user_id, id",
];

test.for(
  STATEMENTS.flatMap((sql) =>
    [[1, 0], [3, 0], [2, 2, 0], [4], [100, 0]].map((limits) => [sql, limits] as const),
  ),
)("%s, rows %j", async ([sql, limits]) => {
  // The table it read is free again, and so is its name.
  await runner.unit([limited(sql, "", limits), limited(sql, "p", limits)]);
  await runner.unit([
    simple("BEGIN"),
    limited(sql, "", limits),
    limited(sql, "p", limits),
    simple("COMMIT"),
  ]);
  expect(runner.differences).toEqual([]);
  expect([...runner.refusals]).toEqual([]);
});

test.for(STATEMENTS)(
  "between its rows other statements see the tables as they are: %s",
  async (sql) => {
    const rest: Step = {
      kind: "extended",
      statements: [statement(sql)],
      calls: [{ kind: "execute", portal: "p", rowsMax: 0 }],
    };
    await runner.unit([
      simple("BEGIN"),
      limited(sql, "p", [2]),
      simple(
        "SELECT user_id, status, note FROM orders WHERE user_id IN (-4, 1, 2, 3, 7) ORDER BY user_id, id",
      ),
      ...[-4, 1, 2, 3, 7].map((id) => simple(`SELECT name, country FROM users WHERE id = ${id}`)),
      simple("INSERT INTO orders (user_id, id, total) VALUES (2, 9000, 1), (3, 9000, 1)"),
      rest,
      simple("ROLLBACK"),
    ]);
    expect(runner.differences).toEqual([]);
    expect([...runner.refusals]).toEqual([]);
  },
);
