/**
 * TPC-H's 22 queries, each on one PostgreSQL and through the proxy: what is answered is
 * equal to the last byte of text, in column names, types and order; what is refused is
 * refused as docs/tpch.md says.
 */
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadParser } from "../../planner/parse.ts";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { startTestProxy } from "../support/proxy.ts";
import type { TestProxy } from "../support/proxy.ts";
import { DATABASES, LAYOUTS, SECOND_SCHEMA, mapYaml } from "./layouts.ts";
import { QUERIES, SCHEMA } from "./queries.ts";
import type { Query } from "./queries.ts";
import { planContext, routeOf } from "../support/routes.ts";
import { allRows } from "./rows.ts";

const PLAIN = "plain";
const ROWS_PER_INSERT = 1_000;

let server: TestPostgres;
let plain: pg.Client;
beforeAll(async () => {
  await loadParser();
  server = await startPostgres({ databases: [PLAIN] });
  plain = await server.connect(PLAIN);
  await fill(plain);
});
afterAll(async () => {
  await plain?.end();
  await server?.stop();
});

interface Answer {
  /** Name, type and typmod of each column. */
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | null)[])[];
}

async function ask(client: pg.Client, { sql }: Query): Promise<Answer> {
  const { fields, rows } = await client.query<(string | null)[]>({
    text: sql,
    rowMode: "array",
    types: { getTypeParser: () => (text: string) => text },
  });
  return {
    columns: fields.map(
      ({ name, dataTypeID, dataTypeModifier }) => `${name} ${dataTypeID} ${dataTypeModifier}`,
    ),
    rows,
  };
}

/** The proxy names a refusal's id as the routine. */
function refusalOf(error: unknown): { readonly refused: string | undefined } {
  if (!(error instanceof pg.DatabaseError)) throw error;
  return { refused: error.routine };
}

async function fill(client: pg.Client): Promise<void> {
  for (const statement of SCHEMA.split(/;\n/).filter((text) => text.trim() !== ""))
    await client.query(statement);
  for (const { table, rows } of allRows())
    for (let from = 0; from < rows.length; from += ROWS_PER_INSERT) {
      const values = rows.slice(from, from + ROWS_PER_INSERT).map((row) => `(${row})`);
      await client.query(`INSERT INTO ${table} VALUES ${values.join(", ")}`);
    }
  await client.query("ANALYZE");
}

describe.for(LAYOUTS.map((layout, index) => ({ ...layout, index })))("$name", (layout) => {
  const databaseOf = (name: string): string => `${name}_${layout.index}`;
  const yaml = (): string => mapYaml(layout, (name) => server.url(databaseOf(name)));
  let proxy: TestProxy;
  let client: pg.Client;
  beforeAll(async () => {
    for (const name of DATABASES)
      await server.query("postgres", `CREATE DATABASE ${databaseOf(name)}`);
    await server.query(databaseOf(SECOND_SCHEMA.database), `CREATE SCHEMA ${SECOND_SCHEMA.schema}`);
    proxy = await startTestProxy(yaml());
    client = new pg.Client(proxy.url());
    await client.connect();
    await fill(client);
  });
  afterAll(async () => {
    await client?.end();
    await proxy?.stop();
  });

  test.for(QUERIES)("query $number: $name", async (query) => {
    const route = routeOf(query.sql, planContext(yaml(), SCHEMA));
    const expected = await ask(plain, query);
    expect(expected.rows.length, "every query finds rows").toBeGreaterThan(0);
    expect(expected.rows.flat(), "and sums of some").not.toContain(null);
    const actual = await ask(client, query).catch(refusalOf);
    expect(actual).toEqual(route.kind === "refused" ? { refused: route.id } : expected);
  });
});
